"""Time of a config's whole training on this machine, including loading, extrapolated from a few epochs.

Runs the first epochs of the config, with as many iterations each as requested, and times three parts: labeling
(extraction, clustering, memories), training iterations (including loading) and the end of an epoch (checkpoint,
evaluation). The first epoch, which also starts the loader's workers and compiles kernels, is left out if there are
more.

Example: python tools/benchmarks/end_to_end.py configs/dsc/dsc_demo.py --source-checkpoint
work_dirs/demo_full/source/epoch_4.pth --epochs 3 --iterations 20
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from machine import in_fresh_process
from mmengine.hooks import Hook
from results import Table, add_out_argument, publish

from dscreid.apis.command_line import add_config_options
from dscreid.registry import HOOKS

PARTS = {'labelling': 'labelling', 'training': 'iterations', 'ending': 'checkpoint and evaluation'}


@HOOKS.register_module(force=True)
class StopwatchHook(Hook):
    """Record the seconds of each part and the ``'iterations'`` of every epoch of the last run."""

    priority = 'VERY_HIGH'  # before the hooks whose work it times
    #: A class attribute, because the runner builds the hook from a config and does not expose it.
    epochs: ClassVar[list[dict[str, float]]] = []

    def __init__(self) -> None:
        self.epochs.clear()
        self._mark = 0.0

    def before_train_epoch(self, runner) -> None:
        """Stop timing the end of the previous epoch."""
        self._lap('ending')
        self.epochs.append(dict.fromkeys(PARTS, 0.0) | {'iterations': 0})

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Stop timing the labeling at the first batch."""
        if batch_idx == 0:
            self._lap('labelling')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Count iterations."""
        self.epochs[-1]['iterations'] += 1

    def after_train_epoch(self, runner) -> None:
        """Stop timing the iterations."""
        self._lap('training')

    def after_train(self, runner) -> None:
        """Stop timing the end of the last epoch."""
        self._lap('ending')

    def _lap(self, part: str) -> None:
        now = time.perf_counter()
        if self.epochs:
            self.epochs[-1][part] += now - self._mark
        self._mark = now


def main() -> None:
    """Measure in a new process and publish one table."""
    args = parse_args()
    result = in_fresh_process(measure, args.config, args.source_checkpoint, args.epochs, args.iterations, args.amp, args.cfg_options)  # fmt: skip  # noqa: E501
    epochs, iterations = result['epochs'], result['iterations']
    seconds = result['seconds']
    whole = {
        'labelling': epochs * seconds['labelling'],
        'training': epochs * iterations * seconds['iteration'],
        'ending': epochs * seconds['ending'],
    }
    total = sum(whole.values())
    rows = [
        [label, f'{whole[part] / epochs:.1f}', f'{whole[part] / 60:.1f}', f'{100 * whole[part] / total:.0f} %']
        for part, label in PARTS.items()
    ]
    publish(
        args.out,
        [
            Table(
                f'{args.config.name}: {epochs} epochs of {iterations} iterations, '
                f'from {result["measured"]} measured epochs',
                ['part', 's per epoch', 'minutes in all', 'share'],
                [*rows, ['whole', f'{total / epochs:.1f}', f'{total / 60:.1f}', '100 %']],
            )
        ],
        [f'{seconds["iteration"]:.3f} s per iteration; peak memory of the process {result["peak_gb"]:.2f} GB.'],
        result | {'whole_seconds': whole},
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='config of an adaptation, with its data in place')
    parser.add_argument('--source-checkpoint', type=Path, required=True, help='weights to start from')
    parser.add_argument('--epochs', type=int, default=3, help='epochs to run (default: %(default)s)')
    parser.add_argument('--iterations', type=int, help="iterations of each epoch that is run (default: the config's)")
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision (on a GPU)')
    add_out_argument(parser, 'end_to_end')
    add_config_options(parser)
    return parser.parse_args()


def measure(config_path: Path, source: Path, epochs: int, iterations: int | None, amp: bool, options: dict) -> dict:
    """Compute medians over the epochs after the first, and the config's own numbers of epochs and iterations."""
    from dscreid.apis import load_config
    from dscreid.apis.config import fit_to_machine
    from dscreid.apis.train import train_stage

    config = load_config(config_path, options)
    fit_to_machine(config, amp)
    planned = config.train_cfg.max_epochs, config.train_dataloader.sampler.iterations
    config.train_cfg.max_epochs = min(epochs, planned[0])
    if iterations is not None:
        config.train_dataloader.sampler.iterations = iterations
    config.default_hooks.stopwatch = dict(type='StopwatchHook')
    config.launcher = 'none'
    with tempfile.TemporaryDirectory() as work_dir:
        config.work_dir = work_dir
        train_stage(config, source_checkpoint=source)
    measured = StopwatchHook.epochs[1:] or StopwatchHook.epochs
    seconds = {part: statistics.median(epoch[part] for epoch in measured) for part in ('labelling', 'ending')}
    seconds['iteration'] = statistics.median(epoch['training'] / epoch['iterations'] for epoch in measured)
    return {'epochs': planned[0], 'iterations': planned[1], 'measured': len(measured), 'seconds': seconds}


if __name__ == '__main__':
    main()
