"""Compare ways to relate visible tracklets to infrared clusters, before any training. Reads the labels."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dscreid.lab.density_study import LabeledFeatures
from dscreid.pseudo_labels import ClusterLabeler, PseudoLabels
from dscreid.pseudo_labels.quality import denotes_the_person
from dscreid.pseudo_labels.unification import pool_votes, sum_votes, unify_labels
from dscreid.pseudo_labels.whitening import whitened
from dscreid.structures import Modality, TrackletFeatures

#: Ways to relate them, in the order of the table: DSC's inter-modal unification first, DSC plus last.
WAYS = ('single votes', 'votes of clusters', 'the same, whitened', 'the same, one to one')
#: Shares of the visible tracklets, those with the most certain labels, among which right labels are counted.
COVERAGES = (0.25, 0.5, 0.75, 1.0)


class MatchedLabels(NamedTuple):
    """Infrared labels of visible tracklets, and how certain each one is."""

    labels: np.ndarray  #: int64 (Nv,), -1 = none
    certainty: np.ndarray  #: float64 (Nv,) in [0, 1], share of the votes that the label got; 0 without a label


def matched_labels(
    visible: TrackletFeatures, infrared: TrackletFeatures, clusters: PseudoLabels, topk: int = 10
) -> dict[str, MatchedLabels]:
    """Give visible tracklets infrared labels in each of the ``WAYS``.

    ``clusters`` are those of each modality, ``topk`` is K of equation (6). Outliers vote and are labeled by themselves.
    """
    votes = [_votes(visible, infrared, clusters.ir, topk, white) for white in (False, True)]
    settings = {WAYS[1]: (votes[0], False), WAYS[2]: (votes[1], False), WAYS[3]: (votes[1], True)}
    labels, cast = votes[0]
    found = {WAYS[0]: MatchedLabels(labels, cast / topk)}
    for way, ((labels, cast), one_to_one) in settings.items():
        pooled = pool_votes(labels, cast, clusters.rgb, one_to_one=one_to_one)
        found[way] = MatchedLabels(pooled, _shares(pooled, labels, cast, clusters.rgb, topk))
    return found


def shares_of_right_labels(target: Mapping[Modality, LabeledFeatures], topk: int = 10) -> dict[str, list[float]]:
    """Share of the visible tracklets whose label names their person, at each of the ``COVERAGES``, by way.

    Both modalities are clustered with automatic settings. A tracklet without a label counts as wrong. In a tie of
    certainty, earlier tracklets come first.

    Raises:
        LabelingError: If a modality has no cluster.
    """
    visible, infrared = (target[modality] for modality in Modality)
    clusters = ClusterLabeler('auto', 'auto', 'auto', 'auto')(visible.features, infrared.features)
    table = {}
    for way, found in matched_labels(visible.features, infrared.features, clusters, topk).items():
        labels = PseudoLabels(rgb=found.labels, ir=clusters.ir, shared=True)
        right = denotes_the_person(labels, visible.pids, infrared.pids)[np.argsort(-found.certainty, kind='stable')]
        table[way] = [float(right[: max(round(share * len(right)), 1)].mean()) for share in COVERAGES]
    return table


def matching_markdown(targets: Mapping[str, Mapping[Modality, LabeledFeatures]], topk: int = 10) -> str:
    """Format the shares of right labels of targets by name as a Markdown table."""
    shown = ' | '.join(f'most certain {share:.0%}' if share < 1 else 'all' for share in COVERAGES)
    lines = [f'| target | labels by | {shown} |', '|---|---|' + '---:|' * len(COVERAGES)]
    for name, target in targets.items():
        for way, shares in shares_of_right_labels(target, topk).items():
            lines.append(f'| {name} | {way} | {" | ".join(f"{share:.0%}" for share in shares)} |')
            name = ''
    return '\n'.join(lines) + '\n'


def _votes(
    visible: TrackletFeatures, infrared: TrackletFeatures, labels: np.ndarray, topk: int, white: bool
) -> tuple[np.ndarray, np.ndarray]:
    halves = [half for name in ('static', 'dynamic') for half in (getattr(visible, name), getattr(infrared, name))]
    visible_static, infrared_static, visible_dynamic, infrared_dynamic = map(whitened, halves) if white else halves
    unified, votes = unify_labels(
        visible_static, visible_dynamic, infrared_static, infrared_dynamic, labels, topk, return_votes=True
    )
    return np.asarray(unified), np.asarray(votes)


def _shares(pooled: np.ndarray, labels: np.ndarray, votes: np.ndarray, clusters: np.ndarray, topk: int) -> np.ndarray:
    """Share of the votes that each pooled label got: of those of its cluster, or of K for an outlier."""
    sums = sum_votes(labels, votes, clusters)
    totals = sums.sum(axis=1)
    shares = np.where(labels == pooled, votes / topk, 0.0)
    for row in np.flatnonzero((clusters >= 0) & (pooled >= 0)):
        shares[row] = sums[clusters[row], pooled[row]] / totals[clusters[row]]
    return np.where(pooled >= 0, shares, 0.0)
