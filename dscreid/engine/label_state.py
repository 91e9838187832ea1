"""Convert pseudo labels to tensors for a checkpoint, and check labels restored from one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from dscreid.errors import CheckpointError
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality

_CSR = ('data', 'indices', 'indptr')


def labels_state(labels: PseudoLabels) -> dict[str, Any]:
    """Convert labels to tensors, numbers and strings, which ``torch.load(weights_only=True)`` can read."""
    cross, groups = labels.cross, labels.groups
    return {
        'shared': labels.shared,
        'own': {m.value: torch.from_numpy(labels.of(m)) for m in Modality},
        'cross': cross and {m.value: torch.from_numpy(cross.of(m)) for m in Modality},
        'cross_soft': cross and _soft_state(cross.soft),
        'matches': None if labels.matches is None else torch.from_numpy(labels.matches),
        'soft': _soft_state(labels.soft),
        'groups': groups and {m.value: torch.from_numpy(groups[m]) for m in Modality},
        'center_modality': labels.center_modality and labels.center_modality.value,
    }


def labels_from_state(state: Mapping[str, Any]) -> PseudoLabels:
    """Restore labels from the result of :func:`labels_state`."""
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


def check_labels(labels: PseudoLabels, counts: Mapping[Modality, int]) -> None:
    """Raise a CheckpointError if labels from a checkpoint belong to other tracklets, or their parts do not fit."""
    cross = labels.cross
    for modality, count in counts.items():
        found = {'labels': len(labels.of(modality))}
        if cross is not None:
            found['cross labels'] = len(cross.of(modality))
        for name, soft in (('soft', labels.soft), ('soft cross', cross and cross.soft)):
            if soft is not None and modality in soft:
                found[f'{name} labels'] = len(soft[modality].weights)
                _check_soft(soft[modality], f'{name} labels of {modality.value}')
        for name, length in found.items():
            if length != count:
                raise CheckpointError(f'{length} {name} for {count} {modality.value} tracklets')
        _check_clusters(labels, modality)


def _check_soft(soft: SoftTargets, name: str) -> None:
    try:
        soft.probabilities.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f'{name}: {error}') from error
    if not (np.isfinite(soft.probabilities.data).all() and np.isfinite(soft.weights).all()):
        raise CheckpointError(f'{name} are not finite')


def _check_clusters(labels: PseudoLabels, modality: Modality) -> None:
    """Check that groups and matches refer to existing clusters."""
    clusters = int(labels.of(modality).max(initial=-1)) + 1
    groups, matches = labels.groups, labels.matches
    if groups is not None and len(groups[modality]) < clusters:
        raise CheckpointError(f'{len(groups[modality])} groups for {clusters} {modality.value} clusters')
    if matches is None:
        return
    if matches.ndim != 2 or matches.shape[1] != len(Modality):
        raise CheckpointError(f'matches of shape {matches.shape}, not (P, 2)')
    matched = matches[:, list(Modality).index(modality)]
    if len(matched) and not 0 <= matched.min() <= matched.max() < clusters:
        raise CheckpointError(f'matches with {modality.value} clusters that do not exist')


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
