"""Update the memories by equation (2) after each iteration."""

from mmengine.hooks import Hook

from dscreid.engine.source_weights import unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Update the model's memories with the features of the finished iteration.

    The update follows the optimizer step, so the gradients of an iteration see the memories that its losses were
    computed with. With accumulated gradients (``optim_wrapper.accumulative_counts``), it still follows each iteration:
    all iterations of a step share the same weights, and the losses of later iterations see the updates of earlier ones.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Update the memories with the features that ``loss`` staged."""
        unwrap_model(runner.model).update_memories()
