"""Export the tower of a checkpoint as .safetensors, for use as `pretrained` of CLIPVisionTransformer."""

import argparse
from pathlib import Path

from dscreid import apis
from dscreid.apis.command_line import make_parser, run_command
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__, 'example: dscreid export-tower work_dirs/stp_bupt/epoch_60.pth tower.safetensors --half'
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint written by dscreid train')
    parser.add_argument('target', metavar='OUT.safetensors', help='file to write (replaced if it exists)')
    parser.add_argument('--encoder', action='store_true', help='also store prompts and attention of its encoder')
    parser.add_argument('--half', action='store_true', help='store matrices in half precision')
    parser.add_argument('--config', help='config of the checkpoint, if the checkpoint does not contain it')
    parser.add_argument('--prefix', help="prefix of its weights (default: that of this project's models)")
    parser.add_argument('--note', help='text to keep in the file, such as its command and data seed')
    return parser.parse_args(arguments)


def export(args: argparse.Namespace) -> None:
    """Export and report size and hash."""
    from dscreid.models.backbones.pretrained import TOWER_PREFIX, export_tower
    from dscreid.utils.checkpoint import sha256

    target = Path(args.target)
    if target.suffix != '.safetensors':
        raise ConfigError(f'{target}: the exported tower must be named *.safetensors.')
    check_outputs([target], inputs=[args.checkpoint])
    tower = None
    if args.config is not None:
        try:
            tower = apis.load_config(args.config, of_finished_run=True).model.backbone.tower.to_dict()
        except AttributeError as error:
            raise ConfigError(f'{args.config}: has no model.backbone.tower.') from error
    settings = export_tower(
        args.checkpoint, target, tower, args.prefix or TOWER_PREFIX, args.half, args.note, args.encoder
    )
    print(f'Tower: {settings}')
    print(f'Written: {target} ({target.stat().st_size / 2**20:.2f} MiB)')
    print(f'sha256: {sha256(target)}')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    export(parse_args(arguments))


if __name__ == '__main__':
    run_command(main)
