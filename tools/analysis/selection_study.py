"""Study how well label-free criteria choose a checkpoint: epoch, metric and gap to the best epoch for each criterion.

Test labels are only read to measure the choice, not to make it. Each run needs the criteria of all its epochs, and a
test metric or a checkpoint of each epoch:

  dscreid train CONFIG --cfg-options default_hooks.selection.criterion=silhouette \
      default_hooks.checkpoint.max_keep_ckpts=-1
"""

import argparse
from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import run_command
from dscreid.utils.files import check_outputs, replacing


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: dscreid selection-study work_dirs/dsc_seed*/ --out selection.md',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='work directories of finished runs')
    parser.add_argument('--metric', default='mean/mAP', help='test metric (default: mean/mAP)')
    parser.add_argument('--out', type=Path, help='also write the tables to this Markdown file')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    arguments = parse_arguments(argv)
    check_outputs([arguments.out])
    runs = [lab.selection_study.read_run(path, arguments.metric) for path in arguments.runs]
    text = lab.selection_study.study_markdown(runs, arguments.metric)
    if arguments.out is not None:
        with replacing(arguments.out) as temporary:
            temporary.write_text(text, encoding='utf-8')
    print(text, end='')


if __name__ == '__main__':
    run_command(main)
