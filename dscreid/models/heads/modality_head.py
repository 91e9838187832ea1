"""Classifier of modalities for adversarial training (MITML)."""

from typing import cast

import torch
from torch import Tensor, nn

from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.registry import MODELS


@MODELS.register_module()
class ModalityHead(nn.Module):
    """Small classifier of visible, infrared, and a third class that stands for neither.

    Args:
        in_features: Width D of the part.
        num_classes: Not used.
        width: Width of the hidden layer.
        part: The part of the batch that is classified.
    """

    def __init__(self, in_features: int, num_classes: int, width: int = 256, part: str = 'static') -> None:
        super().__init__()
        self.reads, self.out_features = (part,), 3
        self.layers = nn.Sequential(nn.Linear(in_features, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits twice, float32 (R, 2, 3): the first train this classifier, the second the encoder."""
        features = batch.part(self.reads[0])
        fixed = {name: parameter.detach() for name, parameter in self.layers.named_parameters()}
        for_encoder = cast(Tensor, torch.func.functional_call(self.layers, fixed, (features,)))
        return torch.stack([self.layers(features.detach()), for_encoder], dim=1).float()
