"""Draw the attention of the prompts over the frames of a visible and an infrared tracklet of one person."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dscreid.apis.command_line import ConfigOptions, run_command

EXAMPLES = """examples:
  dscreid prompt-attention dsc/dsc_bupt2hitsz work_dirs/dsc_bupt2hitsz/epoch_50.pth -o attention.png
  dscreid prompt-attention CONFIG.py work_dirs/demo/dsc/epoch_4.pth -o attention.svg --person 3 --note "Test set"

Each tracklet has two rows: its frames as the model sees them, and the same frames under a map. Bright patches get the
most attention from the frame's prompts, averaged over heads, prompts and the blocks that contain prompts. The number
above a frame is the share of its prompts in the dynamic feature. Only the backbone SpatioTemporalPrompting has prompts.
Attention shows what the model reads, not why it decides. Configs are Python code: name only those that you trust."""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG', help='config of the model and its test set, or its short name')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of the model (.pth)')
    parser.add_argument('-o', '--out', type=Path, required=True, metavar='FILE', help='.svg or .png file to write')
    parser.add_argument(
        '--cfg-options',
        dest='config_options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='overrides of the config, such as data_root=PATH',
    )
    parser.add_argument(
        '--person', type=int, metavar='ID', help='person id in the test set (default: drawn with --seed)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed for choosing the person and the tracklets (default: 0)'
    )
    parser.add_argument('--device', default='cpu', help='device of the model (default: cpu)')
    parser.add_argument('--note', default='', help='a line below the picture, such as the name of the dataset')
    args = parser.parse_args(arguments)
    if args.seed < 0:
        parser.error(f'--seed must not be negative, got {args.seed}')
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    options = vars(parse_args(arguments))
    from dscreid.apis.plots import write_prompt_attention  # imports torch, which --help does not need

    print(write_prompt_attention(**options))


if __name__ == '__main__':
    run_command(main)
