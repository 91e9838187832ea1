"""Infrared labels for visible tracklets: DSLU of DSC, and the simpler "IR2RGB" of GUR, from which it is derived.

Equation numbers are those of the DSC paper. GUR is Yang et al., "Towards Grand Unified Representation Learning for
Unsupervised Visible-Infrared Person Re-Identification", ICCV 2023. No N x N array is created.
"""

from math import ceil, isfinite
from operator import index

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, clipped, knn, nearest_by_inner_product, normalized_rows
from dscreid.utils.chunks import row_chunks

Labels = Tensor | np.ndarray


def unify_labels(
    visible_static: Features,
    visible_dynamic: Features,
    infrared_static: Features,
    infrared_dynamic: Features,
    infrared_labels: Labels,
    topk: int = 20,
    outliers_vote: bool = False,
    min_votes: int | None = None,
    return_votes: bool = False,
) -> Labels | tuple[Labels, Labels]:
    """Give every visible tracklet an infrared pseudo label, Eq. (5)-(9).

    The labels of the ``topk`` dynamically nearest infrared tracklets are the candidates, those of the ``topk``
    statically nearest the votes. The candidate with the most votes wins; ties go to the dynamically nearest.

    Args:
        visible_static: Float (Nv, D). Rows of all four matrices are L2-normalized internally.
        visible_dynamic: Float (Nv, D').
        infrared_static: Float (Nt, D).
        infrared_dynamic: Float (Nt, D').
        infrared_labels: Integer (Nt,), >= -1, -1 = outlier.
        topk: K of Eq. (6). Clipped to Nt with a warning.
        outliers_vote: If False, outliers keep their places among the nearest, but are neither candidates nor votes. If
            True, -1 is a label like any other, and without any vote the label of the dynamically nearest tracklet is
            used, as in the code of SDCL (Yang et al., CVPR 2024), on which DSC builds.
        min_votes: Votes that a winner needs; with fewer, the tracklet gets -1. Default: 1, or 0 with ``outliers_vote``.
        return_votes: Whether to also return the votes of each winner (0 if the tracklet has no label).

    Returns int64 (Nv,), infrared labels, -1 = none: a numpy array, or a CPU tensor if ``infrared_labels`` is one. With
    ``return_votes``, a pair of labels and votes.

    Example:
        Both halves of the visible tracklet are nearest to the two infrared tracklets of cluster 1:

        >>> visible = np.array([[0.0, 1.0]])
        >>> infrared = np.array([[1.0, 0.0], [0.1, 1.0], [-0.1, 1.0]])
        >>> unify_labels(visible, visible, infrared, infrared, np.array([0, 1, 1]), topk=2)
        array([1])
    """
    labels = _as_labels(infrared_labels, len(infrared_static), 'infrared_labels')
    check_unification(topk, outliers_vote, min_votes)
    min_votes = (0 if outliers_vote else 1) if min_votes is None else min_votes
    topk = clipped(topk, len(labels), 'topk')
    candidates = labels[knn(visible_dynamic, infrared_dynamic, topk)[1].cpu()]  # (6) and (7)
    voters = labels[knn(visible_static, infrared_static, topk)[1].cpu()]  # (6)
    if len(candidates) != len(voters):
        raise ValueError(f'{len(voters)} static but {len(candidates)} dynamic visible features')
    unified = torch.full((len(candidates),), -1, dtype=torch.int64)
    votes = torch.zeros_like(unified)
    for rows in row_chunks(len(candidates), topk * topk) if topk else ():
        agreements = (candidates[rows, :, None] == voters[rows, None, :]).sum(dim=2)  # (8)
        if not outliers_vote:
            agreements[candidates[rows] < 0] = -1
        best, place = agreements.max(dim=1).values, agreements.argmax(dim=1)  # the first maximum is the nearest
        winner = candidates[rows].gather(1, place[:, None]).squeeze(1)  # (9)
        kept = best >= min_votes
        unified[rows] = torch.where(kept, winner, -1)
        votes[rows] = torch.where(kept, best, 0).clamp(min=0)
    results = _like(unified, infrared_labels), _like(votes, infrared_labels)
    return results if return_votes else results[0]


