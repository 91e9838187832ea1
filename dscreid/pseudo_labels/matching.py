"""Matching across modalities: by votes of tracklet pairs, assignment of cluster centers, or optimal transport."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows
from dscreid.utils.chunks import row_chunks


def count_votes(
    visible: Features,
    infrared: Features,
    visible_labels: np.ndarray,
    infrared_labels: np.ndarray,
    threshold: float = 0.5,
) -> tuple[np.ndarray, float]:
    """Count the similar tracklet pairs of each pair of clusters.

    With :func:`greedy_matches`, this is the cross-modality aggregation of ADCA (Yang et al., "Augmented
    Dual-Contrastive Aggregation Learning for Unsupervised Visible-Infrared Person Re-Identification", ACM MM 2022).

    Features are float (Nv, D) and (Nt, D), L2-normalized internally, labels int64 (Nv,) and (Nt,); outliers (-1) do not
    vote. ``threshold`` is the smallest cosine similarity that counts.

    Returns int64 (Cv, Ct), where C is the largest label + 1, and the share in [0, 1] of pairs of labeled tracklets that
    count.
    """
    rgb, rgb_labels = _labeled_rows(visible, visible_labels, 'visible')
    ir, ir_labels = _labeled_rows(infrared, infrared_labels, 'infrared')
    size = [int(labels.max()) + 1 if len(labels) else 0 for labels in (rgb_labels, ir_labels)]
    votes = torch.zeros(*size, dtype=torch.int64, device=rgb.device)
    for rows in row_chunks(len(rgb), len(ir)):
        alike = (ir @ rgb[rows].T >= threshold).to(torch.int32)  # (Nt, n)
        by_cluster = alike.new_zeros(size[1], alike.shape[1]).index_add_(0, ir_labels, alike)
        votes.index_add_(0, rgb_labels[rows], by_cluster.T.long())
    pairs = len(rgb) * len(ir)
    return votes.cpu().numpy(), float(votes.sum() / pairs) if pairs else 0.0


def greedy_matches(votes: np.ndarray) -> np.ndarray:
    """Pair clusters one to one, in descending order of votes int (Cv, Ct); ties go to the smaller row, then column.

    Returns int64 (P, 2). Clusters without any vote, or whose candidates are all taken, have no pair.
    """
    rows, columns = np.nonzero(votes)
    order = np.argsort(-votes[rows, columns], kind='stable')
    row_is_free, column_is_free = (np.ones(size, bool) for size in votes.shape)
    accepted = []
    for row, column in zip(rows[order], columns[order], strict=True):
        if row_is_free[row] and column_is_free[column]:
            row_is_free[row] = column_is_free[column] = False
            accepted.append((row, column))
    return np.array(accepted, np.int64).reshape(-1, 2)


def match_clusters_progressively(
    visible_centers: Features, infrared_centers: Features, passes: int | None = None, mirror: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Assign a partner to every cluster by repeated minimum-cost assignment of centers.

    This is progressive graph matching (Wu and Ye, "Unsupervised Visible-Infrared Person Re-Identification via
    Progressive Graph Matching and Alternate Learning", CVPR 2023). The cost of a pair is exp(-cos). The first
    assignment pairs all clusters of the smaller side, which keeps these partners. The remaining clusters of the larger
    side are then assigned to *all* clusters of the smaller side, at most that many at a time, until none is left.

    Args:
        visible_centers: Float (Cv, D), at least one row. Rows of both are L2-normalized internally.
        infrared_centers: Float (Ct, D), at least one row.
        passes: Maximum number of assignments, 2 in the released code. None repeats until all clusters are matched.
        mirror: If False, there are no partners if the infrared side is larger, as in the authors' code for SYSU-MM01.

    Returns ``rgb_to_ir`` int64 (Cv,) and ``ir_to_rgb`` int64 (Ct,), the partner of each cluster, -1 = none.
    """
    cost = _center_costs(visible_centers, infrared_centers).numpy()
    if cost.shape[0] >= cost.shape[1]:
        return _match_larger_side(cost, passes)
    if not mirror:
        return np.full(cost.shape[0], -1, np.int64), np.full(cost.shape[1], -1, np.int64)
    ir_to_rgb, rgb_to_ir = _match_larger_side(cost.T, passes)
    return rgb_to_ir, ir_to_rgb


def match_clusters_by_transport(
    visible_centers: Features,
    infrared_centers: Features,
    regularization: float = 5.0,
    tolerance: float = 1e-5,
    max_steps: int = 5000,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Give every cluster the partner that receives most of its mass in an entropic transport plan of centers (RPNR).

    The cost of a pair is exp(-cos), and all clusters of a modality have the same mass. A cluster may be the partner of
    many, or of none.

    Args:
        visible_centers: Float (Cv, D), at least one row. Rows of both are L2-normalized internally.
        infrared_centers: Float (Ct, D), at least one row.
        regularization: Weight of the plan's entropy, positive, 5 in the released code; the ``sharpness`` of
            :func:`sinkhorn` is its reciprocal.
        tolerance: See :func:`sinkhorn`. The released code compares the plan's marginals instead.
        max_steps: Maximum number of steps, at least 1.

    Returns ``rgb_to_ir`` int64 (Cv,), ``ir_to_rgb`` int64 (Ct,), and whether the iteration converged.
    """
    cost = _center_costs(visible_centers, infrared_centers)
    rows, columns = (cost.new_full((size,), 1 / size) for size in cost.shape)
    log_plan, converged = sinkhorn(cost, rows, columns, 1 / regularization, tolerance, max_steps)
    plan = log_plan.numpy()
    return plan.argmax(axis=1), plan.argmax(axis=0), converged


def transport_labels(
    features: Features, centers: Features, center_masses: np.ndarray | None = None, **settings: Any
) -> tuple[np.ndarray, bool]:
    """Label each tracklet by the cluster that receives most of its mass in an entropic transport plan.

    A RECONSTRUCTION of DOTLA (Cheng et al., ACM MM 2023), of which only summaries were available. Cost, marginals,
    sharpness and stopping rule follow a later release of the same group (He et al., arXiv:2402.00672).

    The cost is the squared Euclidean distance between a tracklet and a center. All tracklets have the same mass.

    Float (N, D) features are L2-normalized internally; centers (C, D) of the other modality are used as given
    (unnormalized means in that release). ``center_masses``, positive (C,), are normalized to sum to 1; None gives all
    clusters the same share. ``settings`` are those of :func:`sinkhorn`.

    Returns int64 (N,) in [0, C), with ties broken by the smaller cluster, and whether the iteration converged.
    """
    features = normalized_rows(as_feature_matrix(features, 'features')).cpu()
    centers = as_feature_matrix(centers, 'centers').cpu()
    if not len(features):
        return np.empty(0, np.int64), True
    masses = torch.ones(len(centers)) if center_masses is None else torch.as_tensor(center_masses)
    cost = (features**2).sum(1)[:, None] + (centers**2).sum(1) - 2 * features @ centers.T
    senders = torch.full((len(features),), 1 / len(features))
    log_plan, converged = sinkhorn(cost, senders, masses / masses.sum(), **settings)
    return log_plan.argmax(dim=1).numpy(), converged


def sinkhorn(
    cost: Tensor,
    row_masses: Tensor,
    column_masses: Tensor,
    sharpness: float = 25.0,
    tolerance: float = 0.1,
    max_steps: int = 500,
    check_every: int = 10,
) -> tuple[Tensor, bool]:
    """Entropic optimal transport (Cuturi, "Sinkhorn Distances", NeurIPS 2013), in the log domain.

    Minimizes <P, cost> - H(P) / sharpness over plans P with the given marginals.

    Args:
        cost: Float (N, C), finite.
        row_masses: Positive (N,).
        column_masses: Positive (C,), with the same sum.
        sharpness: Positive.
        tolerance: Stop once the sum of abs(b / b_new - 1) is at most this value, where b is the scaling of the columns.
        max_steps: Maximum number of steps, at least 1, each of which scales the rows, then the columns.
        check_every: Number of steps between convergence tests.

    Returns ``log_plan`` (N, C), whose columns sum to ``column_masses`` and rows about to ``row_masses``, and whether
    the tolerance was reached.
    """
    log_kernel = -sharpness * cost
    log_rows, log_columns = row_masses.to(cost).log(), column_masses.to(cost).log()
    columns = torch.zeros_like(log_columns)
    converged = False
    for step in range(1, max_steps + 1):
        rows = log_rows - torch.logsumexp(log_kernel + columns, dim=1)
        previous = columns
        columns = log_columns - torch.logsumexp(log_kernel + rows[:, None], dim=0)
        if step % check_every == 0:
            converged = bool((torch.exp(previous - columns) - 1).abs().sum() <= tolerance)
        if converged:
            break
    return log_kernel + rows[:, None] + columns, converged


def _center_costs(visible_centers: Features, infrared_centers: Features) -> Tensor:
    """float64 (Cv, Ct), exp(-cos) of two sides of centers."""
    visible = normalized_rows(as_feature_matrix(visible_centers, 'visible_centers').double().cpu())
    infrared = normalized_rows(as_feature_matrix(infrared_centers, 'infrared_centers').double().cpu())
    if not len(visible) or not len(infrared):
        raise ValueError('both sides need at least one center')
    return torch.exp(-(visible @ infrared.T))


def _match_larger_side(cost: np.ndarray, passes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Partners of the rows (R,) and of the columns (C,) of a cost with R >= C; -1 if passes ran out."""
    partner_of_row, partner_of_column = (np.full(size, -1, np.int64) for size in cost.shape)
    done = 0
    while (partner_of_row < 0).any() and (passes is None or done < passes):
        left = np.flatnonzero(partner_of_row < 0)
        rows, columns = linear_sum_assignment(cost[left])
        partner_of_row[left[rows]] = columns
        if not done:
            partner_of_column[columns] = rows
        done += 1
    return partner_of_row, partner_of_column


def _labeled_rows(features: Features, labels: np.ndarray, name: str) -> tuple[Tensor, Tensor]:
    rows = normalized_rows(as_feature_matrix(features, name))
    numbers = torch.from_numpy(np.asarray(labels, np.int64)).to(rows.device)
    return rows[numbers >= 0], numbers[numbers >= 0]
