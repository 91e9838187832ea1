"""Labeler that clusters each modality separately."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.clustering.density import settings_of_modalities
from dscreid.pseudo_labels.clustering.forecast import ClusteringProblem
from dscreid.pseudo_labels.clustering.settings import COMMON_CLUSTERING, fixed_settings
from dscreid.pseudo_labels.descriptors import joined_halves
from dscreid.pseudo_labels.labelers.base import Labeler, LabelingContext
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


@LABELERS.register_module()
@dataclass(eq=False)
class ClusterLabeler(Labeler):
    """DBSCAN on the k-reciprocal Jaccard distance of ``[static, dynamic]``, separately for each modality.

    Both halves are L2-normalized first. Each of the four numbers may be ``'auto'``: it is then chosen without labels in
    every call, from the estimated number of tracklets per identity, and logged. The modality that clusters more clearly
    decides for both (:func:`dscreid.pseudo_labels.choose_for_same_people`). If ``k1`` is fixed, the others follow it.

    Example (config)::

        labeler = dict(type='ClusterLabeler', k1=30, eps=0.6, visible=dict(eps=0.5))
        labeler = dict(type='ClusterLabeler', k1='auto', k2='auto', eps='auto', min_samples='auto')
    """

    common_settings = COMMON_CLUSTERING

    k1: int | str = 30  #: number of neighbors in the Jaccard distance
    k2: int | str = 6  #: number of rows averaged in its query expansion, 1 for none
    eps: float | str = 0.6  #: DBSCAN radius, in (0, 1)
    min_samples: int | str = 4  #: number of tracklets within ``eps``, with the tracklet itself, that make a core point
    visible: Mapping[str, Any] | None = None  #: values of these four that differ for the visible modality
    infrared: Mapping[str, Any] | None = None  #: values that differ for the infrared modality

    def __post_init__(self) -> None:
        common = {name: getattr(self, name) for name in COMMON_CLUSTERING}
        self.fixed = {
            modality: fixed_settings('ClusterLabeler', **{**common, **(own or {})})
            for modality, own in ((Modality.RGB, self.visible), (Modality.IR, self.infrared))
        }

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label each modality from 0 without gaps."""
        joined = {m: joined_halves(features) for m, features in zip(Modality, (visible, infrared), strict=True)}
        settings = settings_of_modalities(self.fixed, joined)
        labels = {modality: cluster(rows, settings[modality]) for modality, rows in joined.items()}
        for modality, found in labels.items():
            self._check_clustered(found, modality, f'raise eps, or lower min_samples or k1 ({settings[modality]})')
        return PseudoLabels(rgb=labels[Modality.RGB], ir=labels[Modality.IR], shared=False)

    def problems(self, counts: Mapping[Modality, int], dimension: int) -> list[ClusteringProblem]:
        """List both modalities."""
        return [ClusteringProblem(counts[m], dimension, fixed.get('k1')) for m, fixed in self.fixed.items()]
