"""Check everything that a config needs before it is run: machine, data, memory, and one batch of each stage.

Of each dataset: layout and counts, unreadable, cut, empty and repeated frames, frames named after another person,
camera or tracklet, people in two splits, tracklets that rules leave out, balance of cameras and modalities. The
config's source stage is checked as well. Nothing is trained, and nothing is written but the file of --json.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from dscreid import apis
from dscreid.apis.command_line import add_config_arguments, run_command
from dscreid.utils.files import check_outputs

_LOG_WIDTH = 160


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='exit code: 0 healthy (warnings included), 1 warnings with --strict, 2 broken\n'
        'example: dscreid doctor dsc/dsc_bupt2hitsz --json doctor.json',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, help='config that is to be run')
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='write all findings there as well; replaced if it exists',
    )
    parser.add_argument('--jobs', type=_positive, metavar='N', help='threads for files (default: all cores)')
    parser.add_argument(
        '--full-decode',
        action='store_true',
        help='decode every frame as training does, in place of a look at header and end: finds damage inside, slower',
    )
    parser.add_argument('--strict', action='store_true', help='exit with 1 where there are warnings')
    parser.add_argument('--skip-frames', action='store_true', help='read the indexes alone, no image file')
    parser.add_argument(
        '--skip-batches', action='store_true', help='try no batch; there is no forecast then either'
    )
    parser.add_argument(
        '--details', type=int, default=5, metavar='N', help='single cases shown of each finding (default: 5)'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs'),
        help='where runs will be written (default: work_dirs)',
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} is less than 1')
    return number


def main(argv: list[str] | None = None) -> int:
    """Print the table; return the exit code."""
    arguments = parse_arguments(argv)
    options = apis.doctor.DoctorOptions(
        jobs=arguments.jobs,
        full_decode=arguments.full_decode,
        check_files=not arguments.skip_frames,
        check_batches=not arguments.skip_batches,
        work_dir=arguments.work_dir,
        config_options=arguments.cfg_options,
    )
    check_outputs([arguments.json], inputs=[arguments.config])
    diagnosis = apis.doctor.diagnose(arguments.config, options)
    console = Console()
    if not console.is_terminal:  # a log file has no width of its own
        console = Console(width=_LOG_WIDTH)
    console.print(apis.doctor.diagnosis_table(diagnosis, max(arguments.details, 0)))
    if arguments.json is not None:
        apis.test.write_json(arguments.json, apis.doctor.to_json(diagnosis))
    return diagnosis.exit_code(arguments.strict)


if __name__ == '__main__':
    run_command(lambda: sys.exit(main()), on_interrupt='nothing was written; run it again')
