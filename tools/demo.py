"""Run the whole experiment on two rendered worlds and write report.html; finished parts are reused."""

import argparse
import dataclasses
import sys
from pathlib import Path

from dscreid import apis
from dscreid.apis.command_line import run_command


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Exits with 1 when the outcome falls short of what a healthy demo reaches.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/demo'), help='folder of worlds, runs and report'
    )
    parser.add_argument('--seed', type=int, default=1, help='chooses people, cameras and training order')
    parser.add_argument(
        '--processes', type=int, default=argparse.SUPPRESS, help='rendering processes (default: one per core)'
    )
    parser.add_argument(
        '--compare',
        action='store_true',
        help='also run clustering alone and the bound with true target labels',
    )
    parser.add_argument(
        '--min-gain',
        type=float,
        default=argparse.SUPPRESS,
        help="mAP points that DSC must gain over CD (default: a healthy demo's)",
    )
    return parser.parse_args()


def main() -> None:
    """Run the demo and judge it."""
    arguments = parse_arguments()
    options = apis.demo.DemoOptions(
        out=arguments.out,
        configs=apis.shipped_configs() / 'synthetic',
        seed=arguments.seed,
        processes=getattr(arguments, 'processes', None),
        compare=arguments.compare,
    )
    demo = apis.demo.Demo(options)
    runs = demo.run()
    print(f'report: {arguments.out / "report.html"}')
    expected = apis.demo.Expectations()
    if hasattr(arguments, 'min_gain'):
        expected = dataclasses.replace(expected, gain=arguments.min_gain / 100)
    if problems := demo.problems(runs, expected):
        print('\n'.join(f'short of what is expected: {problem}' for problem in problems), file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    run_command(main)
