"""Pseudo labels and cluster centers that one epoch leaves to the next, and their form in a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from dscreid.models.memories import TargetMemories
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality, TrackletFeatures

_CSR = ('data', 'indices', 'indptr')


@dataclass(frozen=True)
class Centers:
    """Cluster centers by modality, C rows each, the same object if shared; groups int64 (C,), None without groups."""

    features: Mapping[Modality, TrackletFeatures]
    groups: Mapping[Modality, np.ndarray] | None = None

    def state(self) -> dict[str, Any]:
        """Convert the centers to tensors for a checkpoint."""
        shared = self.features[Modality.RGB] is self.features[Modality.IR]
        kept = (Modality.RGB,) if shared else tuple(Modality)
        features = {m.value: (self.features[m].static.cpu(), self.features[m].dynamic.cpu()) for m in kept}
        return {'features': features, 'groups': self.groups and _tensors(self.groups)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device | str = 'cpu') -> 'Centers':
        """Restore centers, on a device, from the result of :meth:`state`."""
        moved = {name: [half.to(device) for half in halves] for name, halves in state['features'].items()}
        kept = {name: TrackletFeatures(*halves) for name, halves in moved.items()}
        features = {m: kept.get(m.value, kept[Modality.RGB.value]) for m in Modality}
        return cls(features, state['groups'] and _arrays(state['groups']))


def held_centers(memories: TargetMemories, groups: Mapping[Modality, np.ndarray] | None = None) -> Centers | None:
    """Return the centers that memories hold, with the groups of their labels; None before the memories are built."""
    visible = memories.cluster_memory(Modality.RGB).features()
    if not len(visible):
        return None
    infrared = visible if memories.shared else memories.cluster_memory(Modality.IR).features()
    return Centers({Modality.RGB: visible, Modality.IR: infrared}, groups)


def labels_state(labels: PseudoLabels) -> dict[str, Any]:
    """Convert labels to tensors, numbers and strings, which ``torch.load(weights_only=True)`` can read."""
    cross = labels.cross
    return {
        'shared': labels.shared,
        'own': _tensors({m: labels.of(m) for m in Modality}),
        'cross': cross and _tensors({m: cross.of(m) for m in Modality}),
        'cross_soft': cross and cross.soft and _soft_state(cross.soft),
        'matches': None if labels.matches is None else torch.from_numpy(labels.matches),
        'partners': None if labels.partners is None else torch.from_numpy(labels.partners),
        'soft': labels.soft and _soft_state(labels.soft),
        'groups': labels.groups and _tensors(labels.groups),
        'center_modality': labels.center_modality and labels.center_modality.value,
        'center_labels': labels.center_labels and _tensors(labels.center_labels),
        'joint': labels.joint and _tensors(labels.joint),
    }


def labels_from_state(state: Mapping[str, Any]) -> PseudoLabels:
    """Restore labels from the result of :func:`labels_state`."""
    cross, soft = (state[name] and _soft(state[name]) for name in ('cross_soft', 'soft'))
    return PseudoLabels(
        *_arrays(state['own']).values(),
        shared=state['shared'],
        cross=state['cross'] and CrossLabels(*_arrays(state['cross']).values(), cross),
        matches=None if state['matches'] is None else state['matches'].numpy(),
        partners=None if state['partners'] is None else state['partners'].numpy(),
        soft=soft,
        groups=state['groups'] and _arrays(state['groups']),
        center_modality=state['center_modality'] and Modality(state['center_modality']),
        center_labels=state['center_labels'] and _arrays(state['center_labels']),
        joint=state.get('joint') and _arrays(state['joint']),  # missing in checkpoints of older versions
    )


def _tensors(arrays: Mapping[Modality, np.ndarray]) -> dict[str, torch.Tensor]:
    return {m.value: torch.from_numpy(arrays[m]) for m in Modality}


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[Modality, np.ndarray]:
    return {m: tensors[m.value].numpy() for m in Modality}


def _soft_state(soft: Mapping[Modality, SoftTargets]) -> dict[str, Any]:
    return {
        modality.value: {
            **{part: torch.from_numpy(getattr(targets.probabilities, part)) for part in _CSR},
            'shape': list(targets.probabilities.shape),
            'weights': torch.from_numpy(targets.weights),
        }
        for modality, targets in soft.items()
    }


def _soft(state: Mapping[str, Any]) -> dict[Modality, SoftTargets]:
    return {
        Modality(name): SoftTargets(
            csr_array(tuple(part[key].numpy() for key in _CSR), shape=tuple(part['shape'])), part['weights'].numpy()
        )
        for name, part in state.items()
    }
