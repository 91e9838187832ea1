"""Record the epoch that is best on the test set, for comparison with published figures."""

from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from dscreid.engine.schedule import begins_anew
from dscreid.engine.selected_on_test import CHECKPOINT_FILE, RECORD_FILE, SelectedEpoch, read_selected
from dscreid.errors import ConfigError
from dscreid.registry import HOOKS


@HOOKS.register_module()
class SelectedOnTestHook(Hook):
    """Record the test metrics of the epoch with the highest value of one of them.

    Released code of unsupervised visible-infrared re-ID reports that epoch, which no one without test labels could
    choose. Nothing else depends on it: the result of a run is its last epoch. The record is ``test_selected.json``, the
    weights are ``test_selected.pth``. The validation set must be the test set. Among equal values, the first epoch
    stays.

    Args:
        metric: Name of the test metric, such as ``'ir2rgb/mAP'``.
    """

    priority = 'VERY_LOW'

    def __init__(self, metric: str = 'mean/mAP') -> None:
        self.metric = metric
        self.selected: SelectedEpoch | None = None

    def before_train(self, runner) -> None:
        """Continue the record of a resumed run; for a new run, remove that of an earlier one."""
        if is_main_process() and begins_anew(runner):
            for name in (RECORD_FILE, CHECKPOINT_FILE):
                Path(runner.work_dir, name).unlink(missing_ok=True)
        self.selected = None if begins_anew(runner) else read_selected(runner.work_dir)

    def after_val_epoch(self, runner, metrics: Mapping[str, float] | None = None) -> None:
        """Save weights and record if the epoch is the best so far; raise ConfigError without the metric."""
        metrics = {name: float(value) for name, value in (metrics or {}).items()}
        if self.metric not in metrics:
            found = ', '.join(sorted(metrics)) or 'none'
            raise ConfigError(f'SelectedOnTestHook: there is no metric {self.metric!r}; the test gives {found}')
        if self.selected is not None and metrics[self.metric] <= self.selected.value:
            return
        self.selected = SelectedEpoch(self.metric, runner.epoch, metrics)
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        runner.save_checkpoint(
            runner.work_dir, CHECKPOINT_FILE, save_optimizer=False, save_param_scheduler=False, meta=meta
        )
        if is_main_process():
            self.selected.write(runner.work_dir)
