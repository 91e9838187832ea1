"""Pseudo labels as tensors, for a checkpoint."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality


def labels_state(labels: PseudoLabels) -> dict[str, Any]:
    """Tensors, numbers and strings alone, such as ``torch.load(weights_only=True)`` reads."""
    cross = labels.cross
    return {
        'shared': labels.shared,
        'own': {m.value: torch.from_numpy(labels.of(m)) for m in Modality},
        'cross': cross and {m.value: torch.from_numpy(cross.of(m)) for m in Modality},
        'cross_soft': cross and _soft_state(cross.soft),
        'matches': None if labels.matches is None else torch.from_numpy(labels.matches),
        'soft': _soft_state(labels.soft),
        'groups': labels.groups and {m.value: torch.from_numpy(labels.groups[m]) for m in Modality},
        'center_modality': labels.center_modality and labels.center_modality.value,
    }


def labels_from_state(state: Mapping[str, Any]) -> PseudoLabels:
    """The labels whose :func:`labels_state` it is."""
    own, cross, center = state['own'], state['cross'], state['center_modality']
    return PseudoLabels(
        rgb=own['rgb'].numpy(),
        ir=own['ir'].numpy(),
        shared=state['shared'],
        cross=cross and CrossLabels(cross['rgb'].numpy(), cross['ir'].numpy(), _soft(state['cross_soft'])),
        matches=None if state['matches'] is None else state['matches'].numpy(),
        soft=_soft(state['soft']),
        groups=state['groups'] and {m: state['groups'][m.value].numpy() for m in Modality},
        center_modality=center and Modality(center),
    )


def _soft_state(soft: Mapping[Modality, SoftTargets] | None) -> dict[str, Any] | None:
    if soft is None:
        return None
    return {
        modality.value: {
            **{part: torch.from_numpy(np.asarray(getattr(targets.probabilities, part))) for part in _CSR},
            'shape': list(targets.probabilities.shape),
            'weights': torch.from_numpy(targets.weights),
        }
        for modality, targets in soft.items()
    }


def _soft(state: Mapping[str, Any] | None) -> dict[Modality, SoftTargets] | None:
    if state is None:
        return None
    return {
        Modality(name): SoftTargets(
            csr_array(tuple(part[key].numpy() for key in _CSR), shape=tuple(part['shape'])),
            part['weights'].numpy(),
        )
        for name, part in state.items()
    }


_CSR = ('data', 'indices', 'indptr')
