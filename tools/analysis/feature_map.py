"""Draw the test features of runs in the plane (t-SNE), colored by person and marked by modality."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dscreid.apis.command_line import run_command

EXAMPLES = """examples:
  dscreid feature-map work_dirs/dsc_bupt2hitsz --out map.png
  dscreid feature-map CD=work_dirs/demo/cd DSC=work_dirs/demo/dsc --out map.svg --persons 12 --seed 0

The command reads features.safetensors in each work directory, which dscreid test --dump-features writes. Runs on one
test set show the same tracklets in the same colors. Distances between far groups and the directions of the axes have no
meaning."""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'work_dirs',
        nargs='+',
        metavar='[NAME=]WORK_DIR',
        help='work directory of a run; its name is the title (default: the name of the folder)',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='.svg or .png file to write')
    parser.add_argument('--persons', type=int, default=12, help='maximum number of persons (default: 12)')
    parser.add_argument(
        '--tracklets', type=int, default=600, help='maximum number of tracklets (default: 600)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed for choosing persons and for the layout (default: 0)'
    )
    parser.add_argument('--note', default='', help='a line below the legend, such as the name of the dataset')
    args = parser.parse_args(arguments)
    if args.persons < 1:
        parser.error(f'--persons must be at least 1, got {args.persons}')
    if args.tracklets < 3:
        parser.error(f'--tracklets must be at least 3, got {args.tracklets}')
    if args.seed < 0:
        parser.error(f'--seed must not be negative, got {args.seed}')
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the maps."""
    options = vars(parse_args(arguments))
    from dscreid.apis.plots import write_feature_map  # imports torch, which --help does not need

    print(write_feature_map(**options))


if __name__ == '__main__':
    run_command(main)
