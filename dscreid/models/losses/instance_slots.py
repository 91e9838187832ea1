"""Loss against several instances of each cluster (PCLHD)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.models.losses.functional import OUTLIER
from dscreid.models.precision import full_precision
from dscreid.structures import TrackletFeatures


def instance_slot_loss(features: Tensor, slots: Tensor, labels: Tensor, temperature: float = 0.05) -> Tensor:
    """Compute the dynamic loss of PCLHD (Shi et al., NeurIPS 2024) against K instances, "slots", of each cluster.

    The logit of a cluster is ``n(f) . slot / temperature`` of one of its slots: the least similar one for the own
    cluster, the most similar one for others. The loss is the mean cross-entropy, or a differentiable 0 without labels.

    Args:
        features: float (B, D), L2-normalized by this function.
        slots: (K, C, D), L2-normalized; receives no gradient.
        labels: int64 (B,) in [0, C), -1 = outlier, which is ignored.
        temperature: Softmax temperature, positive.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = F.normalize(full_precision(features), dim=1)
        similarities = torch.einsum('bd,kcd->kbc', features, slots.detach().to(features.dtype)) / temperature
        own = F.one_hot(labels.clamp(min=0), slots.shape[1]).bool()
        logits = torch.where(own, similarities.amin(0), similarities.amax(0))
        total = F.cross_entropy(logits, labels, ignore_index=OUTLIER, reduction='sum')
        return total / (labels != OUTLIER).sum().clamp(min=1)


class InstanceSlots(nn.Module):
    """K instances of each cluster of one modality, drawn with replacement, as static and dynamic rows (K, C, D)."""

    static: Tensor
    dynamic: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer('static', torch.empty(count, 0, 0), persistent=False)
        self.register_buffer('dynamic', torch.empty(count, 0, 0), persistent=False)

    def reset(self, features: TrackletFeatures, labels: np.ndarray, rng: np.random.Generator) -> None:
        """Draw instances from N features by their labels, int64 (N,), clusters from 0 without gaps, -1 = outlier."""
        clusters = [np.flatnonzero(labels == number) for number in range(labels.max() + 1)]
        rows = np.stack([rng.choice(members, self.count) for members in clusters], axis=1)  # (K, C)
        chosen = torch.from_numpy(rows).to(features.static.device)
        for name in ('static', 'dynamic'):
            values = F.normalize(getattr(features, name)[chosen].float(), dim=-1)
            setattr(self, name, values.to(getattr(self, name).device))
