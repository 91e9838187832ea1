"""A checkpoint after each epoch, written before an older one is removed."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook

from dscreid.engine.checkpoint_files import write_pointer
from dscreid.errors import ConfigError
from dscreid.registry import HOOKS

_KEPT = 'keep_ckpt_ids'  # MMEngine's name in the message hub


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """Save ``epoch_N.pth``, then name it in ``last_checkpoint``, then remove what is too old.

    MMEngine's own hook removes first, so that a full disk can cost the last good checkpoint, and writes the pointer
    in place, so that a kill can leave it empty.

    Args:
        interval: Epochs from one checkpoint to the next; the last epoch always has one.
        max_keep_ckpts: How many to keep, -1 for all; ``epoch_0.pth`` is not among them.
        save_begin: First epoch, from 0, that may have one.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(self, interval: int = 1, max_keep_ckpts: int = -1, save_begin: int = 0) -> None:
        if interval < 1 or save_begin < 0 or (max_keep_ckpts < 1 and max_keep_ckpts != -1):
            raise ConfigError(
                'DurableCheckpointHook: needs interval >= 1, save_begin >= 0 and max_keep_ckpts >= 1, or -1 for all, '
                f'got {interval}, {save_begin} and {max_keep_ckpts}'
            )
        super().__init__(interval=interval, max_keep_ckpts=max_keep_ckpts, save_begin=save_begin)

    def before_train(self, runner) -> None:
        """Remove what a run that was killed in time left too much of; see ``CheckpointHook``."""
        super().before_train(runner)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info(_KEPT, list(self.keep_ckpt_ids))

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """In the place of MMEngine's method of this name (0.10.7), which its ``after_train_epoch`` calls."""
        kept = [number for number in runner.message_hub.runtime_info.get(_KEPT, []) if number != step]
        # The checkpoint still lists what is removed below: a run that is killed in between removes it when it resumes.
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
        if is_main_process():
            for number in kept[: -self.max_keep_ckpts]:
                Path(self.out_dir, self.filename_tmpl.format(number)).unlink(missing_ok=True)
