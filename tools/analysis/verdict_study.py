"""Study how often the label-free verdict of dscreid adapt is wrong, over finished runs on targets with labels.

Compares the features of each adaptation with those of the source model on the same tracklets, without labels, and the
verdict with the change of the mAP. Runs leave features of test tracklets. If dscreid adapt has none that are set
aside, it judges those that it has adapted to: for these, test each checkpoint on the training split (dscreid test
--protocol cross_modal --cfg-options test_dataloader.dataset.split=train) with --out RUN/metrics.json --dump-features
RUN/features.safetensors.
"""

from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs

EXAMPLE = """example:
  dscreid verdict-study work_dirs/reproduce/synthetic-rule/*/seed* --source cd_demo --out verdicts.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'groups', nargs='+', type=Path, metavar='FOLDER', help='folders of runs on one target, as reproduce writes them'
    )
    parser.add_argument(
        '--source', default='cd_demo', metavar='RUN', help='name of the run of the source model (default: %(default)s)'
    )
    parser.add_argument(
        '--leave-out', nargs='*', default=[], metavar='RUN', help='names of runs that are no adaptation'
    )
    parser.add_argument('--out', type=Path, help='also write the tables to this Markdown file')
    arguments = parser.parse_args(argv)
    check_outputs([arguments.out])
    judged = []
    for group in arguments.groups:
        before = group / arguments.source
        if not (before / 'metrics.json').is_file():
            raise ConfigError(f'{before}: the source model was not tested there; name another --source')
        runs = sorted(path.parent for path in group.glob('*/metrics.json'))
        # other test sets, such as that of the source stage, are not comparable
        tested = [run for run in runs if run.name not in (arguments.source, *arguments.leave_out)]
        judged += [lab.verdict_study.judge(before, run) for run in tested if not run.name.startswith('stp_')]
    write_and_print(lab.verdict_study.verdicts_markdown(judged), arguments.out)


if __name__ == '__main__':
    run_command(main)
