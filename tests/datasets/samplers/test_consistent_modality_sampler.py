import numpy as np
import pytest
from torch.utils.data import RandomSampler

from dscreid.datasets.samplers import ConsistentModalitySampler, SequentialSampler
from dscreid.errors import ConfigError
from dscreid.registry import DATA_SAMPLERS


@pytest.fixture
def dataset(fake_dataset):
    """Interleaved: 7 visible and 5 infrared queries, 6 visible and 4 infrared others."""
    rows = [('rgb', 0, 0, True)] * 7 + [('ir', 0, 0, True)] * 5 + [('rgb', 0, 0, False)] * 6 + [('ir', 0, 0, False)] * 4
    order = np.random.default_rng(0).permutation(len(rows))
    return fake_dataset([rows[i] for i in order])


def sizes(batches):
    return [len(batch) for batch in batches]


def test_batches_hold_one_modality_and_nothing_is_lost(dataset):
    sampler = SequentialSampler(dataset, seed=2)
    batches = DATA_SAMPLERS.build(
        {'type': 'ConsistentModalitySampler'}, default_args={'sampler': sampler, 'batch_size': 4}
    )
    assert sizes(batches) == [4, 4, 4, 1, 4, 4, 1]
    assert len(batches) == 7
    for batch in batches:
        assert len({dataset.tracklets[draw.index].modality for draw in batch}) == 1
    assert sorted(draw for batch in batches for draw in batch) == list(sampler)


def test_a_dataset_will_do(dataset):
    assert list(ConsistentModalitySampler(dataset, 4)) == list(ConsistentModalitySampler(SequentialSampler(dataset), 4))


def dropped_by_reference(dataset, batch_size):
    """The reference's slice ``[: -(n % batch_size)]``, which is empty where the remainder is 0."""
    survivors = []
    for is_query in (True, False):
        visible = [i for i in dataset.indices('rgb').tolist() if dataset.tracklets[i].is_query == is_query]
        survivors += visible[: -(len(visible) % batch_size)]
    return set(survivors)


@pytest.mark.parametrize('batch_size', [2, 4, 6, 7])
def test_the_fault_of_the_reference_on_demand(dataset, batch_size):
    batches = ConsistentModalitySampler(dataset, batch_size, drop_last_like_reference=True)
    drawn = [draw.index for batch in batches for draw in batch]
    visible = set(dataset.indices('rgb').tolist())
    assert {i for i in drawn if i in visible} == dropped_by_reference(dataset, batch_size)
    assert sorted(i for i in drawn if i not in visible) == dataset.indices('ir').tolist()
    assert len(list(batches)) == len(batches)


def test_the_fault_is_decided_over_all_processes(dataset, processes):
    alone = {d.index for b in ConsistentModalitySampler(dataset, 4, drop_last_like_reference=True) for d in b}
    together = []
    for rank in range(2):
        processes(rank, 2)
        batches = ConsistentModalitySampler(SequentialSampler(dataset), 4, drop_last_like_reference=True)
        together += [d.index for b in batches for d in b]
    assert sorted(together) == sorted(alone)


def test_wrong_arguments(dataset):
    with pytest.raises(ConfigError, match='cannot regroup RandomSampler'):
        ConsistentModalitySampler(RandomSampler(range(3)), 4)
    with pytest.raises(ConfigError, match='batch_size must be at least 1'):
        ConsistentModalitySampler(dataset, 0)
