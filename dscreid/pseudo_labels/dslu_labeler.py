"""Labeler of DSC: clustering, then dynamic-static label unification."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.dslu import correct_labels, unify_labels
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.registry import LABELERS
from dscreid.structures import TrackletFeatures

_DEFAULTS = MappingProxyType({})
_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class DSLULabeler:
    """Cluster each modality, give visible tracklets infrared labels (5)-(9), correct them (10)-(14).

    Infrared labels stay as they were clustered. With ``inter`` on, visible labels live in the infrared
    numbering, and the result is ``shared``. With ``inter=None`` the visible tracklets keep their own clusters
    and ``intra`` corrects these: the "intra only" row of the paper's Table 5. With both off this is
    ``clustering``.

    Args:
        clustering: Config of the labeler that makes the per-modality labels.
        inter: Keyword arguments of :func:`unify_labels` (``topk``, ``outliers_vote``, ``min_votes``), or
            None.
        intra: Keyword arguments of :func:`correct_labels` (``topk``, ``static_weight``, ``dynamic_weight``,
            ``outliers_vote``), or None.
        require_own_cluster: Drop visible tracklets that were outliers in their own modality, as the code of
            SDCL does.

    Example (config)::

        labeler = dict(
            type='DSLULabeler',
            clustering=dict(type='ClusterLabeler', eps=0.6),
            inter=dict(topk=20),
            intra=dict(topk=20, static_weight=1.0, dynamic_weight=1.0),
        )
    """

    def __init__(
        self,
        clustering: Mapping = _CLUSTERING,
        inter: Mapping | None = _DEFAULTS,
        intra: Mapping | None = _DEFAULTS,
        require_own_cluster: bool = False,
    ) -> None:
        self.clustering = LABELERS.build(dict(clustering))
        self.inter = _checked('inter', inter, unify_labels)
        self.intra = _checked('intra', intra, correct_labels)
        self.require_own_cluster = require_own_cluster

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.

        Returns:
            Pseudo labels, ``shared`` if ``inter`` is on. Visible labels may leave numbers out.

        Raises:
            LabelingError: If there is no cluster, or no visible tracklet gets a label.
        """
        clusters = self.clustering(visible, infrared)
        rgb = clusters.rgb
        if self.inter is not None:
            rgb = unify_labels(
                visible.static, visible.dynamic, infrared.static, infrared.dynamic, clusters.ir, **self.inter
            )
        if self.intra is not None:
            rgb = correct_labels(visible.static, visible.dynamic, rgb, **self.intra)
        if self.require_own_cluster:
            rgb = np.where(clusters.rgb >= 0, rgb, -1)
        if not (rgb >= 0).any():
            raise LabelingError(self._nothing_left_message(clusters))
        return PseudoLabels(rgb=rgb, ir=clusters.ir, shared=clusters.shared or self.inter is not None)

    def _nothing_left_message(self, clusters: PseudoLabels) -> str:
        return (
            f'label unification left no visible tracklet with a label (clusters: {clusters.summary()}); '
            'raise inter.topk, lower inter.min_votes, set outliers_vote=False, or start unification later'
        )


def _checked(name: str, arguments: Mapping | None, function: Callable) -> dict | None:
    """Return the keyword arguments as a plain dict if the function takes all of them."""
    if arguments is None:
        return None
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.default is not p.empty and p.name != 'return_votes']
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ConfigError(f'DSLULabeler: unknown setting {unknown} in {name}=; known are {", ".join(known)}')
    return dict(arguments)
