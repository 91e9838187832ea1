"""Labelers that cluster each modality and then give visible tracklets infrared labels: DSLU (DSC) and IR2RGB (GUR)."""

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.descriptors import modality_descriptors
from dscreid.pseudo_labels.labelers.base import CLUSTERING, Labeler, LabelingContext, build_labeler
from dscreid.pseudo_labels.unification import (
    check_correction,
    check_pooling,
    check_unification,
    correct_labels,
    pool_votes,
    smooth_labels,
    unify_labels,
    vote_across,
    votes_needed,
)
from dscreid.pseudo_labels.whitening import check_whitening, whitened
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


@dataclass(eq=False)
class _UnifyingLabeler(Labeler):
    clustering: InitVar[Any] = CLUSTERING  #: config of the labeler that clusters each modality

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        self.clustering = build_labeler(clustering, type(self).__name__)
        self.needs_context = self.clustering.needs_context
        self.needs_centers = self.clustering.needs_centers


@LABELERS.register_module()
@dataclass(eq=False)
class DSLULabeler(_UnifyingLabeler):
    """Cluster each modality, assign infrared labels to visible tracklets (5)-(9), and correct them (10)-(14).

    Infrared labels are those of the clustering. With ``inter``, visible labels use the infrared numbering, and may skip
    numbers. With ``inter=None``, visible tracklets keep their own clusters: "intra only" in Table 5 of the paper.

    Example (config)::

        labeler = dict(
            type='DSLULabeler',
            clustering=dict(type='ClusterLabeler', eps=0.6),
            inter=dict(topk=20),
            intra=dict(topk=20, static_weight=1.0, dynamic_weight=1.0),
            # half of the 20 votes until epoch 30 (counted from 0), 1 of 20 from epoch 50 on
            agreement=dict(start=0.5, end=0.05, begin=30, epochs=20),
        )
    """

    #: keyword arguments of :func:`unify_labels` (``topk``, ``outliers_vote``, ``min_votes``), or None
    inter: Any = field(default_factory=dict)
    #: keyword arguments of :func:`correct_labels` (``topk``, ``static_weight``, ``dynamic_weight``, ``outliers_vote``),
    #: or None
    intra: Any = field(default_factory=dict)
    #: Keyword arguments of :func:`pool_votes` (``min_share``, ``one_to_one``, ``own_labels``): each visible cluster has
    #: one label. None votes for each tracklet by itself, as in the paper.
    pooled: Mapping[str, Any] | None = None
    #: Keyword arguments of :func:`whitened` (``shrinkage``), for the features of ``inter``: then a modality's own
    #: statistics do not decide who is near whom. None compares features as they are, as in the paper.
    whitening: Mapping[str, Any] | None = None
    #: whether to drop visible tracklets that were outliers in their own modality, as in SDCL
    require_own_cluster: bool = False
    #: Keyword arguments of :func:`votes_needed` (``start``, ``end``, ``epochs``, ``begin``), which then sets the votes
    #: that a label needs in each epoch. None uses ``inter.min_votes``; the paper needs one vote.
    agreement: Mapping[str, Any] | None = None

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        self.inter = _checked('inter', self.inter, check_unification)
        self.intra = _checked('intra', self.intra, check_correction)
        self.pooled = _checked('pooled', self.pooled, check_pooling)
        self.whitening = _checked('whitening', self.whitening, check_whitening)
        if self.pooled is not None and self.inter is None:
            raise ConfigError('DSLULabeler: pooled needs inter, whose votes it sums')
        if self.whitening is not None and self.inter is None:
            raise ConfigError('DSLULabeler: whitening needs inter, whose features it changes')
        _check_agreement(self.agreement, self.inter)
        self.needs_context |= self.agreement is not None

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities, shared if ``inter`` is set."""
        clusters = self.clustering(visible, infrared, context)
        rgb = clusters.rgb
        if self.inter is not None:
            halves = self._compared(visible), self._compared(infrared)
            (visible_static, visible_dynamic), (infrared_static, infrared_dynamic) = halves
            settings = self._inter_for(context, len(infrared))
            _warn_of_small_clusters(clusters.cluster_sizes(Modality.IR), settings.get('min_votes') or 0)
            rgb, votes = unify_labels(
                visible_static, visible_dynamic, infrared_static, infrared_dynamic, clusters.ir,
                **settings, return_votes=True,
            )  # fmt: skip
            if self.pooled is not None:
                rgb = pool_votes(rgb, votes, clusters.rgb, **self.pooled, num_labels=clusters.num_clusters(Modality.IR))
        if self.intra is not None:
            rgb = correct_labels(visible.static, visible.dynamic, rgb, **self.intra)
        if self.require_own_cluster:
            rgb = np.where(clusters.rgb >= 0, rgb, -1)
        if not (rgb >= 0).any():
            raise LabelingError(
                f'label unification left no visible tracklet with a label (clusters: {clusters.summary()}); raise '
                'inter.topk, lower inter.min_votes or agreement.start, set outliers_vote=False, or start it later'
            )
        return PseudoLabels(rgb=rgb, ir=clusters.ir, shared=clusters.shared or self.inter is not None)

    def _compared(self, features: TrackletFeatures) -> tuple[Tensor, Tensor]:
        """Return the static and the dynamic half that are compared with the other modality."""
        if self.whitening is None:
            return features.static, features.dynamic
        return whitened(features.static, **self.whitening), whitened(features.dynamic, **self.whitening)

    def _inter_for(self, context: LabelingContext | None, num_infrared: int) -> dict[str, Any]:
        inter = self.inter or {}
        if self.agreement is None:
            return inter
        topk = min(inter['topk'], num_infrared)
        votes = votes_needed(self._given(context).epoch, topk, **self.agreement)
        print_log(f'label unification: {votes} of {topk} votes needed', logger='current')
        return {**inter, 'min_votes': votes}


@LABELERS.register_module()
@dataclass(eq=False)
class UnificationLabeler(_UnifyingLabeler):
    """Cluster each modality, and let infrared tracklets vote for the visible labels ("IR2RGB" of GUR).

    Infrared labels are those of the clustering. Visible labels use the infrared numbering, and may skip numbers.
    """

    topk: int = 20  #: number of infrared neighbors that vote; the released code uses 20 for SYSU-MM01, 10 for RegDB
    temperature: float = 1.0  #: temperature of the softmax that weights the votes; the released code has none (1)
    #: Number of visible neighbors, including the tracklet itself, whose majority then decides. None for no smoothing,
    #: as in the first ten epochs of unification on SYSU-MM01 in the released code.
    smoothing_topk: int | None = 20
    outliers_vote: bool = True  #: whether "outlier" can win both votes, as in the released code
    infrared_centers: bool = True  #: whether only infrared tracklets form the memory's centers, as in the released code

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        super().__post_init__(clustering)
        if self.topk < 1 or self.temperature <= 0 or (self.smoothing_topk is not None and self.smoothing_topk < 1):
            given = f'{self.topk}, {self.temperature} and {self.smoothing_topk}'
            raise ConfigError(f'UnificationLabeler: topk, temperature and smoothing_topk must be positive, got {given}')

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities with shared labels."""
        clusters = self.clustering(visible, infrared, context)
        self._check_clustered(clusters.ir, Modality.IR, 'use a larger eps in its clustering')
        rows, others = modality_descriptors(visible, infrared).values()
        rgb = vote_across(rows, others, clusters.ir, self.topk, self.temperature, self.outliers_vote)
        if self.smoothing_topk is not None:
            rgb = smooth_labels(rows, rgb, self.smoothing_topk, self.outliers_vote)
        if not (rgb >= 0).any():
            what = f'no visible tracklet got an infrared label (clusters: {clusters.summary()})'
            raise LabelingError(f'UnificationLabeler: {what}; set outliers_vote=False or use a larger eps')
        center_modality = Modality.IR if self.infrared_centers else None
        return PseudoLabels(rgb=rgb, ir=clusters.ir, shared=True, center_modality=center_modality)