def pool_votes(
    labels: Labels,
    votes: Labels,
    clusters: Labels,
    min_share: float = 0.0,
    one_to_one: bool = False,
    own_labels: bool = False,
    num_labels: int | None = None,
) -> np.ndarray:
    """Let the members of each visible cluster agree on one unified label (not in the paper).

    Clusters within a modality are usually purer than single votes across modalities, so a cluster should not be divided
    by the votes of its members. The label with the most votes of all members wins; ties go to the smallest.

    Args:
        labels: int64 (Nv,) on the CPU, unified labels of :func:`unify_labels`, -1 = none.
        votes: int64 (Nv,), the votes of each label, at least 0.
        clusters: int64 (Nv,), visible clusters, -1 = outlier. Outliers keep their own labels.
        min_share: Share of the cluster's votes, in [0, 1], that its label needs; with less, the members get -1.
        one_to_one: Whether no two clusters may have the same label: the pairs of clusters and labels with the largest
            sum of votes are chosen. Members of a cluster that is left without a label get -1. Needs memory for clusters
            x labels.
        own_labels: Whether a cluster that is left without a label gets one of its own, ``num_labels`` or more, instead
            of -1.
        num_labels: Number of infrared labels, which ``own_labels`` needs, because not all of them have votes.

    Returns int64 (Nv,), -1 = none.
    """
    labels, votes, clusters = (np.asarray(one) for one in (labels, votes, clusters))
    if not len(labels) == len(votes) == len(clusters):
        raise ValueError(f'{len(labels)} labels, {len(votes)} votes, {len(clusters)} clusters: one each per tracklet')
    check_pooling(min_share, one_to_one, own_labels)
    members, sums = clusters >= 0, sum_votes(labels, votes, clusters)
    chosen, most = _paired(sums) if one_to_one else _most_voted(sums)
    known = (most > 0) & (most >= min_share * sums.sum(axis=1))
    if own_labels and (num_labels is None or num_labels <= labels.max(initial=-1)):
        raise ValueError(f'own_labels needs num_labels above all labels, got {num_labels}')
    others = num_labels + np.cumsum(~known) - 1 if own_labels and num_labels is not None else -1
    return np.where(members, np.where(known, chosen, others)[clusters] if len(known) else -1, labels)


def sum_votes(labels: np.ndarray, votes: np.ndarray, clusters: np.ndarray) -> csr_array:
    """Sum the votes of each cluster's members for each label, float64 (clusters, labels); see :func:`pool_votes`."""
    voters = (clusters >= 0) & (labels >= 0)
    shape = (clusters.max(initial=-1) + 1, labels.max(initial=-1) + 1)
    return csr_array((votes[voters].astype(float), (clusters[voters], labels[voters])), shape=shape)


def check_pooling(min_share: float = 0.0, one_to_one: bool = False, own_labels: bool = False) -> None:
    """Check the parameters of :func:`pool_votes`; raises ValueError or TypeError."""
    if not 0 <= min_share <= 1:
        raise ValueError(f'min_share must lie in [0, 1], got {min_share}')
    if not isinstance(one_to_one, bool):
        raise TypeError(f'one_to_one must be True or False, got {one_to_one!r}')
    if not isinstance(own_labels, bool):
        raise TypeError(f'own_labels must be True or False, got {own_labels!r}')


