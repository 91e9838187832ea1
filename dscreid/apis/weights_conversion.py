"""Convert a file of published weights; shared by the conversion tools."""

import argparse
from collections import Counter
from pathlib import Path

from dscreid.utils.files import check_outputs, replacing


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and the image size."""
    parser.add_argument('source', metavar='SRC', help='published checkpoint (.pth, .pth.tar, .t, .safetensors)')
    parser.add_argument('target', metavar='DST.pth', help='checkpoint to write (replaced if it exists)')
    parser.add_argument(
        '--image-size',
        type=int,
        nargs=2,
        default=(288, 144),
        metavar=('H', 'W'),
        help='image size of the config that will use it; other position embeddings are resized (default: 288 144)',
    )


def convert_file(args: argparse.Namespace, layout: str | None) -> str:
    """Convert ``args.source`` to ``args.target``; report which weights were used and what a config should contain.

    ``layout`` is a key of ``LAYOUTS``, or None to recognize it.
    """
    check_outputs([args.target], inputs=[args.source])
    import torch

    from dscreid.models.published import LAYOUTS, convert_weights, recognize
    from dscreid.utils.checkpoint import load_weights, sha256

    weights = load_weights(args.source)
    layout = layout or recognize(weights, args.source)
    converted = convert_weights(weights, args.source, layout, args.image_size)
    origin = {'source': Path(args.source).name, 'source_sha256': sha256(args.source)}
    meta = {'converter': 'convert_weights', 'layout': layout, **origin, **converted.meta}
    with replacing(args.target) as path:
        torch.save({'meta': meta, 'state_dict': converted.state_dict}, path)
    settings = ', '.join(f'{key}={value!r}' for key, value in converted.backbone.items())
    lines = [
        f'Layout: {layout} ({LAYOUTS[layout].title})',
        f'Taken: {len(converted.state_dict)} weights',
        f'Dropped: {len(converted.dropped)} weights' + ''.join(f'\n  {part}' for part in _parts(converted.dropped)),
        f'Encoder, model.backbone in the config: dict({settings})',
        *(f'Note: {note}' for note in converted.notes),
        f'Written: {args.target}',
    ]
    return '\n'.join(lines)


def _parts(names: list[str]) -> list[str]:
    """Shorten names to the parts of the model that they belong to, with counts."""
    counts = Counter(name if name.endswith('proj') else name.split('.')[0] for name in names)
    return [f'{part} ({count})' for part, count in counts.items()]
