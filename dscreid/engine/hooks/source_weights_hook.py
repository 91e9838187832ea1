"""Start adaptation from the weights of the source stage."""

from mmengine.hooks import Hook

from dscreid.engine.schedule import begins_anew
from dscreid.engine.source_weights import load_source_weights, unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class SourceWeightsHook(Hook):
    """Load a source model's weights before training, unless the run resumes.

    Args:
        checkpoint: Path of a checkpoint of ``SourceReID``, or one converted from a published model.
        partial: Load the weights that fit from a checkpoint of another architecture; a warning lists the others.
    """

    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str, partial: bool = False) -> None:
        self.checkpoint = checkpoint
        self.partial = partial

    def before_train(self, runner) -> None:
        """Load the weights; unless ``partial``, another architecture raises an error that lists the differences."""
        if begins_anew(runner):
            load_source_weights(unwrap_model(runner.model), self.checkpoint, self.partial)
            runner.logger.info(f'source weights: {self.checkpoint}')
