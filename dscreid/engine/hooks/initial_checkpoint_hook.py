"""A checkpoint before the first epoch, so that an early interruption can be resumed."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from dscreid.engine.checkpoint_files import write_pointer
from dscreid.engine.schedule import begins_anew
from dscreid.registry import HOOKS


@HOOKS.register_module()
class InitialCheckpointHook(Hook):
    """Save ``epoch_0.pth`` at the start of a run that does not resume."""

    # after the hooks that set weights, so that the saved ones are those that training starts from
    priority = 'VERY_LOW'

    def before_train(self, runner) -> None:
        """Save the state before the first iteration and name it as the last checkpoint."""
        if not begins_anew(runner):
            return
        runner.save_checkpoint(runner.work_dir, 'epoch_0.pth', meta=dict(epoch=0, iter=0))
        if is_main_process():
            write_pointer(runner.work_dir, Path(runner.work_dir, 'epoch_0.pth'))
