"""Label-free criteria that estimate the quality of an epoch's weights from unlabeled target features only.

Each value lies in [-1, 1], higher is better, and NaN means undefined. No criterion needs a person id, so they
may be used to choose a checkpoint. A clustering that has collapsed into a few clusters still scores well in
:func:`cycle_consistency` and :func:`label_agreement`, so check the number of clusters as well.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from dscreid.errors import LabelingError
from dscreid.neighbors.knn import knn
from dscreid.pseudo_labels.descriptors import tracklet_descriptors
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.pseudo_labels.silhouette import silhouette
from dscreid.structures import Modality, TrackletFeatures

#: Criteria for choosing a checkpoint. Each is the mean of the values with the suffixes ``_rgb`` and ``_ir``.
CRITERIA = ('silhouette', 'static_dynamic_agreement', 'cycle_consistency', 'cycle_return', 'stability')


def label_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index (Hubert and Arabie, 1985) of two clusterings, on the tracklets labeled by both.

    Args:
        first: int (N,), -1 = outlier.
        second: int (N,), -1 = outlier. Its numbering may differ from the first.

    Returns:
        A value in [-0.5, 1], 0 for chance. NaN if fewer than two tracklets are labeled by both.

    Raises:
        ValueError: If the shapes do not match.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f'two label vectors of one length are needed, got {first.shape} and {second.shape}')
    common = (first >= 0) & (second >= 0)
    if common.sum() < 2:
        return math.nan
    return float(adjusted_rand_score(first[common], second[common]))


def round_trips(visible: Tensor | np.ndarray, infrared: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Go from each tracklet to the nearest one of the other modality, and from there back to the nearest one.

    Args:
        visible: Float (Nv, D), compared by cosine similarity.
        infrared: Float (Nt, D).

    Returns:
        int64 (Nv,), the visible tracklet at the end of each visible tracklet's trip, and int64 (Nt,), the
        same for infrared tracklets.

    Raises:
        ValueError: If a modality has no tracklet.
    """
    if not len(visible) or not len(infrared):
        raise ValueError(
            f'a round trip needs tracklets of both modalities, got {len(visible)} visible and {len(infrared)} infrared'
        )
    to_infrared = knn(visible, infrared, 1)[1][:, 0]
    to_visible = knn(infrared, visible, 1)[1][:, 0]
    return to_visible[to_infrared].cpu().numpy(), to_infrared[to_visible].cpu().numpy()


def cycle_return(trips: np.ndarray) -> float:
    """Share of tracklets whose round trip ends where it began (mutual nearest neighbors across modalities).

    Args:
        trips: int64 (N,), one of the results of :func:`round_trips`.

    Returns:
        A share in [0, 1]. NaN without tracklets.
    """
    return float((trips == np.arange(len(trips))).mean()) if len(trips) else math.nan


def cycle_consistency(trips: np.ndarray, labels: np.ndarray) -> float:
    """Share of labeled tracklets whose round trip ends at a tracklet with the same label.

    Args:
        trips: int64 (N,), one of the results of :func:`round_trips`.
        labels: int (N,), -1 = outlier. A trip that ends at an outlier is not consistent.

    Returns:
        A share in [0, 1]. NaN without a labeled tracklet.
    """
    labels = np.asarray(labels)
    if labels.shape != np.shape(trips):
        raise ValueError(f'one label per round trip is needed, got {labels.shape} and {np.shape(trips)}')
    kept = labels >= 0
    return float((labels[trips[kept]] == labels[kept]).mean()) if kept.any() else math.nan


def single_feature_labels(
    clustering: Callable, visible: TrackletFeatures, infrared: TrackletFeatures
) -> tuple[PseudoLabels, PseudoLabels] | None:
    """Cluster twice: once with only the static features, once with only the dynamic features.

    Args:
        clustering: A labeler that concatenates both features, such as ``ClusterLabeler``. It receives the
            same feature twice, so it sees the cosine similarity of that feature.
        visible: Features of the Nv visible tracklets.
        infrared: Features of the Nt infrared tracklets.

    Returns:
        Labels from static and labels from dynamic features. None if one of them forms no cluster.
    """
    try:
        return tuple(
            clustering(*(_twice(features, name) for features in (visible, infrared)))
            for name in ('static', 'dynamic')
        )
    except LabelingError:
        return None


def label_free_criteria(
    visible: TrackletFeatures,
    infrared: TrackletFeatures,
    labels: PseudoLabels,
    previous: PseudoLabels | None = None,
    single: tuple[PseudoLabels, PseudoLabels] | None = None,
) -> dict[str, float]:
    """Compute all criteria for one round of labeling, omitting undefined values.

    Args:
        visible: Features of the Nv visible tracklets.
        infrared: Features of the Nt infrared tracklets.
        labels: Their pseudo labels.
        previous: Labels of the previous round. None omits ``stability``.
        single: Result of :func:`single_feature_labels`. None omits ``static_dynamic_agreement``.

    Returns:
        Values by name: those in ``CRITERIA``, and the same names with ``_rgb`` and ``_ir`` for each modality.
        A mean is only given if both modalities have the value, so that it means the same in every epoch.
    """
    rgb, ir = tracklet_descriptors(visible), tracklet_descriptors(infrared)
    values = {name: {} for name in CRITERIA}
    for modality, descriptors, trips in zip(Modality, (rgb, ir), round_trips(rgb, ir), strict=True):
        own = labels.of(modality)
        values['silhouette'][modality] = silhouette(descriptors, own)
        values['cycle_consistency'][modality] = cycle_consistency(trips, own)
        values['cycle_return'][modality] = cycle_return(trips)
        if single is not None:
            static, dynamic = (part.of(modality) for part in single)
            values['static_dynamic_agreement'][modality] = label_agreement(static, dynamic)
        if previous is not None:
            values['stability'][modality] = label_agreement(previous.of(modality), own)
    return {name: value for name, value in _with_means(values) if not math.isnan(value)}


def _with_means(values: Mapping[str, Mapping[Modality, float]]) -> Iterator[tuple[str, float]]:
    """Yield names and values: first the mean over the modalities (NaN if one is undefined), then each modality."""
    for name, parts in values.items():
        if parts:
            yield name, sum(parts.values()) / len(parts)
            yield from ((f'{name}_{modality.value}', value) for modality, value in parts.items())


def _twice(features: TrackletFeatures, name: str) -> TrackletFeatures:
    half = getattr(features, name)
    return TrackletFeatures(static=half, dynamic=half)
