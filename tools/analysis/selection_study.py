"""Study how well label-free criteria choose a checkpoint: epoch, metric and gap to the best epoch for each criterion.

Test labels are only read to measure the choice, not to make it. Each run needs the criteria of all its epochs, and a
test metric or a checkpoint of each epoch:

  dscreid train CONFIG --cfg-options default_hooks.selection.criterion=silhouette \
      default_hooks.checkpoint.max_keep_ckpts=-1
"""

from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print
from dscreid.utils.files import check_outputs


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = make_parser(__doc__, 'example: dscreid selection-study work_dirs/dsc_seed*/ --out selection.md')
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='work directories of finished runs')
    parser.add_argument('--metric', default='mean/mAP', help='test metric (default: mean/mAP)')
    parser.add_argument('--out', type=Path, help='also write the tables to this Markdown file')
    arguments = parser.parse_args(argv)
    check_outputs([arguments.out])
    runs = [lab.selection_study.read_run(path, arguments.metric) for path in arguments.runs]
    write_and_print(lab.selection_study.study_markdown(runs, arguments.metric), arguments.out)


if __name__ == '__main__':
    run_command(main)
