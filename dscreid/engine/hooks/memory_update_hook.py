"""Equation (2) after each iteration."""

from mmengine.hooks import Hook

from dscreid.engine.source_weights import unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class MemoryUpdateHook(Hook):
    """Let the model write the features of the finished iteration into its memories.

    The update comes after the optimizer step, so that the gradients of an iteration see the memories as they
    were when its losses were computed. With accumulated gradients (``optim_wrapper.accumulative_counts``) it still
    comes after each iteration: what it writes are features of the weights that all iterations of a step share, and
    the losses of a later one see what the earlier ones wrote.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Update the memories with the features that ``loss`` staged."""
        unwrap_model(runner.model).update_memories()
