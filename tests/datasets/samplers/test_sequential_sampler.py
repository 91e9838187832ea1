import numpy as np
import pytest

from dscreid.datasets.samplers import SequentialSampler
from dscreid.structures import draw_seeds


def test_everything_once_in_order(identities, mmengine_build):
    dataset = identities(people=2, count=3)
    sampler = mmengine_build.sampler(dataset, {'type': 'SequentialSampler'}, seed=4)
    draws = list(sampler)
    assert len(sampler) == 12
    assert [d.index for d in draws] == list(range(12))
    assert [d.seed for d in draws] == draw_seeds(4, 0, np.arange(12)).tolist()
    assert list(sampler) == draws


@pytest.mark.parametrize('world_size', [2, 5, 7, 13])
def test_shards_partition_without_padding(identities, processes, world_size):
    dataset = identities(people=2, count=3)
    alone = list(SequentialSampler(dataset))
    parts = []
    for rank in range(world_size):
        processes(rank, world_size)
        sampler = SequentialSampler(dataset, seed=None)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
        assert parts[-1] == alone[rank::world_size]
    assert sorted(d for part in parts for d in part) == alone
