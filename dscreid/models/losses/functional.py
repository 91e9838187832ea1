"""The losses of both stages, except triplets, as pure functions of tensors.

All compute in float32 (float64 for float64 input), even under autocast. Memories never receive gradients.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.models.precision import full_precision

OUTLIER = -1


def cluster_contrastive_loss(
    features: Tensor,
    memory: Tensor,
    labels: Tensor,
    temperature: float = 0.05,
    groups: Tensor | None = None,
    unpaired: Tensor | None = None,
) -> Tensor:
    """Compute the InfoNCE loss of features against a cluster memory, equations (3) and (4).

    The loss is ``mean_i -log softmax_c(n(f_i) . M_c / temperature)[y_i]``, where ``n`` is L2 normalization, as in
    Cluster Contrast (Dai et al., 2022). It is a differentiable 0 without labeled rows.

    Args:
        features: float (B, D), L2-normalized by this function.
        memory: (C, D), one center per cluster, used as stored.
        labels: int64 (B,), cluster of each feature in [0, C). Rows labeled -1 (outliers) are ignored.
        temperature: Softmax temperature.
        groups: int64 (C,), group of each cluster, to which a row's softmax is limited (GUR; Yang et al., ICCV 2023).
        unpaired: int64 (C,), 1 for a cluster of visible tracklets only, -1 for infrared ones only, 0 for both. The
            softmax of a row with an unpaired label leaves out unpaired clusters of the other modality, of which one may
            show the same person (ours).
    """
    with torch.autocast(features.device.type, enabled=False):
        logits = _cluster_logits(features, memory, temperature)
        if groups is not None:
            own = groups[labels.clamp(min=0)]  # of any group for outliers, which cross_entropy ignores
            logits = logits.masked_fill(own[:, None] != groups[None, :], -torch.inf)
        if unpaired is not None:
            own = unpaired[labels.clamp(min=0)]
            logits = logits.masked_fill(own[:, None] * unpaired[None, :] < 0, -torch.inf)
        total = F.cross_entropy(logits, labels, ignore_index=OUTLIER, reduction='sum')
        return total / (labels != OUTLIER).sum().clamp(min=1)


def soft_cluster_contrastive_loss(
    features: Tensor, memory: Tensor, targets: Tensor, weights: Tensor, temperature: float = 0.05
) -> Tensor:
    """Compute the neighbor-guided loss of N-ULC with the weights of N-DW (Teng et al., arXiv 2412.12220).

    The loss is ``mean_i w_i sum_c -q_ic log softmax_c(n(f_i) . M_c / temperature)`` over the rows that have a target,
    or a differentiable 0 if there are none.

    Args:
        features: float (B, D), L2-normalized by this function.
        memory: (C, D), one center per cluster, used as stored.
        targets: float (B, C). Each row sums to 1, or to 0 if the sample has no target.
        weights: float (B,) in [0, 1].
        temperature: Softmax temperature, positive.
    """
    with torch.autocast(features.device.type, enabled=False):
        log_probability = _cluster_logits(features, memory, temperature).log_softmax(dim=1)
        entropy = -(targets.to(log_probability.dtype) * log_probability).sum(dim=1)
        given = (targets > 0).any(dim=1).sum().clamp(min=1)
        return (weights.to(entropy.dtype) * entropy).sum() / given


@torch.no_grad()
def neighbor_mask(
    query_static: Tensor,
    query_dynamic: Tensor,
    bank_static: Tensor,
    bank_dynamic: Tensor,
    alpha: float = 0.9,
    own_rows: Tensor | None = None,
) -> Tensor:
    """Find the neighbors of each query, bool (B, N), that both feature spaces agree on, equations (15) to (21).

    In one space, a bank row is a neighbor if its cosine similarity is strictly greater than ``alpha`` times the largest
    similarity of the query. As published, a query whose largest similarity is not positive has no neighbors, and a
    query in the bank is its own neighbor, so that its threshold is ``alpha``.

    Args:
        query_static: float (B, D), L2-normalized by this function.
        query_dynamic: float (B, D), L2-normalized by this function.
        bank_static: (N, D), L2-normalized by this function.
        bank_dynamic: (N, D), L2-normalized by this function.
        alpha: Fraction of the largest similarity, in [0, 1].
        own_rows: int64 (B,), row of each query in the bank, which is then neither a neighbor nor the largest
            similarity; None to treat all rows alike.

    Example:
        >>> # the third row is near in the static space only
        >>> static = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
        >>> dynamic = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> neighbor_mask(static[:1], dynamic[:1], static, dynamic)
        tensor([[ True, False, False]])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha must lie in [0, 1], got {alpha}')
    static = _near_maximum(query_static, bank_static, alpha, own_rows)
    return static & _near_maximum(query_dynamic, bank_dynamic, alpha, own_rows)