def correct_labels(
    static: Features,
    dynamic: Features,
    labels: Labels,
    topk: int = 20,
    static_weight: float = 1.0,
    dynamic_weight: float = 1.0,
    outliers_vote: bool = False,
) -> Labels:
    """Replace each label by the most frequent one among its nearest tracklets in the same modality, Eq. (10)-(14).

    Neighbors are the ``topk`` tracklets, including the tracklet itself, with the largest fused cosine similarity
    ``static_weight * sim_static + dynamic_weight * sim_dynamic``, Eq. (11). In a tie, the tracklet keeps its own label
    if it is among the winners; otherwise the smallest label wins.

    Args:
        static: Float (N, D). Rows of both matrices are L2-normalized internally.
        dynamic: Float (N, D').
        labels: Integer (N,), >= -1, -1 = outlier.
        topk: K of Eq. (12). Clipped to N with a warning.
        static_weight: lambda_st, not negative.
        dynamic_weight: lambda_dy, not negative. The weights must not both be 0.
        outliers_vote: Whether -1 is a class that can win, as in the code of SDCL. Otherwise, outliers cast no vote.

    Returns int64 (N,), -1 = outlier: a numpy array, or a CPU tensor if ``labels`` is one.
    """
    own = _as_labels(labels, len(static), 'labels')
    check_correction(topk, static_weight, dynamic_weight)
    static = normalized_rows(as_feature_matrix(static, 'static'))
    dynamic = normalized_rows(as_feature_matrix(dynamic, 'dynamic'))
    if len(static) != len(dynamic):
        raise ValueError(f'{len(static)} static but {len(dynamic)} dynamic features')
    # Inner products of these rows are the fused similarity (11).
    fused = torch.cat([static * static_weight**0.5, dynamic * dynamic_weight**0.5], dim=1)
    neighbors = nearest_by_inner_product(fused, fused, clipped(topk, len(own), 'topk'), self_first=True)[1].cpu()
    return _like(_winners(own[neighbors], outliers_vote, own=own), labels)


def votes_needed(epoch: int, topk: int, start: int | float, end: int | float, epochs: int, begin: int = 0) -> int:
    """Compute the number of votes, in [1, topk], that a visible tracklet's label needs in an epoch.

    It changes linearly from ``start`` to ``end``, rounded up: many votes at first, fewer as the model improves.

    ``start`` holds until epoch ``begin``, ``end`` from ``begin + epochs`` on (epochs from 0): an int is a number of
    votes, a float in (0, 1] a share of the ``topk`` votes cast.
    """
    if topk < 1 or epochs < 1 or begin < 0:
        raise ValueError(f'topk and epochs must be at least 1 and begin not negative, got {topk}, {epochs} and {begin}')
    first, last = _votes(start, topk, 'start'), _votes(end, topk, 'end')
    votes = first + (last - first) * min(max((epoch - begin) / epochs, 0.0), 1.0)
    # A rounding error above a whole number must not require an extra vote.
    return min(max(ceil(votes - 1e-9), 1), topk)


def vote_across(
    visible: Features,
    infrared: Features,
    infrared_labels: np.ndarray,
    topk: int = 20,
    temperature: float = 1.0,
    outliers_vote: bool = True,
) -> np.ndarray:
    """Give every visible tracklet the label with the largest weight among its nearest infrared tracklets (GUR).

    The weight of an infrared tracklet is the softmax of cosine / temperature over all infrared tracklets.

    Args:
        visible: Float (Nv, D). Rows of both matrices are L2-normalized internally.
        infrared: Float (Nt, D).
        infrared_labels: int64 (Nt,), >= -1, -1 = outlier.
        topk: Number of neighbors that vote. Clipped to Nt.
        temperature: Positive temperature of the softmax. The released code has none, which equals 1.
        outliers_vote: Whether -1 is a class that can win, as in the released code. Otherwise, outliers keep their
            places among the nearest but cast no vote.

    Returns int64 (Nv,), infrared labels. -1 if -1 won or there was no vote. Ties go to the smallest label.
    """
    queries = normalized_rows(as_feature_matrix(visible, 'visible'))
    gallery = normalized_rows(as_feature_matrix(infrared, 'infrared'))
    labels = _as_labels(infrared_labels, len(gallery), 'infrared_labels')
    similarity, neighbors = nearest_by_inner_product(queries, gallery, topk)
    similarity = similarity.double().cpu()
    weights = torch.exp((similarity - similarity[:, :1]) / temperature)  # the denominator does not change the winner
    return _winners(labels[neighbors.cpu()], outliers_vote, weights).numpy()


