"""Label unification of GUR ("IR2RGB"): weighted votes of infrared tracklets for visible labels, then smoothing.

Yang et al., "Towards Grand Unified Representation Learning for Unsupervised Visible-Infrared Person Re-Identification",
ICCV 2023, following its released code. DSLU is derived from it. No N x N array is created.
"""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, nearest_by_inner_product, normalized_rows
from dscreid.pseudo_labels.dslu import as_labels
from dscreid.utils.chunks import row_chunks


def vote_across(
    visible: Features,
    infrared: Features,
    infrared_labels: np.ndarray,
    topk: int = 20,
    temperature: float = 1.0,
    outliers_vote: bool = True,
) -> np.ndarray:
    """Give every visible tracklet the label with the largest weight among its nearest infrared tracklets.

    The weight of an infrared tracklet is the softmax of cosine / temperature over all infrared tracklets.

    Args:
        visible: Float (Nv, D). Rows of both matrices are L2-normalized internally.
        infrared: Float (Nt, D).
        infrared_labels: int64 (Nt,), >= -1, -1 = outlier.
        topk: Number of neighbors that vote. Clipped to Nt.
        temperature: Temperature of the softmax. The released code has none, which equals 1.
        outliers_vote: If True, -1 is a class that can win, as in the released code. If False, outliers keep their place
            among the nearest but cast no vote.

    Returns:
        int64 (Nv,), infrared labels. -1 if -1 won or there was no vote. Ties go to the smallest label.

    Raises:
        ValueError: If shapes do not match, features are not finite, or a parameter is out of range.
    """
    if topk < 1 or temperature <= 0:
        raise ValueError(
            f'topk must be at least 1 and temperature positive, got topk={topk}, temperature={temperature}'
        )
    queries = normalized_rows(as_feature_matrix(visible, 'visible'))
    gallery = normalized_rows(as_feature_matrix(infrared, 'infrared'))
    labels = as_labels(infrared_labels, len(gallery), 'infrared_labels')
    if not len(labels):
        return np.full(len(queries), -1, np.int64)
    similarity, neighbors = nearest_by_inner_product(queries, gallery, topk)
    similarity = similarity.double().cpu()
    weights = torch.exp((similarity - similarity[:, :1]) / temperature)  # the denominator does not change the winner
    return _heaviest(labels[neighbors.cpu()], weights, outliers_vote).numpy()


def smooth_labels(features: Features, labels: np.ndarray, topk: int = 20, outliers_vote: bool = True) -> np.ndarray:
    """Replace each label by the most frequent one among the nearest tracklets of the same modality.

    Args:
        features: Float (N, D). Rows are L2-normalized internally.
        labels: int64 (N,), >= -1, -1 = outlier.
        topk: Number of neighbors, the first of which is the tracklet itself. Clipped to N.
        outliers_vote: Whether -1 is a class that can win, as in the released code.

    Returns:
        int64 (N,). Ties go to the smallest label, unlike those of ``dslu.correct_labels``.

    Raises:
        ValueError: If shapes do not match, features are not finite, or ``topk`` is below 1.
    """
    if topk < 1:
        raise ValueError(f'topk must be at least 1, got {topk}')
    rows = normalized_rows(as_feature_matrix(features, 'features'))
    own = as_labels(labels, len(rows), 'labels')
    if not len(own):
        return own.numpy()
    votes = own[nearest_by_inner_product(rows, rows, topk, self_first=True)[1].cpu()]
    return _heaviest(votes, torch.ones(votes.shape, dtype=torch.float64), outliers_vote).numpy()


def _heaviest(votes: Tensor, weights: Tensor, outliers_vote: bool) -> Tensor:
    """int64 (N,), the label with the largest sum of weights among the votes (N, K); the smallest in a tie."""
    winners = torch.full((len(votes),), -1, dtype=torch.int64)
    if not outliers_vote:
        weights = weights.masked_fill(votes < 0, 0)
    for rows in row_chunks(len(votes), votes.shape[1] ** 2):
        block = votes[rows]
        same = block[:, :, None] == block[:, None, :]
        sums = (same * weights[rows][:, None, :]).sum(dim=2)
        winning = sums == sums.max(dim=1, keepdim=True).values
        winners[rows] = block.masked_fill(~winning, torch.iinfo(block.dtype).max).min(dim=1).values
    return winners
