"""Draw a visible query and its first infrared answers before and after adaptation in one picture."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dscreid.apis.command_line import ConfigOptions, run_command

EXAMPLES = """examples:
  dscreid retrieval-picture CD=work_dirs/demo/cd DSC=work_dirs/demo/dsc --out retrieval.png
  dscreid retrieval-picture Before=work_dirs/cd After=work_dirs/dsc --out retrieval.svg --note "HITSZ-VCM, test split"

The query is drawn from those that the second run answers better, so the picture shows what changes, not how often;
the command prints for how many queries the answers get better and worse. Configs are Python code: name only work
directories that you trust."""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('before', metavar='[NAME=]BEFORE', help='work directory of the run before adaptation')
    parser.add_argument('after', metavar='[NAME=]AFTER', help='work directory of the run after adaptation')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='.svg or .png file to write')
    parser.add_argument('--config', help="config of the test set (default: the work directory's)")
    parser.add_argument(
        '--cfg-options',
        dest='config_options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='overrides of --config',
    )
    parser.add_argument('--ranks', type=int, default=5, help='answers shown (default: 5)')
    parser.add_argument('--frames', type=int, default=1, help='frames shown per tracklet (default: 1)')
    parser.add_argument('--seed', type=int, default=0, help='seed for choosing the query (default: 0)')
    parser.add_argument(
        '--note', default='', help='a line below the picture, such as the name of the dataset'
    )
    args = parser.parse_args(arguments)
    for name in ('ranks', 'frames'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.seed < 0:
        parser.error(f'--seed must not be negative, got {args.seed}')
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    options = vars(parse_args(arguments))
    from dscreid.apis.plots import write_retrieval_picture  # imports torch, which --help does not need

    print(write_retrieval_picture(**options))


if __name__ == '__main__':
    run_command(main)
