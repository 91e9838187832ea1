"""Heads of LbA: maps aligned with those of the other modality, and their classification."""

import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.two_stream_resnet import generalized_mean
from dscreid.models.heads.identity_head import IdentityHead
from dscreid.models.losses.alignment import draw_partners, partner_candidates, reconstruct
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.reid.base import BNNeck
from dscreid.registry import MODELS


@MODELS.register_module()
class AlignmentHead(nn.Module):
    """Reconstruct maps from a random tracklet of the other modality; see ``dscreid.models.losses.alignment``.

    Args:
        in_features: Channels of the maps.
        num_classes: Not used.
        part: The part of the batch that holds the maps, float (R, T, C, H, W).
        temperature: Factor of the cosine similarity in the softmax, positive (50 in the released code).
    """

    def __init__(self, in_features: int, num_classes: int, part: str, temperature: float = 50.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ConfigError(f'AlignmentHead: temperature must be positive, got {temperature}')
        self.reads, self.out_features, self.temperature = (part,), in_features, temperature

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Reconstruct from the same and from another identity, float (R, 2, T, C, H, W).

        A tracklet without a partner of one kind is reconstructed from itself.
        """
        maps, generator = batch.part(self.reads[0]), torch.Generator().manual_seed(batch.seed)
        both = [draw_partners(kind, generator) for kind in partner_candidates(batch.labels, batch.visible)]
        return torch.stack([reconstruct(maps, partners, self.temperature) for partners in both], dim=1)


@MODELS.register_module()
class ReconstructionHead(nn.Module):
    """Classify what an ``AlignmentHead`` reconstructed from the same identity: GeM, mean over frames, neck, classifier.

    Args:
        in_features: Channels of the maps.
        num_classes: Number of identities.
        part: Output of the ``AlignmentHead``.
        gem_power: Power of the generalized mean, positive.
    """

    def __init__(self, in_features: int, num_classes: int, part: str, gem_power: float = 3.0) -> None:
        super().__init__()
        self.reads, self.out_features, self.gem_power = (part,), num_classes, gem_power
        self.neck = BNNeck(in_features)
        self.classifier = IdentityHead(in_features, num_classes)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, num_classes)."""
        maps = batch.part(self.reads[0])[:, 0]
        pooled = generalized_mean(maps.flatten(0, 1), self.gem_power).unflatten(0, maps.shape[:2]).mean(1)
        return nn.functional.linear(self.neck(pooled), self.classifier.weight)
