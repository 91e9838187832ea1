"""Run the whole experiment on two rendered worlds and write report.html. Finished parts are reused."""

import argparse
import sys
from pathlib import Path

from dscreid import apis, lab
from dscreid.apis.command_line import run_command


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Exit code 1 means that something is broken: DSC loses, clusters collapse, or the source model fails.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        '--full',
        action='store_true',
        help='use the worlds and schedules of docs/synthetic_benchmark.md, which takes more than twice as long',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=argparse.SUPPRESS,
        help='folder of worlds, runs and report (default: work_dirs/demo, with --full work_dirs/demo_full)',
    )
    parser.add_argument('--seed', type=int, default=1, help='seed of people, cameras and training order')
    parser.add_argument(
        '--processes', type=int, default=argparse.SUPPRESS, help='rendering processes (default: one per core)'
    )
    parser.add_argument(
        '--compare',
        action='store_true',
        help='also run clustering only and the upper bound with true target labels',
    )
    return parser.parse_args()


def main() -> None:
    """Run the demo and check its result."""
    arguments = parse_arguments()
    out = getattr(arguments, 'out', Path('work_dirs', 'demo_full' if arguments.full else 'demo'))
    options = lab.demo.DemoOptions(
        out=out,
        configs=apis.shipped_configs(),
        size=lab.demo.FULL if arguments.full else lab.demo.SHORT,
        seed=arguments.seed,
        processes=getattr(arguments, 'processes', None),
        compare=arguments.compare,
    )
    demo = lab.demo.Demo(options)
    runs = demo.run()
    print(f'report: {out / "report.html"}')
    if problems := demo.problems(runs, lab.demo.Expectations()):
        print('\n'.join(f'below expectations: {problem}' for problem in problems), file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    run_command(main)
