"""Optimal transport in ``matching`` against plain scaling and linear programming."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from dscreid.pseudo_labels import match_clusters_by_transport, sinkhorn, transport_labels


def _case(seed, n=8, c=3):
    rng = np.random.default_rng(seed)
    return rng.random((n, c)), rng.random(n) + 0.2, rng.random(c) + 0.2


def _scaled_by_hand(cost, rows, columns, sharpness, steps):
    """Textbook Sinkhorn on the kernel itself."""
    kernel = np.exp(-sharpness * cost)
    b = np.ones(len(columns))
    for _ in range(steps):
        a = rows / (kernel @ b)
        b = columns / (kernel.T @ a)
    return a[:, None] * kernel * b


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('steps', [1, 4, 60])
def test_the_log_domain_equals_plain_scaling(seed, steps):
    cost, rows, columns = _case(seed)
    rows, columns = rows / rows.sum(), columns / columns.sum()
    log_plan, _ = sinkhorn(
        torch.from_numpy(cost), torch.from_numpy(rows), torch.from_numpy(columns), 5.0, 0.0, max_steps=steps
    )
    np.testing.assert_allclose(log_plan.exp().numpy(), _scaled_by_hand(cost, rows, columns, 5.0, steps), rtol=1e-8)


def test_the_plan_has_the_marginals_asked_for():
    cost, rows, columns = (torch.from_numpy(part) for part in _case(4))
    rows, columns = rows / rows.sum(), columns / columns.sum()
    log_plan, converged = sinkhorn(cost, rows, columns, 25.0, tolerance=1e-9, max_steps=5000)
    assert converged
    torch.testing.assert_close(log_plan.exp().sum(1), rows)
    torch.testing.assert_close(log_plan.exp().sum(0), columns)


@pytest.mark.parametrize('seed', range(3))
def test_a_sharp_plan_costs_what_linear_programming_finds(seed):
    cost, rows, columns = _case(seed)
    rows, columns = rows / rows.sum(), columns / columns.sum()
    sums = np.concatenate([np.kron(np.eye(8), np.ones(3)), np.kron(np.ones(8), np.eye(3))])
    best = linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([rows, columns])).fun
    # exp(-2000 cost) is 0 in double precision wherever the cost is above 0.38
    log_plan, converged = sinkhorn(
        *(torch.from_numpy(part) for part in (cost, rows, columns)), 2000.0, tolerance=1e-6, max_steps=50_000
    )
    assert converged
    assert float((log_plan.exp() * torch.from_numpy(cost)).sum()) == pytest.approx(best, abs=2e-3)


def test_the_step_limit_is_kept_and_told():
    cost, rows, columns = (torch.from_numpy(part) for part in _case(0))
    rows, columns = rows / rows.sum(), columns / columns.sum()
    assert not sinkhorn(cost, rows, columns, 25.0, tolerance=0.0, max_steps=20)[1]
    assert sinkhorn(cost, rows, columns, 25.0, tolerance=1e9, max_steps=20)[1]
    assert not sinkhorn(cost, rows, columns, 25.0, tolerance=1e9, max_steps=9)[1]  # tested every 10 steps


@pytest.mark.parametrize('seed', range(3))
def test_labels_are_the_largest_share_of_the_plan(seed):
    rng = np.random.default_rng(seed)
    features, centers = rng.normal(size=(30, 6)), rng.normal(size=(4, 6)) * 0.5
    masses = np.array([1, 4, 2, 8])
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cost = ((unit[:, None] - centers[None]) ** 2).sum(2)
    plan = _scaled_by_hand(cost, np.full(30, 1 / 30), masses / 15, 5.0, 500)
    labels, converged = transport_labels(features, centers, masses, sharpness=5.0, tolerance=1e-8)
    assert converged
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, plan.argmax(1))


def test_uniform_masses_split_what_sizes_keep_together():
    # Nine tracklets near centre 0, three near centre 1: clusters of these sizes keep them, equal ones do not
    angles = np.deg2rad([*np.linspace(-8, 8, 9), 88, 90, 92])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centers = np.eye(2)
    by_size, _ = transport_labels(features, centers, np.array([9, 3]))
    np.testing.assert_array_equal(by_size, [0] * 9 + [1] * 3)
    uniform, _ = transport_labels(features, centers)
    np.testing.assert_array_equal(uniform, [0] * 6 + [1] * 6)  # those turned towards centre 1 go there


def test_empty_and_single_inputs():
    labels, converged = transport_labels(np.empty((0, 2)), np.eye(2))
    assert labels.shape == (0,)
    assert labels.dtype == np.int64
    assert converged
    assert transport_labels(np.eye(2), np.eye(2)[:1])[0].tolist() == [0, 0]
    assert transport_labels(np.eye(2)[:1], np.eye(2)[[1, 0]])[0].tolist() == [1]


def test_norms_do_not_matter_and_inputs_stay():
    features, centers = (
        np.random.default_rng(0).normal(size=(20, 5)),
        np.random.default_rng(1).normal(size=(3, 5)),
    )
    copies = features.copy(), centers.copy()
    expected = transport_labels(features, centers)[0]
    np.testing.assert_array_equal(transport_labels(torch.from_numpy(features * 7), centers)[0], expected)
    np.testing.assert_array_equal(features, copies[0])
    np.testing.assert_array_equal(centers, copies[1])


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='NaN'):
        transport_labels(np.eye(2), np.full((2, 2), np.nan))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('regularization', [5.0, 0.1])
@pytest.mark.parametrize('sizes', [(7, 4), (4, 7), (2, 3), (1, 1)])
def test_centers_go_where_most_of_their_mass_goes(seed, regularization, sizes):
    rng = np.random.default_rng(seed)
    visible, infrared = rng.normal(size=(sizes[0], 6)), rng.normal(size=(sizes[1], 6))
    cosines = [[v @ t / np.linalg.norm(v) / np.linalg.norm(t) for t in infrared] for v in visible]
    masses = [np.full(size, 1 / size) for size in sizes]
    plan = _scaled_by_hand(np.exp(-np.array(cosines)), *masses, 1 / regularization, 2000)
    rgb_to_ir, ir_to_rgb, converged = match_clusters_by_transport(visible, infrared, regularization)
    assert converged
    assert rgb_to_ir.dtype == ir_to_rgb.dtype == np.int64
    np.testing.assert_array_equal(rgb_to_ir, plan.argmax(1))
    np.testing.assert_array_equal(ir_to_rgb, plan.argmax(0))


def test_many_clusters_may_have_one_partner():
    visible, infrared = np.array([[1.0, 0.1], [1.0, 0.0], [1.0, -0.1]]), np.array([[1.0, 0.0]])
    assert match_clusters_by_transport(visible, infrared)[0].tolist() == [0, 0, 0]
    assert match_clusters_by_transport(infrared, visible)[1].tolist() == [0, 0, 0]


def test_limits_of_the_matching_by_transport():
    rng = np.random.default_rng(0)
    assert not match_clusters_by_transport(rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), 0.1, 0.0, 20)[2]
    with pytest.raises(ValueError, match='at least one center'):
        match_clusters_by_transport(np.empty((0, 2)), np.eye(2))