def smooth_labels(features: Features, labels: np.ndarray, topk: int = 20, outliers_vote: bool = True) -> np.ndarray:
    """Replace each label by the most frequent one among the nearest tracklets of the same modality (GUR).

    Features are float (N, D), L2-normalized internally, labels int64 (N,). The first of the ``topk`` neighbors (clipped
    to N) is the tracklet itself. ``outliers_vote``: whether -1 can win, as in the released code.

    Returns int64 (N,). Ties go to the smallest label, unlike those of :func:`correct_labels`.
    """
    rows = normalized_rows(as_feature_matrix(features, 'features'))
    own = _as_labels(labels, len(rows), 'labels')
    return _winners(own[nearest_by_inner_product(rows, rows, topk, self_first=True)[1].cpu()], outliers_vote).numpy()


def check_unification(topk: int = 20, outliers_vote: bool = False, min_votes: int | None = None) -> None:
    """Check the parameters of :func:`unify_labels`; raises ValueError or TypeError."""
    if index(topk) < 1 or index(min_votes or 0) < 0:
        raise ValueError(f'topk must be at least 1 and min_votes not negative, got topk={topk}, min_votes={min_votes}')


def check_correction(
    topk: int = 20, static_weight: float = 1.0, dynamic_weight: float = 1.0, outliers_vote: bool = False
) -> None:
    """Check the parameters of :func:`correct_labels`; raises ValueError or TypeError."""
    lowest, total = min(static_weight, dynamic_weight), static_weight + dynamic_weight
    if index(topk) < 1 or lowest < 0 or total == 0 or not isfinite(total):
        given = f'{topk}, {static_weight} and {dynamic_weight}'
        raise ValueError(f'topk must be >= 1, static_weight and dynamic_weight >= 0 and not both 0, got {given}')


def _most_voted(sums: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's column with the largest sum, int64 (R,), the smallest in a tie, and that sum, float (R,)."""
    if not sums.shape[1]:
        return np.full(sums.shape[0], -1, np.int64), np.zeros(sums.shape[0])
    return sums.argmax(axis=1), sums.max(axis=1).toarray().ravel()


def _paired(sums: csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Return a column for each row, int64 (R,), no column twice, and their sums (R,): -1 and 0 for a row left over."""
    dense = sums.toarray()
    rows, columns = linear_sum_assignment(dense, maximize=True)
    partner, most = np.full(len(dense), -1, np.int64), np.zeros(len(dense))
    partner[rows], most[rows] = columns, dense[rows, columns]
    return partner, most


def _winners(votes: Tensor, outliers_vote: bool, weights: Tensor | None = None, own: Tensor | None = None) -> Tensor:
    """int64 (N,), the label with the largest sum of weights among votes (N, K); in a tie ``own``, or the smallest."""
    winners = torch.full((len(votes),), -1, dtype=torch.int64)
    for rows in row_chunks(len(votes), votes.shape[1] ** 2) if votes.shape[1] else ():
        block = votes[rows]
        same = block[:, :, None] == block[:, None, :]  # (13)
        sums = same.sum(dim=2) if weights is None else (same * weights[rows, None, :]).sum(dim=2)
        if not outliers_vote:
            sums[block < 0] = 0
        winning = sums == sums.max(dim=1, keepdim=True).values  # (14)
        best = block.masked_fill(~winning, torch.iinfo(block.dtype).max).min(dim=1).values
        if own is not None:
            keeps = (winning & (block == own[rows, None])).any(dim=1)
            best = torch.where(keeps, own[rows], best)
        winners[rows] = best
    return winners


def _as_labels(labels: Labels, num: int, name: str) -> Tensor:
    """Check integer labels (num,), >= -1, and return them as an int64 CPU tensor."""
    tensor = torch.as_tensor(labels).detach().cpu()
    if tensor.shape != (num,) or tensor.is_floating_point() or (num and int(tensor.min()) < -1):
        found = f'{tensor.dtype} of shape {tuple(tensor.shape)}'
        raise ValueError(f'{name} must be {num} integers >= -1 (-1 = outlier), one per feature row, got {found}')
    return tensor.long()


def _like(result: Tensor, given: Labels) -> Labels:
    return result if isinstance(given, Tensor) else result.numpy()


def _votes(value: int | float, topk: int, name: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value * topk
    raise ValueError(f'{name} must be an int of at least 1 (votes) or a float in (0, 1] (share of topk), got {value!r}')
