"""Log the training speed of each epoch."""

import time

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from dscreid.registry import HOOKS


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
