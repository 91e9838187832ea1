"""Dynamic-static label unification (DSLU): infrared labels for visible tracklets, corrected among neighbors.

Equation numbers are those of the DSC paper. No N x N array is created.
"""

from math import ceil, isfinite
from operator import index

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import (
    Features,
    as_feature_matrix,
    clipped,
    knn,
    nearest_by_inner_product,
    normalized_rows,
)
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
        outliers_vote: If False, an outlier keeps its place among the nearest, but is neither a candidate nor a vote. If
            True, -1 is a label like any other, and without any vote the label of the dynamically nearest tracklet is
            used, as in the code of SDCL (Yang et al., CVPR 2024), on which DSC builds.
        min_votes: Votes that a winner needs; with fewer, the tracklet gets -1. Default: 1, or 0 with ``outliers_vote``.
        return_votes: Whether to also return the votes of each winner (0 if the tracklet has no label).

    Returns:
        int64 (Nv,), infrared labels, -1 = none: a numpy array, or a CPU tensor if ``infrared_labels`` is one. With
        ``return_votes``, a pair of labels and votes.

    Raises:
        ValueError: If shapes do not match, features are not finite, or a label is below -1.

    Example:
        Both halves of the visible tracklet are nearest to the two infrared tracklets of cluster 1:

        >>> visible = np.array([[0.0, 1.0]])
        >>> infrared = np.array([[1.0, 0.0], [0.1, 1.0], [-0.1, 1.0]])
        >>> unify_labels(visible, visible, infrared, infrared, np.array([0, 1, 1]), topk=2)
        array([1])
    """
    labels = as_labels(infrared_labels, len(infrared_static), 'infrared_labels')
    check_unification(topk, outliers_vote, min_votes)
    min_votes = (0 if outliers_vote else 1) if min_votes is None else min_votes
    topk = clipped(topk, len(labels), 'topk')
    candidates = labels[knn(visible_dynamic, infrared_dynamic, topk)[1].cpu()]  # (6) and (7)
    voters = labels[knn(visible_static, infrared_static, topk)[1].cpu()]  # (6)
    if len(candidates) != len(voters):
        raise ValueError(f'{len(voters)} static but {len(candidates)} dynamic visible features')
    unified = torch.full((len(candidates),), -1, dtype=torch.int64)
    votes = torch.zeros(len(candidates), dtype=torch.int64)
    for rows in row_chunks(len(candidates), topk * topk) if topk else ():
        agreements = _count_equal(candidates[rows], voters[rows])  # (8)
        if not outliers_vote:
            agreements[candidates[rows] < 0] = -1
        best = agreements.max(dim=1).values
        place = agreements.argmax(dim=1)  # the first of equal maxima is the dynamically nearest
        winner = candidates[rows].gather(1, place[:, None]).squeeze(1)  # (9)
        kept = best >= min_votes
        unified[rows] = torch.where(kept, winner, -1)
        votes[rows] = torch.where(kept, best, 0).clamp(min=0)
    results = _like(unified, infrared_labels), _like(votes, infrared_labels)
    return results if return_votes else results[0]


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
        outliers_vote: If True, -1 is a class that can win, as in the code of SDCL. If False, outliers cast no vote, and
            a label is only -1 if all neighbors are outliers.

    Returns:
        int64 (N,), -1 = outlier: a numpy array, or a CPU tensor if ``labels`` is one.

    Raises:
        ValueError: If shapes do not match, features are not finite, or a parameter is out of range.
    """
    own = as_labels(labels, len(static), 'labels')
    check_correction(topk, static_weight, dynamic_weight)
    static = normalized_rows(as_feature_matrix(static, 'static'))
    dynamic = normalized_rows(as_feature_matrix(dynamic, 'dynamic'))
    if len(static) != len(dynamic):
        raise ValueError(f'{len(static)} static but {len(dynamic)} dynamic features')
    # Inner products of these rows are the fused similarity (11).
    fused = torch.cat([static * static_weight**0.5, dynamic * dynamic_weight**0.5], dim=1)
    topk = clipped(topk, len(own), 'topk')
    if not topk:
        return _like(own.clone(), labels)
    neighbors = nearest_by_inner_product(fused, fused, topk, self_first=True)[1].cpu()
    corrected = own.clone()
    for rows in row_chunks(len(own), topk * topk):
        corrected[rows] = _most_frequent(own[neighbors[rows]], own[rows], outliers_vote)
    return _like(corrected, labels)


