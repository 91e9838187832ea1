"""Progress bar for validation and test."""

from mmengine.hooks import Hook
from rich.progress import Progress, TaskID

from dscreid.registry import HOOKS
from dscreid.utils.progress import progress_bar


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
        if mode != 'train' and self._bar is not None:
            self._bar.advance(self._task)

    def _after_epoch(self, runner, mode: str = 'train') -> None:
        if mode != 'train' and self._bar is not None:
            self._bar.stop()
            self._bar = None
