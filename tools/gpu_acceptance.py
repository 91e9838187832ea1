"""Measure and check in eight minutes what only a GPU can show: numbers, speed, memory, determinism.

Each step runs in its own process with a time limit; a failure does not stop the next one. After each step,
gpu_acceptance.json and gpu_acceptance.html are written. With --pretend, all steps are rehearsed on the processor with
tiny sizes.
"""

import argparse
import sys
from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command
from dscreid.errors import ConfigError


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'exit code: 0 if every step ended, 1 if one failed or reached its time limit\n'
        'example: dscreid gpu-acceptance --out work_dirs/gpu_acceptance',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/gpu_acceptance'),
        help='folder for results and files of the steps (default: %(default)s)',
    )
    parser.add_argument('--pretend', action='store_true', help='rehearse on the processor with tiny sizes')
    names = [step.name for step in lab.acceptance.STEPS]
    parser.add_argument(
        '--steps', nargs='+', choices=names, default=[], metavar='STEP', help=f'run only some of: {", ".join(names)}'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the steps, print a line for each, and return the exit code."""
    arguments = parse_arguments(argv)
    if not arguments.pretend:
        check_gpu()
    settings = lab.acceptance.Settings(arguments.out.resolve(), arguments.pretend)

    def report(outcome: dict) -> None:
        print(lab.acceptance.status_line(outcome), flush=True)

    record = lab.acceptance.run_steps(settings, arguments.steps, report)
    if lines := lab.acceptance.fastest_lines(record.get('fastest', {})):
        print('settings that were fastest here:', *lines, sep='\n  ')
    print(f'written: {settings.out / "gpu_acceptance.json"}, {settings.out / "gpu_acceptance.html"}')
    return int(any(outcome['status'] in ('failed', 'timeout') for outcome in record['steps'].values()))


def check_gpu() -> None:
    """Raise a ConfigError unless PyTorch finds a GPU."""
    import torch

    if not torch.cuda.is_available():
        raise ConfigError(
            'PyTorch finds no GPU; run this on a machine with one and a PyTorch built for CUDA, or rehearse it on the '
            'processor with --pretend'
        )


if __name__ == '__main__':
    run_command(lambda: sys.exit(main()), on_interrupt='the results so far are in gpu_acceptance.json')
