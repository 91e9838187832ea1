"""Run the whole experiment on two rendered worlds and write report.html. Finished parts are reused."""

import argparse
import sys
from pathlib import Path

from dscreid import apis, lab
from dscreid.apis.command_line import at_least, make_parser, run_command


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'exit code: 1 if something is broken: DSC loses, clusters collapse, or the source model fails\n'
        'example: dscreid demo --compare',
    )
    parser.add_argument(
        '--full',
        action='store_true',
        help='use the worlds and schedules of docs/synthetic_benchmark.md, which takes more than twice as long',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for worlds, runs and report (default: work_dirs/demo, with --full work_dirs/demo_full)',
    )
    parser.add_argument('--seed', type=at_least(0), default=1, help='seed of people, cameras and training (default: 1)')
    parser.add_argument('--processes', type=at_least(1), help='rendering processes (default: one per core)')
    parser.add_argument(
        '--compare', action='store_true', help='also run clustering only and the upper bound with true target labels'
    )
    return parser.parse_args()


def main() -> None:
    """Run the demo and check its result."""
    arguments = parse_arguments()
    out = arguments.out or Path('work_dirs', 'demo_full' if arguments.full else 'demo')
    demo = lab.demo.Demo(
        out=out,
        configs=apis.shipped_configs(),
        size=lab.demo.FULL if arguments.full else lab.demo.SHORT,
        seed=arguments.seed,
        processes=arguments.processes,
        compare=arguments.compare,
    )
    runs = demo.run()
    print(f'report: {out / "report.html"}')
    if problems := demo.problems(runs):
        print('\n'.join(f'below expectation: {problem}' for problem in problems), file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    run_command(main)
