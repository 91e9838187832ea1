"""Labeler of DSC: clustering followed by dynamic-static label unification."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from mmengine.logging import print_log

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels.agreement import votes_needed
from dscreid.pseudo_labels.context import LabelingContext, apply_labeler, needs_context
from dscreid.pseudo_labels.dslu import check_correction, check_unification, correct_labels, unify_labels
from dscreid.pseudo_labels.forecast import ClusteringProblem, problems_of
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

_DEFAULTS = MappingProxyType({})
_CLUSTERING = MappingProxyType({'type': 'ClusterLabeler'})


@LABELERS.register_module()
class DSLULabeler:
    """Cluster each modality, assign infrared labels to visible tracklets (5)-(9), and correct them (10)-(14).

    Infrared labels are those of the clustering. With ``inter``, visible labels use the infrared numbering,
    and the result is ``shared``. With ``inter=None``, the visible tracklets keep their own clusters and only
    ``intra`` corrects them: the "intra only" row in Table 5 of the paper. If both are None, the result is
    that of ``clustering``.

    Args:
        clustering: Config of the labeler that clusters each modality.
        inter: Keyword arguments of :func:`unify_labels` (``topk``, ``outliers_vote``, ``min_votes``), or
            None.
        intra: Keyword arguments of :func:`correct_labels` (``topk``, ``static_weight``, ``dynamic_weight``,
            ``outliers_vote``), or None.
        require_own_cluster: Whether to drop visible tracklets that were outliers in their own modality, as in
            the code of SDCL.
        agreement: Keyword arguments of :func:`votes_needed` (``start``, ``end``, ``epochs``, ``begin``). They
            set the number of votes that a label needs, many at first and fewer later, instead of
            ``inter.min_votes``. The labeler then needs the context. None uses ``inter.min_votes``; the paper
            requires one vote.

    Example (config)::

        labeler = dict(
            type='DSLULabeler',
            clustering=dict(type='ClusterLabeler', eps=0.6),
            inter=dict(topk=20),
            intra=dict(topk=20, static_weight=1.0, dynamic_weight=1.0),
            # half of the 20 votes in epoch 30 (counted from 0), 1 of 20 from epoch 50 on
            agreement=dict(start=0.5, end=0.05, begin=30, epochs=20),
        )
    """

    def __init__(
        self,
        clustering: Mapping = _CLUSTERING,
        inter: Mapping | None = _DEFAULTS,
        intra: Mapping | None = _DEFAULTS,
        require_own_cluster: bool = False,
        agreement: Mapping | None = None,
    ) -> None:
        self.clustering = LABELERS.build(dict(clustering))
        self.inter = _checked('inter', inter, unify_labels, check_unification)
        self.intra = _checked('intra', intra, correct_labels, check_correction)
        self.require_own_cluster = require_own_cluster
        self.agreement = _checked_agreement(agreement, self.inter)
        self.needs_context = self.agreement is not None or needs_context(self.clustering)
        self.needs_centers = getattr(self.clustering, 'needs_centers', False)

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities.

        Args:
            visible: Features of the Nv visible tracklets.
            infrared: Features of the Nt infrared tracklets.
            context: Required if ``agreement`` is set (for the epoch) or if the clustering needs it.

        Returns:
            Pseudo labels, ``shared`` if ``inter`` is set. Visible labels may skip numbers.

        Raises:
            ConfigError: If a context is needed and none is given.
            LabelingError: If there is no cluster, or no visible tracklet gets a label.
        """
        clusters = apply_labeler(self.clustering, visible, infrared, context)
        rgb = clusters.rgb
        if self.inter is not None:
            inter = self.inter if self.agreement is None else self._scheduled(context, len(infrared))
            rgb = unify_labels(
                visible.static, visible.dynamic, infrared.static, infrared.dynamic, clusters.ir, **inter
            )
        if self.intra is not None:
            rgb = correct_labels(visible.static, visible.dynamic, rgb, **self.intra)
        if self.require_own_cluster:
            rgb = np.where(clusters.rgb >= 0, rgb, -1)
        if not (rgb >= 0).any():
            raise LabelingError(self._nothing_left_message(clusters))
        return PseudoLabels(rgb=rgb, ir=clusters.ir, shared=clusters.shared or self.inter is not None)

    def problems(self, counts: Mapping[Modality, int], dimension: int) -> list[ClusteringProblem] | None:
        """List the sets that a call clusters and searches, for a forecast.

        The unification searches visible among infrared tracklets in each half. The correction searches among
        visible tracklets in both halves.

        Returns:
            The sets, or None if ``clustering`` does not list its own.
        """
        problems = problems_of(self.clustering, counts, dimension)
        if problems is None or not counts[Modality.RGB]:
            return problems
        searches = 0.0 if self.inter is None else counts[Modality.IR] / counts[Modality.RGB]
        searches += 0.0 if self.intra is None else 1.0
        visible, *others = problems  # in the order of Modality
        return [replace(visible, further_searches=searches), *others]

    def _scheduled(self, context: LabelingContext | None, num_infrared: int) -> dict:
        """Arguments of the unification with the number of votes for the current epoch."""
        if context is None:
            raise ConfigError(
                'DSLULabeler: its agreement goes by the epoch, which only a LabelingContext tells; call it with one, '
                'as ClusterHook does'
            )
        topk = min(_topk(self.inter), num_infrared)
        votes = votes_needed(context.epoch, topk, **self.agreement)
        print_log(f'label unification: {votes} of {topk} votes needed', logger='current')
        return {**self.inter, 'min_votes': votes}

    def _nothing_left_message(self, clusters: PseudoLabels) -> str:
        return (
            f'label unification left no visible tracklet with a label (clusters: {clusters.summary()}); '
            'raise inter.topk, lower inter.min_votes or agreement.start, set outliers_vote=False, or start '
            'unification later'
        )


def _checked(name: str, arguments: Mapping | None, function: Callable, check: Callable) -> dict | None:
    """Return the keyword arguments as a dict if ``function`` accepts all names and ``check`` accepts all values."""
    if arguments is None:
        return None
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.default is not p.empty and p.name != 'return_votes']
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ConfigError(f'DSLULabeler: unknown setting {unknown} in {name}=; known are {", ".join(known)}')
    checked = inspect.signature(check).parameters
    try:
        check(**{key: value for key, value in arguments.items() if key in checked})
    except (TypeError, ValueError) as error:
        raise ConfigError(f'DSLULabeler: {name}={dict(arguments)}: {error}') from None
    return dict(arguments)


def _topk(inter: Mapping) -> int:
    """K of the unification, or the default of the function if the config does not set it."""
    return inter.get('topk', inspect.signature(unify_labels).parameters['topk'].default)


def _checked_agreement(agreement: Mapping | None, inter: Mapping | None) -> dict | None:
    """Return the arguments of the schedule as a dict if they are valid and match the unification."""
    if agreement is None:
        return None
    if inter is None or inter.get('min_votes') is not None:
        raise ConfigError(
            'DSLULabeler: agreement sets the votes that inter asks for in each epoch: give inter, without min_votes'
        )
    topk = _topk(inter)
    try:
        votes_needed(0, topk, **agreement)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'DSLULabeler: agreement={dict(agreement)}: {error}') from None
    too_many = [value for value in (agreement['start'], agreement['end']) if value > topk]
    if too_many:
        raise ConfigError(
            f'DSLULabeler: agreement asks for {max(too_many)} votes, but topk={topk} tracklets vote; lower it'
        )
    return dict(agreement)
