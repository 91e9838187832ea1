"""Labeler for the label unification of GUR: clustering, then infrared labels for visible tracklets."""

from collections.abc import Mapping
from types import MappingProxyType

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.context import LabelingContext, apply_labeler, needs_context
from dscreid.pseudo_labels.jaccard_clustering import check_any_cluster, finite_descriptors
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.pseudo_labels.unification import smooth_labels, vote_across
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class UnificationLabeler:
    """Cluster each modality, and let infrared tracklets vote for the visible labels ("IR2RGB" of GUR).

    Infrared labels are those of the clustering. Visible tracklets get labels of the infrared numbering, and
    both modalities train against one memory. It is filled from only the infrared members, as in the released
    code, or from both modalities.

    Args:
        clustering: Config of the labeler that clusters each modality.
        topk: Number of infrared neighbors that vote. The released code uses 20 for SYSU-MM01 and 10 for
            RegDB.
        temperature: Temperature of the softmax that weights the votes. The released code has none (1).
        smoothing_topk: Number of visible neighbors, including the tracklet itself, whose majority then
            decides. None for no smoothing, as in the first ten epochs of unification on SYSU-MM01 in the
            released code.
        outliers_vote: Whether "outlier" can win both votes, as in the released code.
        infrared_centers: If True, the centers of the shared memory are means of infrared tracklets only, as
            in the released code. If False, they are means of both modalities, as in DSC.

    Example (config)::

        labeler = dict(type='UnificationLabeler', clustering=dict(type='ClusterLabeler', eps=0.3), topk=10)
    """

    def __init__(
        self,
        clustering: Mapping = _CLUSTERING,
        topk: int = 20,
        temperature: float = 1.0,
        smoothing_topk: int | None = 20,
        outliers_vote: bool = True,
        infrared_centers: bool = True,
    ) -> None:
        if topk < 1 or temperature <= 0 or (smoothing_topk is not None and smoothing_topk < 1):
            raise ConfigError(
                'UnificationLabeler: topk must be at least 1, temperature positive and smoothing_topk at least 1 or '
                f'None, got {topk}, {temperature} and {smoothing_topk}'
            )
        self.clustering = LABELERS.build(dict(clustering))
        self.needs_context = needs_context(self.clustering)
        self.needs_centers = getattr(self.clustering, 'needs_centers', False)
        self.topk = topk
        self.temperature = temperature
        self.smoothing_topk = smoothing_topk
        self.outliers_vote = outliers_vote
        self.infrared_centers = infrared_centers

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.
            context: Required if the clustering needs it.

        Returns:
            Shared labels. Visible labels may skip numbers.

        Raises:
            LabelingError: If there is no infrared cluster, or no visible tracklet gets a label.
        """
        clusters = apply_labeler(self.clustering, visible, infrared, context)
        check_any_cluster(
            'UnificationLabeler', clusters.ir, Modality.IR, 'loosen its clustering (larger eps)'
        )
        descriptors = finite_descriptors(visible, Modality.RGB)
        rgb = vote_across(
            descriptors,
            finite_descriptors(infrared, Modality.IR),
            clusters.ir,
            self.topk,
            self.temperature,
            self.outliers_vote,
        )
        if self.smoothing_topk is not None:
            rgb = smooth_labels(descriptors, rgb, self.smoothing_topk, self.outliers_vote)
        if not (rgb >= 0).any():
            raise LabelingError(
                f'UnificationLabeler: no visible tracklet got an infrared label (clusters: {clusters.summary()}); set '
                'outliers_vote=False, lower topk or smoothing_topk, or loosen the clustering (larger eps)'
            )
        center_modality = Modality.IR if self.infrared_centers else None
        return PseudoLabels(rgb=rgb, ir=clusters.ir, shared=True, center_modality=center_modality)
