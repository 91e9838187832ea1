"""Labels of one modality as clusters of the other by optimal transport: a RECONSTRUCTION.

Dual optimal transport label assignment (Cheng et al., "Unsupervised Visible-Infrared Person ReID by Collaborative
Learning with Neighbor-Guided Label Refinement", ACM MM 2023), of which only summaries were available. Cost, marginals,
sharpness and stopping rule follow a later release of the same group (He et al., "Exploring Homogeneous and
Heterogeneous Consistent Label Associations for Unsupervised Visible-Infrared Person ReID", arXiv:2402.00672).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows


def transport_labels(
    features: Features, centers: Features, center_masses: np.ndarray | None = None, **settings: Any
) -> tuple[np.ndarray, bool]:
    """Label each tracklet by the cluster that receives most of its mass in an entropic transport plan.

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
