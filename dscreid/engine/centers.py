"""Cluster centers that one epoch passes to the labeler of the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dscreid.errors import CheckpointError
from dscreid.models.memories import TargetMemories
from dscreid.structures import Modality, TrackletFeatures


@dataclass(frozen=True)
class Centers:
    """Centers of the clusters of both modalities.

    Attributes:
        features: Features by modality, C rows each; the same object for both if the labels are shared.
        groups: Group of each center by modality, int64 (C,); None without groups.
    """

    features: Mapping[Modality, TrackletFeatures]
    groups: Mapping[Modality, np.ndarray] | None = None

    def state(self) -> dict[str, Any]:
        """Convert the centers to tensors for a checkpoint."""
        shared = self.features[Modality.RGB] is self.features[Modality.IR]
        groups = None
        if self.groups is not None:
            groups = {m.value: torch.from_numpy(self.groups[m]) for m in Modality}
        kept = (Modality.RGB,) if shared else tuple(Modality)
        features = {m.value: (self.features[m].static.cpu(), self.features[m].dynamic.cpu()) for m in kept}
        return {'features': features, 'groups': groups}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> 'Centers':
        """Restore centers from the result of :meth:`state`."""
        kept = {name: TrackletFeatures(*halves) for name, halves in state['features'].items()}
        features = {m: kept.get(m.value, kept[Modality.RGB.value]) for m in Modality}
        groups = None if state['groups'] is None else {m: state['groups'][m.value].numpy() for m in Modality}
        return cls(features, groups)


def check_centers(centers: Centers, dimension: int) -> None:
    """Raise a CheckpointError if centers from a checkpoint are not finite, or do not fit the dimension or groups."""
    for modality, features in centers.features.items():
        name, halves = f'{modality.value} cluster centers', (features.static, features.dynamic)
        if not len(features) or features.static.shape[1] != dimension:
            raise CheckpointError(f'{name} of shape {tuple(features.static.shape)}, not (C, {dimension})')
        if not all(half.is_floating_point() and half.isfinite().all() for half in halves):
            raise CheckpointError(f'{name} that are not finite')
        if centers.groups is not None and centers.groups[modality].shape != (len(features),):
            raise CheckpointError(f'{len(centers.groups[modality])} groups for {len(features)} {name}')


def held_centers(memories: TargetMemories, groups: Mapping[Modality, np.ndarray] | None = None) -> Centers | None:
    """Return the centers that memories hold, with the groups of their labels; None before the memories are built."""
    visible = memories.cluster_memory(Modality.RGB).features()
    if not len(visible):
        return None
    infrared = visible if memories.shared else memories.cluster_memory(Modality.IR).features()
    return Centers({Modality.RGB: visible, Modality.IR: infrared}, groups)
