from collections import Counter

import numpy as np
import pytest

from dscreid.datasets.samplers import IdentitySampler
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import draw_seeds


def batches(sampler):
    draws = list(sampler)
    assert len(draws) == len(sampler)
    return [draws[i : i + sampler.batch_size] for i in range(0, len(draws), sampler.batch_size)]


def test_layout_of_a_batch(identities, mmengine_build):
    dataset = identities()
    sampler = mmengine_build.sampler(
        dataset, {'type': 'IdentitySampler', 'num_identities': 3, 'num_tracklets': 2, 'iterations': 20}
    )
    assert (sampler.batch_size, len(sampler)) == (12, 240)
    for batch in batches(sampler):
        rows = [draw.index for draw in batch]
        labels = dataset.labels[rows].reshape(3, 4)
        assert (labels == labels[:, :1]).all()
        assert len(set(labels[:, 0].tolist())) == 3
        assert [dataset.tracklets[i].modality.value for i in rows] == ['rgb', 'rgb', 'ir', 'ir'] * 3
        assert len(set(rows)) == 12


def test_identities_are_drawn_evenly(identities):
    dataset = identities(people=7)
    sampler = IdentitySampler(dataset, 3, 1, iterations=70)
    counts = Counter(dataset.labels[[draw.index for draw in sampler]].tolist())
    assert set(counts.values()) == {2 * 30}


def test_seed_and_epoch_decide_everything(identities):
    dataset = identities()
    one, same, other = (IdentitySampler(dataset, 3, 2, iterations=5, seed=s) for s in (1, 1, 2))
    first = list(one)
    assert list(one) == first == list(same)
    assert [d.index for d in other] != [d.index for d in first]
    one.set_epoch(1)
    assert [d.index for d in one] != [d.index for d in first]
    assert [d.seed for d in one] == draw_seeds(1, 1, np.arange(60)).tolist()
    one.set_epoch(0)
    assert list(one) == first


def test_no_seed_counts_as_zero(identities):
    assert list(IdentitySampler(identities(), seed=None)) == list(IdentitySampler(identities(), seed=0))


@pytest.mark.parametrize('world_size', [2, 4])
def test_processes_share_the_global_batches(identities, processes, world_size):
    dataset = identities()
    alone = batches(IdentitySampler(dataset, 4, 2, iterations=6))
    parts = []
    for rank in range(world_size):
        processes(rank, world_size)
        sampler = IdentitySampler(dataset, 4, 2, iterations=6)
        assert sampler.batch_size == 16 // world_size
        parts.append(batches(sampler))
    visible = set(dataset.indices('rgb').tolist())
    for step, whole in enumerate(alone):
        assert sorted((d for part in parts for d in part[step]), key=lambda d: d.position) == whole
        for part in parts:
            assert sum(draw.index in visible for draw in part[step]) == 8 // world_size


def test_small_identities_repeat(identities):
    dataset = identities(people=2, count=3)
    for batch in batches(IdentitySampler(dataset, 2, 4, iterations=10)):
        rows = [draw.index for draw in batch]
        assert len(set(rows)) == 12


def test_identities_without_both_modalities_are_never_drawn(fake_dataset):
    rows = [('rgb', 0, 0, False), ('ir', 0, 0, False), ('rgb', 1, 0, False), ('ir', 2, 0, False)]
    dataset = fake_dataset(rows)
    assert {draw.index for draw in IdentitySampler(dataset, 1, 2, iterations=10)} == {0, 1}
    with pytest.raises(ConfigError, match=r'2 identities per batch, but only 1 .*lower num_identities'):
        IdentitySampler(dataset, 2)
    with pytest.raises(DatasetError, match=r'no identity of split .* has tracklets in both modalities'):
        IdentitySampler(fake_dataset(rows[2:]), 1)


def test_wrong_arguments(identities, fake_dataset, processes):
    with pytest.raises(ConfigError, match='labeled train split'):
        IdentitySampler(fake_dataset([('rgb', 0, 0, False)], labelled=False))
    with pytest.raises(ConfigError, match='iterations must be at least 1'):
        IdentitySampler(identities(), iterations=0)
    with pytest.raises(ConfigError, match='must be at least 1'):
        IdentitySampler(identities(), num_tracklets=0)
    processes(0, 3)
    with pytest.raises(ConfigError, match='16 visible tracklets per batch cannot be divided among 3'):
        IdentitySampler(identities())
