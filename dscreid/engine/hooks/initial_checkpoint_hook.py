"""Save a checkpoint before the first epoch, so that a run interrupted early can resume."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from dscreid.engine.checkpoint_files import write_pointer
from dscreid.engine.schedule import begins_anew
from dscreid.registry import HOOKS


@HOOKS.register_module()
class InitialCheckpointHook(Hook):
    """Save ``epoch_0.pth`` at the start of a new run."""

    # after the hooks that set weights, to save the weights that training starts from
    priority = 'VERY_LOW'

    def before_train(self, runner) -> None:
        """Save the state before the first iteration and record it as the last checkpoint."""
        if not begins_anew(runner):
            return
        runner.save_checkpoint(runner.work_dir, 'epoch_0.pth', meta=dict(epoch=0, iter=0))
        if is_main_process():
            write_pointer(runner.work_dir, Path(runner.work_dir, 'epoch_0.pth'))
