"""Label unification of GUR ("IR2RGB"): visible labels by weighted votes of infrared tracklets, then smoothed.

Yang et al., "Towards Grand Unified Representation Learning for Unsupervised Visible-Infrared Person Re-Identification",
ICCV 2023, as its released code has it. DSLU descends from it. Both functions are row-chunked; no N x N array is held.
"""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import (
    as_feature_matrix,
    nearest_by_inner_product,
    normalized_rows,
)
from dscreid.utils.chunks import row_chunks

Features = Tensor | np.ndarray


def vote_across(
    visible: Features,
    infrared: Features,
    infrared_labels: np.ndarray,
    topk: int = 20,
    temperature: float = 1.0,
    outliers_vote: bool = True,
) -> np.ndarray:
    """Give every visible tracklet the label that weighs most among its nearest infrared tracklets.

    The weight of an infrared tracklet is the softmax over all of them of cosine / temperature; only the ``topk``
    nearest have a vote. The softmax's divisor is the same for the whole row and changes no winner, so it is left out.

    Args:
        visible: Float (Nv, D); rows of both matrices are L2-normalized inside.
        infrared: Float (Nt, D).
        infrared_labels: int64 (Nt,), >= -1, -1 = outlier.
        topk: Neighbors that vote; clipped to Nt.
        temperature: Of the softmax. The released code has none, so that at its 1 the votes weigh nearly the same.
        outliers_vote: Whether -1 is a class that can win, as in the released code. False: outliers keep their place
            among the nearest but cast no vote.

    Returns:
        int64 (Nv,), infrared labels; -1 where -1 won, or nobody voted. Among equals the smallest label.

    Raises:
        ValueError: Shapes do not fit, features are not finite, or a parameter is out of range.
    """
    if topk < 1 or temperature <= 0:
        raise ValueError(
            f'topk must be at least 1 and temperature positive, got topk={topk}, temperature={temperature}'
        )
    visible = normalized_rows(as_feature_matrix(visible, 'visible'))
    infrared = normalized_rows(as_feature_matrix(infrared, 'infrared'))
    labels = _as_labels(infrared_labels, len(infrared), 'infrared_labels')
    if not len(labels):
        return np.full(len(visible), -1, np.int64)
    similarity, neighbors = nearest_by_inner_product(visible, infrared, topk)
    similarity = similarity.double().cpu()
    weights = torch.exp((similarity - similarity[:, :1]) / temperature)
    return _heaviest(labels[neighbors.cpu()], weights, outliers_vote).numpy()


def smooth_labels(
    features: Features, labels: np.ndarray, topk: int = 20, outliers_vote: bool = True
) -> np.ndarray:
    """Replace each label by the most frequent one among the nearest tracklets of the same modality.

    :func:`dscreid.pseudo_labels.dslu.correct_labels` differs in what wins among equals: the tracklet's own label.

    Args:
        features: Float (N, D); rows are L2-normalized inside.
        labels: int64 (N,), >= -1, -1 = outlier.
        topk: Neighbors, the tracklet itself, always the first, included; clipped to N.
        outliers_vote: Whether -1 is a class that can win, as in the released code.

    Returns:
        int64 (N,); among equals the smallest label.

    Raises:
        ValueError: Shapes do not fit, features are not finite, or ``topk`` is below 1.
    """
    if topk < 1:
        raise ValueError(f'topk must be at least 1, got {topk}')
    features = normalized_rows(as_feature_matrix(features, 'features'))
    own = _as_labels(labels, len(features), 'labels')
    if not len(own):
        return own.numpy()
    votes = own[nearest_by_inner_product(features, features, topk, self_first=True)[1].cpu()]
    return _heaviest(votes, torch.ones(votes.shape, dtype=torch.float64), outliers_vote).numpy()


def _heaviest(votes: Tensor, weights: Tensor, outliers_vote: bool) -> Tensor:
    """int64 (N,): the label with the largest sum of weights among the votes (N, K), the smallest among equals."""
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


def _as_labels(labels: np.ndarray, num: int, name: str) -> Tensor:
    """Labels as a tensor, checked to be integers >= -1, one for each of ``num`` feature rows."""
    labels = np.asarray(labels)
    if labels.shape != (num,) or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < -1:
        raise ValueError(
            f'{name} must be {num} integers >= -1, one per feature row, got {labels.dtype} of shape {labels.shape}'
        )
    return torch.from_numpy(labels.astype(np.int64))
