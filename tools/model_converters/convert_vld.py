"""Convert a released VLD checkpoint into one that --source-checkpoint and init_model accept."""

import argparse
import sys
from pathlib import Path

from dscreid.apis.command_line import make_parser, run_command, sentence
from dscreid.errors import DscreidError
from dscreid.utils.files import check_outputs, replacing


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'Visual tower and spatio-temporal prompting are kept; classifiers, text encoder and text prompts are dropped.\n'
        'Pickled code is never run. The file does not contain the start layer of the prompts: set the one of the\n'
        'training (9 in the released settings) in the config.\n'
        'example: dscreid convert-vld vld_bupt.pth source.pth',
    )
    parser.add_argument('source', metavar='SRC.pth', help='VLD checkpoint')
    parser.add_argument('target', metavar='DST.pth', help='checkpoint to write (replaced if it exists)')
    parser.add_argument(
        '--image-size',
        type=int,
        nargs=2,
        default=(288, 144),
        metavar=('H', 'W'),
        help='image size of the config that will use it; other position embeddings are resized (default: 288 144)',
    )
    return parser.parse_args(arguments)


def convert(args: argparse.Namespace) -> None:
    """Read, convert, write and report."""
    check_outputs([args.target], inputs=[args.source])
    import torch

    from dscreid.models.backbones.vld import convert_vld
    from dscreid.utils.checkpoint import load_weights, sha256

    converted = convert_vld(load_weights(args.source), args.source, args.image_size)
    meta = {
        'converter': 'convert_vld',
        'source': Path(args.source).name,
        'source_sha256': sha256(args.source),
        'num_frames': converted.num_frames,
        'start_layer': None,  # not in the file
        'tower': converted.tower,
    }
    with replacing(args.target) as path:
        torch.save({'meta': meta, 'state_dict': converted.state_dict}, path)
    print(f'Taken: {len(converted.state_dict)} weights of the tower ({converted.tower}) and its')
    print(f'  spatio-temporal prompting of {converted.num_frames} frames.')
    print(f'Dropped: {len(converted.dropped)} weights' + ''.join(f'\n  {n}' for n in _parts(converted.dropped)))
    print(f'Written: {args.target}')


def _parts(names: list[str]) -> list[str]:
    """Shorten names to the parts of the model that they belong to, with counts."""
    counts: dict[str, int] = {}
    for name in names:
        part = name.split('.')[0] if not name.endswith('proj') else name
        counts[part] = counts.get(part, 0) + 1
    return [f'{part} ({count})' for part, count in counts.items()]


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code."""
    try:
        convert(parse_args(arguments))
    except (DscreidError, OSError) as error:
        print(f'error: {sentence(error)}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    run_command(lambda: sys.exit(main()))