def neighbor_contrastive_loss(
    features: Tensor,
    bank: Tensor,
    mask: Tensor,
    temperature: float = 0.05,
    count_offset: float = 1,
    left_out: Tensor | None = None,
) -> Tensor:
    """Pull features toward their neighbors in an instance memory, equations (22) to (24), in one feature space.

    The loss is ``mean_i 1 / (|N_i| + count_offset) * sum_{j in N_i} -log softmax_j(n(f_i) . n(m_j) / temperature)``
    over all B queries; a query without neighbors contributes 0. Unlike in SDCL's released code, probabilities are not
    clamped.

    Args:
        features: float (B, D), L2-normalized by this function.
        bank: (N, D), L2-normalized by this function; receives no gradient.
        mask: bool (B, N), neighbors of each query.
        temperature: Softmax temperature, positive.
        count_offset: Added to the number of neighbors: 1 as in the released code, 0 for the plain mean.
        left_out: bool (B, N), rows that are no negatives of a query: if they are not its neighbors, its softmax ignores
            them. None for none, as published.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = full_precision(features)
        bank = F.normalize(bank.detach().to(features.dtype), dim=1)
        logits = F.normalize(features, dim=1) @ bank.T / temperature
        if left_out is not None:
            # not -inf, which would give NaN where the mask is multiplied, and in rows without any other entry
            logits = logits.masked_fill(left_out & ~mask, torch.finfo(logits.dtype).min)
        log_probability = logits.log_softmax(dim=1)
        count = mask.sum(dim=1)
        divisor = torch.where(count > 0, count + count_offset, 1)
        per_query = -log_probability.masked_fill(~mask, 0).sum(dim=1) / divisor
        return per_query.sum() / max(len(features), 1)


def supervised_contrastive_loss(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Compute the supervised contrastive loss within a batch (Khosla et al., NeurIPS 2020), equation (2) ("out").

    For each anchor, -log softmax over all other samples is averaged over its positives; the loss is the mean over the
    anchors that have a positive, or a differentiable 0. ``features`` are float (B, D), L2-normalized by this function,
    ``labels`` int64 (B,).
    """
    features = F.normalize(features.float(), dim=1)
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    logits = features @ features.t() / temperature
    logits = logits.masked_fill(itself, torch.finfo(logits.dtype).min)  # not -inf, which is NaN in a row of its own
    positives = (labels[:, None] == labels[None, :]) & ~itself
    counts = positives.sum(dim=1)
    log_probabilities = logits.log_softmax(dim=1).masked_fill(~positives, 0.0)
    per_anchor = log_probabilities.sum(dim=1) / counts.clamp(min=1)  # 0 without positives
    return -per_anchor.sum() / (counts > 0).sum().clamp(min=1)


def image_text_contrastive_loss(images: Tensor, texts: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Compute CLIP-ReID's symmetric contrastive loss of images and texts of identities (Li et al., AAAI 2023).

    The loss is ``l(S) + l(S.T)`` with ``S = images @ texts.T / temperature`` and ``l(S) = mean_i mean_{j: y_j = y_i}
    -log softmax_j(S_ij)``. Features are not normalized.

    Args:
        images: float (B, P).
        texts: float (B, P); row i belongs to the same identity as row i of ``images``.
        labels: int64 (B,), the identities.
        temperature: Softmax temperature, positive.
    """
    with torch.autocast(images.device.type, enabled=False):
        logits = full_precision(images) @ full_precision(texts).T / temperature
        positives = labels[:, None] == labels[None, :]
        log_probabilities = logits.log_softmax(dim=1) + logits.T.log_softmax(dim=1)
        return -(log_probabilities * positives).sum(dim=1).div(positives.sum(dim=1)).mean()


def _cluster_logits(features: Tensor, memory: Tensor, temperature: float) -> Tensor:
    features = full_precision(features)
    return F.normalize(features, dim=1) @ memory.detach().to(features.dtype).T / temperature


def _near_maximum(queries: Tensor, bank: Tensor, alpha: float, own_rows: Tensor | None) -> Tensor:
    with torch.autocast(queries.device.type, enabled=False):
        queries = full_precision(queries)
        similarity = F.normalize(queries, dim=1) @ F.normalize(bank.to(queries.dtype), dim=1).T
    if similarity.shape[1] == 0:
        return similarity.bool()
    if own_rows is not None:
        similarity = similarity.scatter(1, own_rows[:, None], -torch.inf)
    return similarity > alpha * similarity.amax(dim=1, keepdim=True)
