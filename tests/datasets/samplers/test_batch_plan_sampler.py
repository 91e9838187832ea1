from collections import Counter

import numpy as np
import pytest

from dscreid.datasets.samplers.batch_plan_sampler import PermutationStream, draw_members, rank_share, seeded_draws
from dscreid.errors import ConfigError
from dscreid.structures import Draw, draw_seeds


@pytest.mark.parametrize(('groups', 'count'), [(5, 2), (5, 5), (7, 3), (1, 1), (6, 4)])
def test_stream_never_repeats_in_a_batch_and_stays_fair(groups, count):
    stream = PermutationStream(groups, np.random.default_rng(0))
    seen = Counter()
    for _ in range(50):
        taken = stream.take(count)
        assert len(set(taken)) == count
        seen.update(taken)
        assert max(seen.values()) - min(seen[g] for g in range(groups)) <= 2
    assert set(seen) == set(range(groups))


def test_every_group_comes_once_before_any_comes_again():
    stream = PermutationStream(8, np.random.default_rng(1))
    for _ in range(5):
        assert sorted(stream.take(4) + stream.take(4)) == list(range(8))


def test_stream_cannot_give_more_than_there_is():
    with pytest.raises(ValueError, match='4 different groups of 3'):
        PermutationStream(3, np.random.default_rng(0)).take(4)


def test_large_groups_are_drawn_without_replacement():
    members = np.arange(10, 16)
    for seed in range(20):
        drawn = draw_members(members, 4, np.random.default_rng(seed))
        assert len(set(drawn.tolist())) == 4
        assert set(drawn.tolist()) <= set(members.tolist())
    assert sorted(draw_members(members, 6, np.random.default_rng(0))) == members.tolist()


@pytest.mark.parametrize('size', [1, 2, 3])
def test_small_groups_give_each_member_once_before_repeating(size):
    members = np.arange(size) + 40
    for seed in range(20):
        drawn = draw_members(members, 4, np.random.default_rng(seed))
        assert len(drawn) == 4
        assert sorted(drawn[:size]) == members.tolist()


@pytest.mark.parametrize('world_size', [1, 2, 3, 6])
def test_shares_partition_the_batch_with_as_many_of_each_modality(world_size):
    visible = np.random.default_rng(0).permutation([True] * 6 + [False] * 12)
    shares = [rank_share(visible, rank, world_size) for rank in range(world_size)]
    assert sorted(np.concatenate(shares)) == list(range(18))
    assert {(len(share), visible[share].sum()) for share in shares} == {(18 // world_size, 6 // world_size)}
    assert all((np.diff(share) > 0).all() for share in shares)


def test_a_modality_that_cannot_be_divided():
    visible = np.array([True] * 6 + [False] * 4)
    with pytest.raises(ConfigError, match='6 visible tracklets per batch cannot be divided among 4 processes'):
        rank_share(visible, 0, 4)
    with pytest.raises(ConfigError, match='4 infrared tracklets per batch cannot be divided among 3 processes'):
        rank_share(visible, 0, 3)


def test_draws_carry_the_seed_of_their_position():
    draws = list(seeded_draws(np.array([7, 8]), 3, 2, np.array([10, 0])))
    seeds = draw_seeds(3, 2, np.arange(11))
    assert draws == [Draw(7, seeds[10], 10), Draw(8, seeds[0], 0)]
    assert all(type(value) is int for draw in draws for value in draw)
