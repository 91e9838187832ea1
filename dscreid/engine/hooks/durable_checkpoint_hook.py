"""Save a checkpoint before the first epoch and after each one, before an older one is removed."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook

from dscreid.engine.checkpoint_files import write_pointer
from dscreid.engine.schedule import begins_anew
from dscreid.errors import ConfigError
from dscreid.registry import HOOKS

_KEPT = 'keep_ckpt_ids'  # MMEngine's name in the message hub


@HOOKS.register_module()
class InitialCheckpointHook(Hook):
    """Save ``epoch_0.pth`` at the start of a new run, so that a run interrupted early can resume."""

    # after the hooks that set weights
    priority = 'VERY_LOW'

    def before_train(self, runner) -> None:
        """Save the state before the first iteration and record it as the last checkpoint."""
        if begins_anew(runner):
            runner.save_checkpoint(runner.work_dir, 'epoch_0.pth', meta=dict(epoch=0, iter=0))
            if is_main_process():
                write_pointer(runner.work_dir, Path(runner.work_dir, 'epoch_0.pth'))


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """Save ``epoch_N.pth``, then name it in ``last_checkpoint``, then remove older checkpoints.

    MMEngine's own hook removes first, and writes the pointer in place, so a full disk or a kill can cost the run.

    Args:
        interval: Number of epochs between checkpoints; the last epoch always has one.
        max_keep_ckpts: Number of checkpoints to keep, -1 for all; ``epoch_0.pth`` does not count.
        save_begin: First epoch, from 0, that may have a checkpoint.
    """

    def __init__(self, interval: int = 1, max_keep_ckpts: int = -1, save_begin: int = 0) -> None:
        if interval < 1 or save_begin < 0 or (max_keep_ckpts < 1 and max_keep_ckpts != -1):
            raise ConfigError(
                'DurableCheckpointHook: needs interval >= 1, save_begin >= 0 and max_keep_ckpts >= 1, or -1 for all, '
                f'got {interval}, {save_begin} and {max_keep_ckpts}'
            )
        super().__init__(interval=interval, max_keep_ckpts=max_keep_ckpts, save_begin=save_begin)

    def before_train(self, runner) -> None:
        """Remove surplus checkpoints left by an interrupted run; see ``CheckpointHook``."""
        super().before_train(runner)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info(_KEPT, list(self.keep_ckpt_ids))

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Override MMEngine's method (0.10.7), which its ``after_train_epoch`` calls."""
        kept = [number for number in runner.message_hub.runtime_info.get(_KEPT, []) if number != step]
        # The checkpoint still lists the files removed below, so a run killed in between removes them on resuming.
        runner.message_hub.update_info(_KEPT, [*kept, step])
        self.last_ckpt = str(Path(self.out_dir, self.filename_tmpl.format(step)))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(self.out_dir, Path(self.last_ckpt).name, meta=meta, by_epoch=self.by_epoch)
        if is_main_process():
            write_pointer(runner.work_dir, self.last_ckpt)
        if self.max_keep_ckpts > 0:
            self._remove_old(runner)

    def _remove_old(self, runner) -> None:
        kept = runner.message_hub.runtime_info[_KEPT]
        runner.message_hub.update_info(_KEPT, kept[-self.max_keep_ckpts :])
        for number in kept[: -self.max_keep_ckpts] if is_main_process() else ():
            Path(self.out_dir, self.filename_tmpl.format(number)).unlink(missing_ok=True)
