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


def test_wrong_arguments(dataset):
    with pytest.raises(ConfigError, match='cannot regroup RandomSampler'):
        ConsistentModalitySampler(RandomSampler(range(3)), 4)
    with pytest.raises(ConfigError, match='batch_size must be at least 1'):
        ConsistentModalitySampler(dataset, 0)
