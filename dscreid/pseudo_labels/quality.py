"""Quality of pseudo labels compared with true identities, for diagnostics only and never used in training."""

import math
import warnings

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from dscreid.structures import Modality, PseudoLabels, outliers_alone


def adjusted_rand_index(first: np.ndarray, second: np.ndarray) -> float:
    """Scikit-learn's ``adjusted_rand_score``, in [-0.5, 1], without its warning about many small clusters."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return float(adjusted_rand_score(first, second))


def normalized_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Scikit-learn's ``normalized_mutual_info_score``, in [0, 1], without its warning about many small clusters."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return float(normalized_mutual_info_score(first, second))


def quality(labels: np.ndarray, pids: np.ndarray) -> dict[str, float]:
    """Compare int (N,) pseudo labels of one modality, -1 = outlier, with the true person ids of its labeled tracklets.

    Returns:
        ``ari``, adjusted Rand index in [-0.5, 1] (Hubert and Arabie, 1985). ``nmi``, normalized mutual information in
        [0, 1] (arithmetic mean). ``purity``, share of tracklets whose identity is the most frequent one of their
        cluster. ``labelled``, share of tracklets that are not outliers; if it is 0, the first three are NaN.
    """
    labels, pids = _aligned(labels, pids)
    kept = labels >= 0
    if not kept.any():
        return {'ari': math.nan, 'nmi': math.nan, 'purity': math.nan, 'labelled': 0.0}
    majority = _majority_pids(labels[kept], pids[kept])
    right = [majority[label] == pid for label, pid in zip(labels[kept], pids[kept], strict=True)]
    return {
        'ari': adjusted_rand_index(pids[kept], labels[kept]),
        'nmi': normalized_mutual_information(pids[kept], labels[kept]),
        'purity': float(np.mean(right)),
        'labelled': float(kept.mean()),
    }


def ari_of_all(labels: np.ndarray, pids: np.ndarray) -> float:
    """Adjusted Rand index over all tracklets, with each outlier as its own cluster.

    Unlike ``ari`` of :func:`quality`, whose arguments it takes, it can compare clusterings that label different shares.

    Returns:
        A value in [-0.5, 1]. NaN without tracklets.
    """
    labels, pids = _aligned(labels, pids)
    if not len(labels):
        return math.nan
    return adjusted_rand_index(pids, outliers_alone(labels))


def cross_modal_accuracy(labels: PseudoLabels, rgb_pids: np.ndarray, ir_pids: np.ndarray) -> float:
    """Share of the labeled visible tracklets whose label denotes the same person on the infrared side.

    A label denotes the most frequent identity among the infrared tracklets with this label (the smallest id in a tie),
    or no person if there is none. True person ids are int (Nv,) and (Nt,).

    Returns:
        A share in [0, 1]. NaN if the numbering is not shared or no visible tracklet is labeled.
    """
    rgb_labels, rgb_pids = _aligned(labels.rgb, rgb_pids)
    ir_labels, ir_pids = _aligned(labels.ir, ir_pids)
    kept = rgb_labels >= 0
    if not labels.shared or not kept.any():
        return math.nan
    named = _majority_pids(ir_labels[ir_labels >= 0], ir_pids[ir_labels >= 0])
    right = [named.get(label) == pid for label, pid in zip(rgb_labels[kept], rgb_pids[kept], strict=True)]
    return float(np.mean(right))


def label_statistics(labels: PseudoLabels) -> dict[str, float]:
    """Compute values for the log that need no ground truth.

    Returns:
        For each modality m in ``rgb``, ``ir``: ``m_clusters``, ``m_labelled`` (share in [0, 1]), and ``m_median_size``
        of the clusters (0 if there are none).
    """
    figures: dict[str, float] = {}
    for modality in Modality:
        sizes = labels.cluster_sizes(modality)
        figures[f'{modality.value}_clusters'] = float(len(sizes))
        figures[f'{modality.value}_labelled'] = labels.labelled_share(modality)
        figures[f'{modality.value}_median_size'] = float(np.median(sizes)) if len(sizes) else 0.0
    return figures


def label_diagnostics(labels: PseudoLabels, rgb_pids: np.ndarray, ir_pids: np.ndarray) -> dict[str, float]:
    """Compute values for the log that need the true person ids, int (Nv,) and (Nt,), omitting undefined values.

    Returns:
        For each modality m in ``rgb``, ``ir``: ``m_ari``, ``m_nmi``, ``m_purity`` of :func:`quality`. With a shared
        numbering, also ``cross_modal_accuracy``.
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


def _aligned(labels: np.ndarray, pids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, pids = np.asarray(labels), np.asarray(pids)
    if labels.ndim != 1 or labels.shape != pids.shape:
        raise ValueError(f'labels and pids must be aligned vectors, got {labels.shape} and {pids.shape}')
    return labels, pids
