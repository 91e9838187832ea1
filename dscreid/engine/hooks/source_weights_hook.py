"""Start an adaptation from the weights of its source stage."""

from mmengine.hooks import Hook

from dscreid.engine.schedule import begins_anew
from dscreid.engine.source_weights import load_source_weights, unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class SourceWeightsHook(Hook):
    """Load a source model's weights before training, unless the run resumes its own.

    Args:
        checkpoint: Path of a checkpoint of ``SourceReID``, or one converted from a published model.
        partial: Take what fits of a checkpoint of another architecture, with a warning that lists the rest.
    """

    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str, partial: bool = False) -> None:
        self.checkpoint = checkpoint
        self.partial = partial

    def before_train(self, runner) -> None:
        """Load strictly, unless ``partial``: another architecture is refused with the list of differences."""
        if begins_anew(runner):
            load_source_weights(unwrap_model(runner.model), self.checkpoint, self.partial)
            runner.logger.info(f'source weights: {self.checkpoint}')
