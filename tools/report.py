"""Write report.html: results, training curves, retrieval lists, distances and pictures of runs in one file."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dscreid.apis.command_line import add_config_options, add_work_dir, at_least, make_parser, run_command

EXAMPLES = """examples:
  dscreid report work_dirs/dsc_bupt2hitsz --paper hitsz_vcm
  dscreid report CD=work_dirs/cd_bupt2hitsz DSC=work_dirs/dsc_bupt2hitsz --out reports
  dscreid report --mean work_dirs/regdb/trial_*/adca
  dscreid report --run "DSC=dsc.json,dsc.safetensors" --config dsc/dsc_bupt2hitsz \\
      --scalars "Adaptation=work_dirs/dsc_bupt2hitsz/RUN/vis_data/scalars.json" --note "HITSZ-VCM, test split"

A work directory's metrics.json, features.safetensors, */vis_data/scalars.json, config and last checkpoint are found by
their names. The curves of several work directories share their charts, and the settings in which their configs differ
are listed. Published figures of the configs in configs/images and test-selected epochs have rows of their own, which
are never marked as best. The feature map shows the first and the last run, or one run before and after training.
Configs are Python code: only name work directories that you trust."""

TITLE = 'Cross-modal person re-identification: results'


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, EXAMPLES)
    add_work_dir(parser, 'work_dirs', 'a run; others are compared with the first one', nargs='*')
    _add_files(parser)
    _add_lists(parser)
    papers, paper_help = ('bupt_campus', 'hitsz_vcm'), "show the paper's figures on this real dataset in the table"
    parser.add_argument('--paper', choices=papers, help=paper_help)
    mean_help = 'one row for all runs of a config, their mean and standard deviation, such as the ten trials of RegDB'
    parser.add_argument('--mean', action='store_true', help=mean_help)
    parser.add_argument('--title', default=TITLE, help='heading of the page')
    parser.add_argument(
        '--note',
        action='append',
        default=[],
        help='a paragraph; the first one is shown below the heading and should name the data and the command',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(),
        metavar='FILE_OR_FOLDER',
        help='file to write, or an existing folder for report.html (default: the current folder)',
    )
    args = parser.parse_args(arguments)
    if not (args.work_dirs or args.runs or args.scalars):
        parser.error('name at least one WORK_DIR, --run or --scalars')
    return args


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Add the options for files outside work directories."""
    add_repeated = partial(parser.add_argument, action='append', default=[])
    add_repeated(
        '--run',
        dest='runs',
        metavar='NAME=METRICS.json[,FEATURES.safetensors]',
        help='a row of the table from files that dscreid test --out and --dump-features wrote; may be repeated',
    )
    add_repeated('--bound', dest='bounds', metavar='NAME', help='this run used the true labels of the target')
    add_repeated(
        '--scalars',
        metavar='[NAME=]FILE',
        help='the vis_data/scalars.json of a training; may be repeated, with other names for other stages and with '
        'one name for a resumed run',
    )
    parser.add_argument('--identities', type=int, help='true number of training identities, drawn with the clusters')


def _add_lists(parser: argparse.ArgumentParser) -> None:
    """Add the options of the retrieval lists and pictures."""
    parser.add_argument(
        '--config',
        help="config of the test dataset, for the pictures of the retrieval lists (default: the work directory's)",
    )
    add_config_options(parser, 'config_options', '--config')
    parser.add_argument('--protocol', help="evaluation protocol of the lists (default: the config's)")
    parser.add_argument('--queries', type=at_least(1), default=4, help='queries shown per direction (default: 4)')
    parser.add_argument('--ranks', type=at_least(1), default=6, help='ranks shown per query (default: 6)')
    parser.add_argument('--frames', type=at_least(1), default=1, help='frames shown per tracklet (default: 1)')
    seed_help = 'seed for choosing queries, persons and tracklets (default: 0)'
    parser.add_argument('--seed', type=at_least(0), default=0, help=seed_help)
    for name, what in (
        ('feature-map', 'the feature map, to save time'),
        ('prompt-attention', 'the attention of the prompts, which runs the model of the last work directory'),
    ):
        dest = name.replace('-', '_')
        parser.add_argument(f'--no-{name}', dest=dest, action='store_false', help=f'leave out {what}')


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report and print its table."""
    options = vars(parse_args(arguments))
    from dscreid.apis.report import ReportOptions, make_report  # imports torch, which --help does not need

    print(make_report(ReportOptions(**options)))


if __name__ == '__main__':
    run_command(main)
