"""Kill tiny runs at random moments, resume them, and compare with a run that nobody disturbed, bit for bit.

Renders two tiny worlds and runs source stage, adaptation and evaluation once in peace. Each trial then starts the same
run anew, kills it at a random moment, resumes it, and compares weights, optimizer, schedules, labels, logged losses,
criteria, features and metrics. Exit code 1 when one of them differs.
"""

import argparse
import signal
import sys
from pathlib import Path

from dscreid import apis
from dscreid.apis.command_line import run_command


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: dscreid kill-bench --kills 50 --seed 0',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--kills', type=int, default=50, help='processes to kill (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of their moments (default: %(default)s)')
    parser.add_argument(
        '--signal',
        choices=('KILL', 'TERM', 'INT'),
        default='KILL',
        help='what is sent (default: %(default)s)',
    )
    parser.add_argument(
        '--folder',
        type=Path,
        default=Path('work_dirs/kill_bench'),
        help='worlds, runs and logs; runs that end as they should are removed (default: %(default)s)',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    arguments = parse_arguments(argv)
    number = signal.Signals[f'SIG{arguments.signal}']
    kills = apis.kill_bench.run_kill_bench(
        arguments.folder.resolve(), arguments.kills, arguments.seed, number
    )
    print(apis.kill_bench.kill_table(kills))
    if any(kill.differences for kill in kills):
        sys.exit(1)


if __name__ == '__main__':
    run_command(main)
