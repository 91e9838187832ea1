"""Scale the tokens of an exported encoder, so that the attention of its dynamic half is not saturated.

The static half stays as it is. The dynamic half changes; continue its pre-training with
configs/synthetic/pretrain_soft_attention.py.
"""

import argparse
from pathlib import Path

from dscreid.apis.command_line import make_parser, run_command
from dscreid.errors import CheckpointError, ConfigError
from dscreid.utils.files import check_outputs, replacing


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__, 'example: dscreid scale-residuals encoder.safetensors scaled.safetensors --factor 0.2 --attention 0.36'
    )
    parser.add_argument('source', metavar='IN.safetensors', help='file of dscreid export-tower')
    parser.add_argument('target', metavar='OUT.safetensors', help='file to write (replaced if it exists)')
    parser.add_argument('--factor', type=float, required=True, help='positive factor of the tokens')
    parser.add_argument(
        '--attention',
        type=float,
        default=1.0,
        help="further positive factor of the logits of the dynamic half's attention (default: 1)",
    )
    return parser.parse_args(arguments)


def scale(args: argparse.Namespace) -> None:
    """Read, scale and write."""
    from safetensors.torch import save_file

    from dscreid.models.backbones.pretrained import TOWER_KIND, find_weights
    from dscreid.models.backbones.residual_scale import scale_residuals
    from dscreid.utils.checkpoint import load_weights, read_metadata, sha256

    if min(args.factor, args.attention) <= 0:
        raise ConfigError('--factor and --attention must be positive')
    source, target = find_weights(args.source, None, 'export it with dscreid export-tower --encoder'), Path(args.target)
    check_outputs([target], inputs=[source])
    metadata = read_metadata(source)
    if metadata.get('kind') != TOWER_KIND:
        raise CheckpointError(f'{source}: is not a file of dscreid export-tower')
    scaled = scale_residuals(load_weights(source), args.factor, args.attention)
    note = f'{metadata.get("note", "")}; scale-residuals --factor {args.factor:g} --attention {args.attention:g}'
    with replacing(target) as path:
        save_file(scaled, path, {**metadata, 'note': note.removeprefix('; ')})
    print(f'Written: {target}\nsha256: {sha256(target)}')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    scale(parse_args(arguments))


if __name__ == '__main__':
    run_command(main)
