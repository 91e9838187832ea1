"""ADCA's aggregation of matched centers."""

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.memories import Aggregation, aggregate_centers

VISIBLE = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
INFRARED = torch.tensor([[0.0, -1.0], [-1.0, 0.0]])
MATCHES = torch.tensor([[2, 0], [0, 1]])


def test_visible_centers_move_alone():
    visible, infrared = aggregate_centers(VISIBLE, INFRARED, MATCHES)
    expected = torch.tensor([[0.1 - 0.9, 0.0], [0.0, 1.0], [0.06, 0.08 - 0.9]])
    torch.testing.assert_close(visible, expected)
    assert torch.equal(infrared, INFRARED)
    assert VISIBLE[0].tolist() == [1.0, 0.0]  # the input is left as it was


def test_both_ways_from_the_old_centers():
    visible, infrared = aggregate_centers(VISIBLE, INFRARED, MATCHES, momentum=0.5, both_ways=True)
    torch.testing.assert_close(visible[0], (VISIBLE[0] + INFRARED[1]) / 2)
    torch.testing.assert_close(infrared, torch.stack([(VISIBLE[2] + INFRARED[0]) / 2, visible[0]]))


def test_normalized_where_changed():
    visible, _ = aggregate_centers(2 * VISIBLE, INFRARED, MATCHES, normalize=True)
    torch.testing.assert_close(visible.norm(dim=1), torch.tensor([1.0, 2.0, 1.0]))


def test_momentum_of_one_and_no_match_change_nothing():
    assert torch.equal(aggregate_centers(VISIBLE, INFRARED, MATCHES, momentum=1.0)[0], VISIBLE)
    nothing = torch.empty(0, 2, dtype=torch.int64)
    visible, infrared = aggregate_centers(VISIBLE, INFRARED, nothing, both_ways=True)
    assert torch.equal(visible, VISIBLE)
    assert torch.equal(infrared, INFRARED)


def test_two_partners_of_a_changed_cluster_are_refused():
    with pytest.raises(ValueError, match='one to one'):
        aggregate_centers(VISIBLE, INFRARED, torch.tensor([[0, 0], [0, 1]]))
    shared_partner = torch.tensor([[0, 1], [1, 1]])
    aggregate_centers(VISIBLE, INFRARED, shared_partner)
    with pytest.raises(ValueError, match='one to one'):
        aggregate_centers(VISIBLE, INFRARED, shared_partner, both_ways=True)


def test_momentum_is_a_share():
    with pytest.raises(ConfigError, match='momentum must lie in'):
        Aggregation(momentum=1.5)