def _warn_of_small_clusters(sizes: np.ndarray, min_votes: int) -> None:
    """Warn if most infrared clusters have too few tracklets to give as many votes as a label needs."""
    small = int((sizes < min_votes).sum())
    if 2 * small > len(sizes):
        print_log(
            f'label unification: {small} of {len(sizes)} infrared clusters have fewer than {min_votes} tracklets, so '
            'no visible tracklet can get their labels; lower inter.min_votes or agreement.start',
            logger='current',
            level=logging.WARNING,
        )


def _checked(name: str, arguments: Mapping[str, Any] | None, check: Callable[..., None]) -> dict[str, Any] | None:
    if arguments is None:
        return None
    signature = inspect.signature(check)
    try:
        check(**arguments)
    except (TypeError, ValueError) as error:
        names = ', '.join(signature.parameters)
        raise ConfigError(f'DSLULabeler: {name}={dict(arguments)}: {error}; settings are {names}') from None
    return {key: arguments.get(key, parameter.default) for key, parameter in signature.parameters.items()}


def _check_agreement(agreement: Mapping[str, Any] | None, inter: Mapping[str, Any] | None) -> None:
    if agreement is None:
        return
    if inter is None or inter['min_votes'] is not None:
        raise ConfigError('DSLULabeler: agreement needs inter without min_votes, because it sets them in each epoch')
    topk = inter['topk']
    try:
        votes_needed(0, topk, **agreement)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'DSLULabeler: agreement={dict(agreement)}: {error}') from None
    most = max(agreement['start'], agreement['end'])
    if most > topk:
        raise ConfigError(f'DSLULabeler: agreement needs {most} votes, but only topk={topk} tracklets vote')
