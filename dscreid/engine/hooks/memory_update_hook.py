"""Update the memories by equation (2) after each iteration."""

from mmengine.hooks import Hook

from dscreid.engine.source_weights import unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Update the model's memories with the features of the finished iteration.

    The update follows the optimizer step. With ``optim_wrapper.accumulative_counts``, it still follows each iteration,
    so the losses of later iterations of a step see the updates of earlier ones.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Update the memories with the features that ``loss`` staged."""
        unwrap_model(runner.model).update_memories()
