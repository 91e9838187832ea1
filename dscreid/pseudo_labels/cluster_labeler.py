"""Labeler that clusters each modality on its own."""

from collections.abc import Mapping

import numpy as np
import torch
from mmengine.logging import print_log
from torch.nn import functional

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.clustering import dbscan
from dscreid.pseudo_labels.clustering_settings import ClusteringSettings
from dscreid.pseudo_labels.density import choose_settings
from dscreid.pseudo_labels.jaccard import jaccard_distance
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

#: In the place of a number: choose it from the density of the features, each time.
AUTO = 'auto'


@LABELERS.register_module()
class ClusterLabeler:
    """DBSCAN on the k-reciprocal Jaccard distance of ``[static, dynamic]``, each modality alone.

    Both halves are L2-normalised before they are joined, so that static and dynamic features weigh the same.

    Each of the four numbers may be ``'auto'`` instead: chosen without labels, for each modality and each time anew,
    from how many tracklets an identity seems to have (``choose_settings`` of ``density``), and logged. With a fixed
    ``k1`` the others follow from it.

    Args:
        k1: Neighbours of the Jaccard distance.
        k2: Rows averaged in its query expansion, 1 for none.
        eps: DBSCAN radius, in (0, 1).
        min_samples: Tracklets within ``eps``, itself included, that make a core.
        visible: Values of these four that differ for the visible modality, for example ``dict(k1=15)``.
        infrared: Likewise for the infrared modality.

    Attributes:
        chosen: Settings of the last labelling by modality, fixed ones included; empty before the first.

    Example (config)::

        labeler = dict(type='ClusterLabeler', k1=30, eps=0.6, visible=dict(eps=0.5))
        labeler = dict(type='ClusterLabeler', k1='auto', k2='auto', eps='auto', min_samples='auto')
    """

    def __init__(
        self,
        k1: int | str = 30,
        k2: int | str = 6,
        eps: float | str = 0.6,
        min_samples: int | str = 4,
        visible: Mapping | None = None,
        infrared: Mapping | None = None,
    ) -> None:
        common = {'k1': k1, 'k2': k2, 'eps': eps, 'min_samples': min_samples}
        overrides = {Modality.RGB: visible, Modality.IR: infrared}
        self.params = {m: _checked({**common, **(override or {})}) for m, override in overrides.items()}
        self.chosen: dict[Modality, ClusteringSettings] = {}

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Cluster both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.

        Returns:
            Labels in two separate numberings, each from 0 without gaps.

        Raises:
            LabelingError: If a modality has no cluster, with the figures needed to mend it, or features that
            are not finite.
        """
        rgb = self._label(Modality.RGB, visible)
        ir = self._label(Modality.IR, infrared)
        return PseudoLabels(rgb=rgb, ir=ir, shared=False)

    def _label(self, modality: Modality, features: TrackletFeatures) -> np.ndarray:
        """int64 (N,) labels of one modality; notes and, where chosen, logs its settings."""
        joined = _finite_input(modality, features)
        settings = _settings(modality, joined, self.params[modality])
        self.chosen[modality] = settings
        return _cluster(modality, joined, settings)


def cluster_input(features: TrackletFeatures) -> torch.Tensor:
    """Float (N, 2 D): both halves L2-normalised, then joined."""
    halves = (features.static, features.dynamic)
    return torch.cat([functional.normalize(half, dim=1) for half in halves], dim=1)


def _checked(params: dict) -> dict:
    """Return the parameters of one modality if their names and ranges are right."""
    unknown = set(params) - {'k1', 'k2', 'eps', 'min_samples'}
    if unknown:
        raise ConfigError(
            f'ClusterLabeler: unknown setting {sorted(unknown)} in visible= or infrared=; '
            'known are k1, k2, eps and min_samples'
        )
    fixed = {name: value for name, value in params.items() if value != AUTO}
    words = {name: value for name, value in fixed.items() if isinstance(value, str)}
    if words:
        raise ConfigError(f"ClusterLabeler: k1, k2, eps and min_samples are numbers or '{AUTO}', got {words}")
    counts = [value for name, value in fixed.items() if name != 'eps']
    if not 0 < fixed.get('eps', 0.5) < 1 or min(counts, default=1) < 1:
        raise ConfigError(
            f'ClusterLabeler: eps must lie in (0, 1) and k1, k2, min_samples be at least 1, got {params}'
        )
    return params


def _settings(modality: Modality, joined: torch.Tensor, params: Mapping) -> ClusteringSettings:
    """The fixed settings, or those that the features ask for, which are logged."""
    fixed = {name: value for name, value in params.items() if value != AUTO}
    if len(fixed) == len(params):
        return ClusteringSettings(**params)
    choice = choose_settings(joined, **fixed)
    chosen = choice.settings
    text = f'k1={chosen.k1}, k2={chosen.k2}, eps={chosen.eps:g}, min_samples={chosen.min_samples}'
    if choice.silent:
        text += ' (the smallest: no number of neighbors gives two clusters)'
    print_log(f'clustering of {modality.value}: {text}', logger='current')
    return chosen


def _finite_input(modality: Modality, features: TrackletFeatures) -> torch.Tensor:
    """Float (N, 2 D), see :func:`cluster_input`; raises LabelingError where it is not finite."""
    joined = cluster_input(features)
    broken = int((~torch.isfinite(joined).all(dim=1)).sum())
    if broken:
        raise LabelingError(
            f'{broken} of {len(joined)} {modality.value} tracklets have NaN or infinite features: training '
            'has diverged; lower the learning rate and resume from an earlier checkpoint'
        )
    return joined


def _cluster(modality: Modality, joined: torch.Tensor, settings: ClusteringSettings) -> np.ndarray:
    """int64 (N,) labels of one modality; raises LabelingError if there is no cluster."""
    k1, k2, eps, min_samples = settings.k1, settings.k2, settings.eps, settings.min_samples
    labels = dbscan(jaccard_distance(joined, k1, k2, max_distance=eps), eps, min_samples)
    if not (labels >= 0).any():
        raise LabelingError(_no_cluster_message(modality, joined, k1, k2, eps, min_samples))
    return labels


def _no_cluster_message(
    modality: Modality, joined: torch.Tensor, k1: int, k2: int, eps: float, min_samples: int
) -> str:
    """Say how far the features are from forming a cluster, and which setting would help."""
    given = f'N={len(joined)}, k1={k1}, eps={eps}, min_samples={min_samples}'
    if len(joined) < min_samples:
        return (
            f'no cluster in modality {modality.value} ({given}): there are fewer tracklets than min_samples; '
            'check that the training split has this modality, or lower min_samples'
        )
    nearest = _core_distances(joined, k1, k2, min_samples)
    low, half, high = np.quantile(nearest, [0.1, 0.5, 0.9])
    cure = 'raise eps above that, or lower min_samples or k1' if nearest.min() < 1 else 'lower min_samples'
    return (
        f'no cluster in modality {modality.value} ({given}): the Jaccard distance within which a tracklet '
        f'has {max(min_samples - 1, 1)} others is {low:.2f} / {half:.2f} / {high:.2f} at the '
        f'10th / 50th / 90th percentile and {nearest.min():.2f} at least; {cure}'
    )


def _core_distances(joined: torch.Tensor, k1: int, k2: int, min_samples: int) -> np.ndarray:
    """Float (N,): distance to the (min_samples - 1)th nearest other tracklet, 1 where there is none."""
    graph = jaccard_distance(joined, k1, k2, max_distance=0.999)
    place = max(min_samples - 1, 1)  # the diagonal holds place 0
    rows = np.split(graph.data, graph.indptr[1:-1])
    return np.array([np.sort(row)[place] if len(row) > place else 1.0 for row in rows])
