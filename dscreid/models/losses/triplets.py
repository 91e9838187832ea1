"""Triplet losses of the supervised methods as pure functions.

Features are float (B, D), not normalized here, labels int64 (B,). All compute in float32 (float64 for float64 input),
even under autocast. Anchors without any negative are ignored; without any other, a loss is a differentiable 0.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.models.precision import full_precision

#: Bound of the squared difference in ``squared_weighted_triplet``, as in CAJ's released code.
_LARGEST_SQUARE = 88.0


def weighted_regularized_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """Compute the weighted regularization triplet loss of AGW (Ye et al., 2021) within a batch.

    The loss is ``mean_i softplus(sum_p w_ip d_ip - sum_n w_in d_in)`` on Euclidean distances ``d``, with
    ``w_ip = softmax_p(d_ip)`` over the rows of the anchor's identity (with itself) and ``w_in = softmax_n(-d_in)`` over
    all others. Unlike in the released code, the softmax is exact.
    """
    positive, negative, has_negative = _weighted_distances(features, labels)
    return _mean_over(F.softplus(positive - negative), has_negative)


def squared_weighted_triplet(features: Tensor, labels: Tensor) -> Tensor:
    """Compute the triplet loss of CAJ (Ye et al., ICCV 2021), its released code's ``adp`` with a square.

    With ``x`` the difference of weighted distances in ``weighted_regularized_triplet``, the loss is
    ``mean_i softplus(sign(x) min(x ** 2, 88))``.
    """
    positive, negative, has_negative = _weighted_distances(features, labels)
    difference = positive - negative
    signed = difference.sign() * difference.square().clamp(max=_LARGEST_SQUARE)
    return _mean_over(F.softplus(signed), has_negative)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    """Compute the batch-hard triplet loss (Hermans et al., 2017).

    The loss is ``mean_i max(0, margin + max_p d_ip - min_n d_in)`` on Euclidean distances, over the rows ``p`` of the
    anchor's identity (with itself) and all others ``n``.
    """
    distances, same, has_negative = _distances(features, labels)
    if not len(labels):
        return distances.sum()
    positive = distances.masked_fill(~same, 0).amax(dim=1)
    negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return _mean_over((margin + positive - negative).clamp(min=0), has_negative)


def center_triplet(first: Tensor, second: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """Compute a triplet loss of identity centers in two versions of a batch (DEEN's center-guided pair mining).

    The centers ``a_k`` of identity k in ``first`` are anchors, its centers in ``second`` the positives, and the nearest
    center of another identity in ``second`` the negative: ``mean_k max(0, margin + |a_k - b_k| - min_l |a_k - b_l|)``.
    """
    with torch.autocast(first.device.type, enabled=False):
        found, rows = labels.unique(return_inverse=True)
        if len(found) < 2:
            return (first + second).sum() * 0
        anchors, others = (_group_means(full_precision(part), rows, len(found)) for part in (first, second))
        distances = euclidean(anchors, others)
        negative = distances.masked_fill(torch.eye(len(found), dtype=torch.bool, device=rows.device), torch.inf)
        return (margin + distances.diagonal() - negative.amin(dim=1)).clamp(min=0).mean()


def _group_means(rows: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    sums = rows.new_zeros(num_groups, rows.shape[1]).index_add(0, groups, rows)
    return sums / groups.bincount(minlength=num_groups)[:, None]


def _weighted_distances(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each anchor's weighted distance to its positives and its negatives, and whether it has a negative."""
    distances, same, has_negative = _distances(features, labels)
    with torch.autocast(features.device.type, enabled=False):
        positive = _masked_softmax_mean(distances, distances, same)
        # Anchors without a negative get an arbitrary non-empty set, so the softmax is defined; they are not used.
        negative = _masked_softmax_mean(distances, -distances, ~same | ~has_negative[:, None])
        return positive, negative, has_negative


def _distances(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return distances (B, B), which rows have the same label (B, B), and which have a negative (B,)."""
    with torch.autocast(features.device.type, enabled=False):
        features = full_precision(features)
        same = labels[:, None] == labels[None, :]
        return euclidean(features, features), same, ~same.all(dim=1)


def euclidean(first: Tensor, second: Tensor) -> Tensor:
    """Compute the Euclidean distances between rows, float (A, D) and (B, D): (A, B)."""
    squared = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)[None, :] - 2 * first @ second.T
    return squared.clamp(min=1e-12).sqrt()  # with a finite gradient at 0


def _mean_over(per_anchor: Tensor, counts: Tensor) -> Tensor:
    # not a product, because an anchor without negatives may be infinitely far from them
    return per_anchor.masked_fill(~counts, 0).sum() / counts.sum().clamp(min=1)


def _masked_softmax_mean(values: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    weights = logits.masked_fill(~mask, -torch.inf).softmax(dim=1)
    return (weights * values).sum(dim=1)