def votes_needed(epoch: int, topk: int, start: int | float, end: int | float, epochs: int, begin: int = 0) -> int:
    """Compute the number of votes, in [1, topk], that a visible tracklet's label needs in an epoch.

    It changes linearly from ``start`` to ``end``, rounded up: many votes at first, fewer as the model improves.

    Args:
        epoch: Zero-based epoch.
        topk: Number of votes cast, at least 1.
        start: Votes until ``begin``. An int is a number of votes, a float in (0, 1] a share of ``topk``.
        end: Votes from ``begin + epochs`` on, given like ``start``.
        epochs: Length of the transition in epochs, at least 1.
        begin: Zero-based epoch in which the transition begins.

    Raises:
        ValueError: If a value is out of range.
    """
    if topk < 1 or epochs < 1 or begin < 0:
        raise ValueError(f'topk and epochs must be at least 1 and begin not negative, got {topk}, {epochs} and {begin}')
    first, last = _votes(start, topk, 'start'), _votes(end, topk, 'end')
    votes = first + (last - first) * min(max((epoch - begin) / epochs, 0.0), 1.0)
    # A rounding error above a whole number must not require an extra vote.
    return min(max(ceil(votes - 1e-9), 1), topk)


def check_unification(topk: int = 20, outliers_vote: bool = False, min_votes: int | None = None) -> None:
    """Check the parameters of :func:`unify_labels`; raises ValueError or TypeError."""
    if index(topk) < 1:
        raise ValueError(f'topk must be at least 1, got {topk}')
    if min_votes is not None and index(min_votes) < 0:
        raise ValueError(f'min_votes must be at least 0, got {min_votes}')


def check_correction(
    topk: int = 20, static_weight: float = 1.0, dynamic_weight: float = 1.0, outliers_vote: bool = False
) -> None:
    """Check the parameters of :func:`correct_labels`; raises ValueError or TypeError."""
    lowest, total = min(static_weight, dynamic_weight), static_weight + dynamic_weight
    if index(topk) < 1 or lowest < 0 or total == 0 or not isfinite(total):
        raise ValueError(
            'topk must be >= 1 and the weights >= 0, not both 0; '
            f'got topk={topk}, static_weight={static_weight}, dynamic_weight={dynamic_weight}'
        )


def _most_frequent(votes: Tensor, own: Tensor, outliers_vote: bool) -> Tensor:
    """Winners (n,) of the votes (n, K) for tracklets with labels ``own`` (n,)."""
    counts = _count_equal(votes, votes)  # (13)
    if not outliers_vote:
        counts[votes < 0] = 0
    best = counts.max(dim=1, keepdim=True).values
    winning = counts == best  # (14)
    keeps = (winning & (votes == own[:, None])).any(dim=1)
    smallest = votes.masked_fill(~winning, torch.iinfo(votes.dtype).max).min(dim=1).values
    return torch.where(keeps, own, smallest)


def _count_equal(candidates: Tensor, voters: Tensor) -> Tensor:
    """int64 (n, K), the voters (n, K') of the same row that equal each candidate (n, K)."""
    return (candidates[:, :, None] == voters[:, None, :]).sum(dim=2)


def as_labels(labels: Labels, num: int, name: str) -> Tensor:
    """Check integer labels (num,), >= -1, and return them as an int64 CPU tensor."""
    tensor = torch.as_tensor(labels).detach().cpu()
    if tensor.shape != (num,) or tensor.is_floating_point() or (num and int(tensor.min()) < -1):
        raise ValueError(
            f'{name} must be {num} integers >= -1 (-1 = outlier), one per feature row, got {tensor.dtype} of shape '
            f'{tuple(tensor.shape)}'
        )
    return tensor.long()


def _like(result: Tensor, given: Labels) -> Labels:
    """Return a tensor if the input was a tensor, otherwise a numpy array."""
    return result if isinstance(given, Tensor) else result.numpy()


def _votes(value: int | float, topk: int, name: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value * topk
    raise ValueError(
        f'{name} must be a number of votes (an int of at least 1) or a share of topk (a float in (0, 1]), got {value!r}'
    )
