"""How OpenMP threads should wait for each other: the training step on an idle machine and next to a busy process.

Each setting runs in its own process, because OpenMP reads its environment when it is loaded. The table shows the
median wall and CPU time of a step on random pixels. Run it on an otherwise idle machine.

Example: python tools/benchmarks/threads.py
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from machine import in_fresh_process
from mmengine.config import DictAction
from results import Table, add_out_argument, publish

DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / 'configs' / 'dsc' / 'dsc_demo.py'
SETTINGS = {
    "PyTorch's default": {},
    'OMP_WAIT_POLICY=ACTIVE': {'OMP_WAIT_POLICY': 'ACTIVE'},
    'GOMP_SPINCOUNT=0': {'GOMP_SPINCOUNT': '0'},
    'OMP_WAIT_POLICY=PASSIVE': {'OMP_WAIT_POLICY': 'PASSIVE'},
    'OMP_NUM_THREADS=1': {'OMP_NUM_THREADS': '1'},
}
_VARIABLES = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME', 'OMP_NUM_THREADS')


def main() -> None:
    """Measure all settings on both machines and publish one table."""
    args = parse_args()
    results = {}
    for condition, company in (('idle', contextlib.nullcontext), ('beside a busy process', busy_process)):
        with company():
            for name, variables in SETTINGS.items():
                with environment(variables):
                    results[name, condition] = in_fresh_process(measure, args.config, args.cfg_options, args.seconds)
    conditions = list(dict.fromkeys(condition for _, condition in results))
    rows = [[name, *(_cell(results[name, condition]) for condition in conditions)] for name in SETTINGS]
    publish(
        args.out,
        [Table(f'Training step of {args.config.name}, median wall / CPU milliseconds', ['setting', *conditions], rows)],
        [f'Each median is over the steps of {args.seconds:g} seconds.'],
        {f'{name}, {condition}': values for (name, condition), values in results.items()},
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'config', type=Path, nargs='?', default=DEFAULT_CONFIG, help='config of an adaptation (default: the demo)'
    )
    parser.add_argument(
        '--seconds', type=float, default=15, help='how long each setting is measured (default: %(default)s)'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='overrides'
    )
    add_out_argument(parser, 'threads')
    return parser.parse_args()


def measure(config_path: Path, options: dict, seconds: float) -> dict[str, float]:
    """Measure the median wall and CPU seconds of a training step, and the number of steps measured."""
    import train_step
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config

    init_default_scope('dscreid')
    config = load_config(config_path, options)
    model = train_step._model(config)
    model.train()
    batch = train_step._random_batch(config)
    step = train_step._steps(model, batch, contextlib.nullcontext(), scaled=False)['training']
    step()
    wall, processor = [], []
    end = time.perf_counter() + seconds
    while not wall or time.perf_counter() < end:
        start = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return {'wall': statistics.median(wall), 'cpu': statistics.median(processor), 'steps': len(wall)}


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set these OpenMP variables, and no others, for new processes."""
    before = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy."""
    process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _cell(values: dict[str, float]) -> str:
    return f'{1000 * values["wall"]:.0f} / {1000 * values["cpu"]:.0f}'


if __name__ == '__main__':
    main()
