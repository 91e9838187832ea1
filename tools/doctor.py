"""Check everything that a config needs before a run: machine, data, evaluation, weights, memory, a batch of each stage.

Checks of each dataset: layout and counts; missing, damaged, empty and repeated frames; frames whose names do not
match their tracklet; repeated tracklets; people in two splits; tracklets that rules leave out; balance of cameras and
modalities. The config's source stage is also checked. Nothing is trained, and only the file of --json is written.
Each finding is printed, and written to that file, as soon as it is known; a summary follows. Batches are computed
within the free memory.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from dscreid import apis, lab
from dscreid.apis.command_line import add_config_arguments, at_least, make_parser, run_command
from dscreid.utils.files import check_outputs

_LOG_WIDTH = 160


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'exit code: 0 healthy or only warnings, 1 warnings with --strict, 2 broken\n'
        'example: dscreid doctor dsc/dsc_bupt2hitsz --json doctor.json',
    )
    parser.add_argument('config', type=Path, help='config to check')
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='also write all findings to this file; it is replaced if it exists'
    )
    parser.add_argument('--jobs', type=at_least(1), metavar='N', help='threads that read files (default: one per core)')
    parser.add_argument('--strict', action='store_true', help='exit with 1 if there are warnings')
    parser.add_argument('--skip-frames', action='store_true', help='read only the index files, no images')
    parser.add_argument(
        '--skip-batches', action='store_true', help='do not try batches or make forecasts; weights files are still read'
    )
    parser.add_argument(
        '--details', type=at_least(0), default=5, metavar='N', help='cases to show for each finding (default: 5)'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs'), help='where runs will be written (default: work_dirs)'
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Print findings and summary; return the exit code."""
    arguments = parse_arguments(argv)
    options = lab.doctor.DoctorOptions(
        jobs=arguments.jobs,
        check_files=not arguments.skip_frames,
        check_batches=not arguments.skip_batches,
        work_dir=arguments.work_dir,
        config_options=arguments.cfg_options,
    )
    check_outputs([arguments.json], inputs=[arguments.config])
    console = Console()
    if not console.is_terminal:  # a log file has no width of its own
        console = Console(width=_LOG_WIDTH)

    def report(so_far: lab.doctor.Diagnosis) -> None:
        console.print(lab.doctor.finding_text(so_far.findings[-1], arguments.details), soft_wrap=True)
        console.file.flush()
        if arguments.json is not None:
            apis.test.write_json(arguments.json, lab.doctor.to_json(so_far))

    diagnosis = lab.doctor.diagnose(arguments.config, options, report)
    console.print(lab.doctor.summary_table(diagnosis))
    if arguments.json is not None:
        apis.test.write_json(arguments.json, lab.doctor.to_json(diagnosis))
    return diagnosis.exit_code(arguments.strict)


if __name__ == '__main__':
    run_command(lambda: sys.exit(main()), on_interrupt='the findings so far are above, and in the file of --json')
