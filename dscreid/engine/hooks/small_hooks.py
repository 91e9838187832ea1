"""Hooks of a few lines: weights and random numbers to start from, epochs, memories, losses, speed, a progress bar."""

import random
import time
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook, LoggerHook, RuntimeInfoHook
from rich.progress import Progress, TaskID
from torch import Tensor

from dscreid.engine.schedule import begins_anew
from dscreid.engine.source_weights import load_source_weights, unwrap_model
from dscreid.registry import HOOKS
from dscreid.utils.progress import progress_bar


@HOOKS.register_module()
class SourceWeightsHook(Hook):
    """Load a source model's weights before training, unless the run resumes.

    Args:
        checkpoint: Path of a checkpoint of ``SourceReID``, or one converted from a published model.
        partial: Load the weights that fit from a checkpoint of another architecture; a warning lists the others.
    """

    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str, partial: bool = False) -> None:
        self.checkpoint, self.partial = checkpoint, partial

    def before_train(self, runner) -> None:
        """Load the weights; unless ``partial``, another architecture raises an error that lists the differences."""
        if begins_anew(runner):
            load_source_weights(unwrap_model(runner.model), self.checkpoint, self.partial)
            runner.logger.info(f'source weights: {self.checkpoint}')


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Seed the generators of Python, NumPy and torch from the run's seed, the epoch and the rank.

    A resumed run then draws the same numbers, also in parts that use these generators, such as dropout.
    """

    # before anything else in an epoch
    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        """Seed the generators."""
        words = np.random.SeedSequence([runner.seed or 0, runner.epoch, get_rank()]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(words[1])  # noqa: NPY002  the global generator is the subject here
        torch.manual_seed(int(words[2]))  # of all devices


@HOOKS.register_module()
class LossScheduleHook(Hook):
    """Tell ``SupervisedReID`` the epoch, for losses that begin or end during training."""

    def before_train_epoch(self, runner) -> None:
        """Set the model's epoch."""
        unwrap_model(runner.model).set_epoch(runner.epoch)


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Update the model's memories by equation (2) after each iteration, also if it accumulates gradients."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Update the memories with the features that ``loss`` staged."""
        unwrap_model(runner.model).update_memories()


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """Record what MMEngine's ``RuntimeInfoHook`` records, but read losses from the device only when they are logged.

    MMEngine reads each loss in each iteration, and waits for the GPU. The records are the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unread: list[tuple[str, Any]] = []
        self._intervals: list[int] = []

    def before_train(self, runner) -> None:
        """Find the interval of the log."""
        super().before_train(runner)
        self._intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Keep the losses, and record those that are kept if the log shows them now, or the epoch ends."""
        self._unread += [(f'train/{name}', value) for name, value in (outputs or {}).items()]
        shown = any(self.every_n_inner_iters(batch_idx, interval) for interval in self._intervals)
        if shown or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._record(runner)

    def _record(self, runner) -> None:
        tensors = [value.detach().double() for _, value in self._unread if isinstance(value, Tensor)]
        values = iter(torch.stack(tensors).tolist() if tensors else [])  # one copy for all
        for name, value in self._unread:
            runner.message_hub.update_scalar(name, next(values) if isinstance(value, Tensor) else value)
        self._unread = []


@HOOKS.register_module()
class SpeedHook(Hook):
    """Log the number of tracklets per second in a training epoch, over all ranks."""

    # the clock starts after clustering and stops before checkpoints and validation
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._start = self._end = 0.0
        self._tracklets = 0

    def before_train_epoch(self, runner) -> None:
        """Start the clock."""
        self._start, self._tracklets = time.perf_counter(), 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Count the tracklets of the batch and note the time."""
        self._tracklets += len(data_batch['inputs']) * get_world_size()
        self._end = time.perf_counter()

    def after_train_epoch(self, runner) -> None:
        """Log the rate."""
        if self._tracklets:
            rate = self._tracklets / (self._end - self._start)
            runner.logger.info(f'training: {rate:.1f} tracklets/s')
            runner.visualizer.add_scalars({'speed/tracklets_per_second': rate}, step=runner.epoch + 1)


@HOOKS.register_module()
class EvaluationProgressHook(Hook):
    """Show a progress bar over validation or test batches."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        if mode != 'train':
            loop, description = (runner.val_loop, 'validate') if mode == 'val' else (runner.test_loop, 'test')
            self._bar = progress_bar()
            self._task = self._bar.add_task(description, total=len(loop.dataloader))
            self._bar.start()

    def _after_iter(self, runner, batch_idx, data_batch=None, outputs=None, mode: str = 'train') -> None:
        if self._bar is not None:
            self._bar.advance(self._task)

    def _after_epoch(self, runner, mode: str = 'train') -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
