"""Progress bar for validation and test."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from rich.progress import Progress, TaskID

from dscreid.registry import HOOKS
from dscreid.utils.progress import progress_bar


@HOOKS.register_module()
class EvaluationProgressHook(Hook):
    """Show a progress bar over validation or test batches."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def _start(self, loop: BaseLoop, description: str) -> None:
        self._bar = progress_bar()
        self._task = self._bar.add_task(description, total=len(loop.dataloader))
        self._bar.start()

    def _advance(self) -> None:
        if self._bar is not None:
            self._bar.advance(self._task)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def before_val_epoch(self, runner) -> None:
        """Open the bar."""
        self._start(runner.val_loop, 'validate')

    def before_test_epoch(self, runner) -> None:
        """Open the bar."""
        self._start(runner.test_loop, 'test')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Advance by one batch."""
        self._advance()

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Advance by one batch."""
        self._advance()

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Close the bar."""
        self._stop()

    def after_test_epoch(self, runner, metrics=None) -> None:
        """Close the bar."""
        self._stop()
