"""Quality of pseudo labels compared with true identities, for diagnostics only and never used in training."""

import math
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from dscreid.structures import Modality, PseudoLabels, outliers_alone


def quiet_score(score: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray) -> float:
    """Compare two clusterings, int (N,), by a score of scikit-learn without its warning about many small clusters."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return float(score(first, second))


def quality(labels: np.ndarray, pids: np.ndarray) -> dict[str, float]:
    """Compare int (N,) pseudo labels of one modality, -1 = outlier, with the true person ids of its labeled tracklets.

    Returns ``ari``, adjusted Rand index in [-0.5, 1] (Hubert and Arabie, 1985). ``nmi``, normalized mutual information
    in [0, 1] (arithmetic mean). ``purity``, share of tracklets whose identity is the most frequent one of their
    cluster. ``labelled``, share of tracklets that are not outliers; if it is 0, the first three are NaN.
    """
    kept = labels >= 0
    if not kept.any():
        return {'ari': math.nan, 'nmi': math.nan, 'purity': math.nan, 'labelled': 0.0}
    labeled, people = labels[kept], pids[kept]
    return {
        'ari': quiet_score(adjusted_rand_score, people, labeled),
        'nmi': quiet_score(normalized_mutual_info_score, people, labeled),
        'purity': float(_is_named(labeled, people, _majority_pids(labeled, people)).mean()),
        'labelled': float(kept.mean()),
    }


def ari_of_all(labels: np.ndarray, pids: np.ndarray) -> float:
    """Adjusted Rand index over all tracklets, with each outlier as its own cluster.

    In [-0.5, 1], NaN without tracklets. Unlike ``ari`` of :func:`quality`, whose arguments it takes, it can compare
    clusterings that label different shares.
    """
    if not len(labels):
        return math.nan
    return quiet_score(adjusted_rand_score, pids, outliers_alone(labels))


def cross_modal_accuracy(labels: PseudoLabels, rgb_pids: np.ndarray, ir_pids: np.ndarray) -> float:
    """Share of the labeled visible tracklets whose label denotes the same person on the infrared side.

    In [0, 1]; NaN if the numbering is not shared or no visible tracklet is labeled. See :func:`denotes_the_person`.
    """
    kept = labels.rgb >= 0
    if not labels.shared or not kept.any():
        return math.nan
    return float(denotes_the_person(labels, rgb_pids, ir_pids)[kept].mean())


def denotes_the_person(labels: PseudoLabels, rgb_pids: np.ndarray, ir_pids: np.ndarray) -> np.ndarray:
    """Whether the label of each visible tracklet denotes its person on the infrared side, bool (Nv,).

    A label denotes the most frequent identity, int (Nv,) and (Nt,), among its infrared tracklets (the smallest id in a
    tie), or nobody without any. The numbering is shared.
    """
    known = labels.ir >= 0
    return _is_named(labels.rgb, rgb_pids, _majority_pids(labels.ir[known], ir_pids[known]))


def label_statistics(labels: PseudoLabels) -> dict[str, float]:
    """Compute ``clusters``, ``labelled`` (share in [0, 1]) and ``median_size`` (0 without clusters) of each modality.

    Keys begin with ``rgb_`` and ``ir_``. If the modalities share their labels, ``rgb_unified`` is the share of visible
    tracklets with a label that infrared tracklets have too.
    """
    figures: dict[str, float] = {}
    for modality in Modality:
        sizes = labels.cluster_sizes(modality)
        figures[f'{modality.value}_clusters'] = float(len(sizes))
        figures[f'{modality.value}_labelled'] = labels.labelled_share(modality)
        figures[f'{modality.value}_median_size'] = float(np.median(sizes)) if len(sizes) else 0.0
    if labels.shared:
        figures['rgb_unified'] = labels.unified_share(Modality.RGB)
    return figures


def label_diagnostics(labels: PseudoLabels, rgb_pids: np.ndarray, ir_pids: np.ndarray) -> dict[str, float]:
    """Compare labels with the true person ids, int (Nv,) and (Nt,), omitting undefined values.

    Returns ``ari``, ``nmi`` and ``purity`` of :func:`quality`, with ``rgb_`` and ``ir_``, and ``cross_modal_accuracy``.
    """
    figures: dict[str, float] = {}
    for modality, pids in ((Modality.RGB, rgb_pids), (Modality.IR, ir_pids)):
        values = quality(labels.of(modality), pids)
        figures |= {f'{modality.value}_{name}': values[name] for name in ('ari', 'nmi', 'purity')}
    figures['cross_modal_accuracy'] = cross_modal_accuracy(labels, rgb_pids, ir_pids)
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _majority_pids(labels: np.ndarray, pids: np.ndarray) -> dict[int, int]:
    """Most frequent person id of each label; the smallest in a tie."""
    pairs, counts = np.unique(np.stack([labels, pids], axis=1), axis=0, return_counts=True)
    # The most frequent pair of each label comes last, so the dictionary keeps it.
    order = np.lexsort((-pairs[:, 1], counts, pairs[:, 0]))
    return {int(label): int(pid) for label, pid in pairs[order]}


def _is_named(labels: np.ndarray, pids: np.ndarray, names: dict[int, int]) -> np.ndarray:
    return np.array([names.get(label) == pid for label, pid in zip(labels, pids, strict=True)], bool)
