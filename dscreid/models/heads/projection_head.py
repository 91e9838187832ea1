"""Linear projections of a part."""

from torch import Tensor, nn

from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.registry import MODELS


@MODELS.register_module()
class ProjectionHead(nn.Linear):
    """Linear projection of a part.

    Args:
        in_features: Width D of the part.
        num_classes: Not used.
        width: Width of the projection.
        part: The part of the batch that is projected.
        trained: Whether the projection learns; otherwise it keeps its random weights.
    """

    def __init__(self, in_features: int, num_classes: int, width: int, part: str, trained: bool = True) -> None:
        super().__init__(in_features, width)
        self.reads = (part,)
        self.requires_grad_(trained)

    def forward(self, batch: LabeledBatch) -> Tensor:  # type: ignore[override]  # a part instead of a tensor
        """Project the part: float (R, width)."""
        return super().forward(batch.part(self.reads[0]))
