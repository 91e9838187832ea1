"""Labels of one modality as clusters of the other by optimal transport: a RECONSTRUCTION.

Dual optimal transport label assignment (Cheng et al., "Unsupervised Visible-Infrared Person ReID by Collaborative
Learning with Neighbor-Guided Label Refinement", ACM MM 2023) is the other interpretation of "NG" in the comparison
tables of the DSC paper. Only summaries of it were available. Cost, marginals, sharpness and stopping rule follow a
later release of the same group (He et al., "Exploring Homogeneous and Heterogeneous Consistent Label Associations for
Unsupervised Visible-Infrared Person ReID", arXiv:2402.00672).
"""

import numpy as np
import torch
from torch import Tensor

from dscreid.neighbors.knn import Features, as_feature_matrix, normalized_rows


def transport_labels(
    features: Features,
    centers: Features,
    center_masses: np.ndarray | None = None,
    sharpness: float = 25.0,
    tolerance: float = 0.1,
    max_steps: int = 500,
) -> tuple[np.ndarray, bool]:
    """Label each tracklet by the cluster that receives most of its mass in an entropic transport plan.

    The cost is the squared Euclidean distance between a tracklet and a center. All tracklets have the same mass.

    Args:
        features: Float (N, D) of one modality, rows L2-normalized internally.
        centers: Float (C, D) of the other modality's clusters, used as given (unnormalized means in that release).
        center_masses: Positive (C,), shares that the clusters receive, normalized to sum to 1. None gives all the same
            share; cluster sizes are better suited to the skewed clusters of DBSCAN.
        sharpness: Factor of the cost, the reciprocal of the weight of the entropy.
        tolerance: See :func:`sinkhorn`.
        max_steps: See :func:`sinkhorn`.

    Returns:
        int64 (N,) in [0, C), with ties broken by the smaller cluster, and whether the iteration converged.

    Raises:
        ValueError: If there is no center, shapes do not match, values are not finite, or a parameter is out of range.
    """
    features = normalized_rows(as_feature_matrix(features, 'features')).cpu()
    centers = as_feature_matrix(centers, 'centers').cpu()
    if features.shape[1] != centers.shape[1] or not len(centers):
        raise ValueError(
            'there must be at least one center, of the dimension of the features, got shapes '
            f'{tuple(features.shape)} and {tuple(centers.shape)}'
        )
    if not len(features):
        return np.empty(0, np.int64), True
    masses = torch.ones(len(centers)) if center_masses is None else torch.as_tensor(center_masses)
    if masses.shape != (len(centers),):
        raise ValueError(f'{len(centers)} centers but masses of shape {tuple(masses.shape)}')
    cost = (features**2).sum(1)[:, None] + (centers**2).sum(1) - 2 * features @ centers.T
    senders = torch.full((len(features),), 1 / len(features))
    log_plan, converged = sinkhorn(cost, senders, masses / masses.sum(), sharpness, tolerance, max_steps)
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

    Minimizes <P, cost> - H(P) / sharpness over plans P with the given marginals, by alternately scaling rows and
    columns of exp(-sharpness * cost).

    Args:
        cost: Float (N, C), finite.
        row_masses: Positive (N,).
        column_masses: Positive (C,), with the same sum.
        sharpness: Positive.
        tolerance: Stop once the sum of abs(b / b_new - 1) is at most this value, where b is the scaling of the columns.
        max_steps: Maximum number of steps, each of which scales the rows, then the columns.
        check_every: Number of steps between convergence tests.

    Returns:
        ``log_plan`` (N, C), whose columns sum to ``column_masses`` and rows about to ``row_masses``, and whether the
        tolerance was reached.

    Raises:
        ValueError: If a shape does not match, a mass is not positive, or a parameter is out of range.
    """
    if cost.shape != (len(row_masses), len(column_masses)):
        raise ValueError(
            f'a cost of shape {tuple(cost.shape)} does not fit {len(row_masses)} row masses and {len(column_masses)} '
            'column masses'
        )
    if (row_masses <= 0).any() or (column_masses <= 0).any():
        raise ValueError('all masses must be positive: leave out rows and columns without mass')
    if sharpness <= 0 or tolerance < 0 or min(max_steps, check_every) < 1:
        raise ValueError(
            'sharpness must be positive, tolerance not negative, max_steps and check_every at least 1, got '
            f'{sharpness}, {tolerance}, {max_steps}, {check_every}'
        )
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
