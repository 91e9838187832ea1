"""Batches do not depend on workers: the whole way from files through MMEngine's loader."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from dscreid.datasets import HITSZVCM, BUPTCampus
from dscreid.errors import DatasetError

PIPELINE = [
    {'type': 'SampleFrames', 'num_frames': 3, 'rule': 'segment_random'},
    {'type': 'LoadFrames', 'size': (12, 8)},
    {'type': 'PackTracklet'},
]


def loader(dataset, sampler, batch_size, workers):
    config = {
        'dataset': dataset,
        'sampler': {'_scope_': 'dscreid', **sampler},
        'batch_size': batch_size,
        'num_workers': workers,
        'persistent_workers': workers > 0,
    }
    return Runner.build_dataloader(config, seed=3)


def epoch(data_loader):
    return [
        (torch.stack(batch['inputs']), [dict(s.metainfo_items()) for s in batch['data_samples']])
        for batch in data_loader
    ]


def assert_same(one, other):
    assert [facts for _, facts in one] == [facts for _, facts in other]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))


def test_labelled_batches_are_the_same_with_any_number_of_workers(worlds):
    root = worlds.hitsz()
    sampler = {'type': 'IdentitySampler', 'num_identities': 2, 'num_tracklets': 2, 'iterations': 3}
    runs = []
    for workers in (0, 1, 2):
        data_loader = loader(HITSZVCM(root, 'train', pipeline=PIPELINE, expected_statistics=None), sampler, 8, workers)
        epochs = []
        for number in range(2):
            data_loader.sampler.set_epoch(number)
            epochs.append(epoch(data_loader))
        runs.append(epochs)
    for other in runs[1:]:
        for one, two in zip(runs[0], other, strict=True):
            assert_same(one, two)
    assert runs[0][0][0][0].shape == (8, 3, 3, 12, 8)
    assert not torch.equal(runs[0][0][0][0], runs[0][1][0][0])


def test_new_pseudo_labels_reach_persistent_workers(worlds):
    root = worlds.bupt()
    sampler = {'type': 'PseudoLabelSampler', 'visible': (1, 2), 'infrared': (2, 2), 'iterations': 2}
    runs = []
    for workers in (0, 2):
        dataset = BUPTCampus(root, 'train', pipeline=PIPELINE, labelled=False, expected_statistics=None)
        data_loader = loader(dataset, sampler, 6, workers)
        epochs = []
        for number, labels in enumerate((np.arange(8) // 2, np.where(np.arange(8) < 4, -1, np.arange(8) % 2))):
            data_loader.sampler.set_epoch(number)
            data_loader.sampler.set_labels(labels, labels)
            epochs.append(epoch(data_loader))
        runs.append(epochs)
    for one, two in zip(*runs, strict=True):
        assert_same(one, two)
    outliers = {*dataset.indices('rgb')[:4].tolist(), *dataset.indices('ir')[:4].tolist()}
    for _, facts in runs[1][1]:
        assert not outliers & {fact['index'] for fact in facts}
        assert all('pid' not in fact and 'label' not in fact for fact in facts)


def test_modality_batches_through_the_loader(worlds):
    dataset = BUPTCampus(worlds.bupt(), 'test', pipeline=PIPELINE, expected_statistics=None)
    config = {
        'dataset': dataset,
        'sampler': {'type': 'SequentialSampler', '_scope_': 'dscreid'},
        'batch_sampler': {'type': 'ConsistentModalitySampler', '_scope_': 'dscreid'},
        'batch_size': 5,
        'num_workers': 0,
    }
    batches = epoch(Runner.build_dataloader(config, seed=0))
    assert [len(facts) for _, facts in batches] == [5, 3, 5, 3]
    assert all(len({fact['modality'] for fact in facts}) == 1 for _, facts in batches)


def test_scrambled_person_ids_change_no_draw(worlds):
    root = worlds.hitsz()
    sampler = {'type': 'SequentialSampler'}
    runs = []
    for _ in range(2):
        dataset = HITSZVCM(root, 'train', pipeline=PIPELINE, labelled=False, expected_statistics=None)
        runs.append(epoch(loader(dataset, sampler, 4, 0)))
        info = root / 'info/track_train_info.txt'
        rows = [line.split() for line in info.read_text().splitlines()]
        info.write_text('\n'.join(' '.join([*row[:3], '-1', row[4]]) for row in rows))
    assert_same(*runs)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_missing_frame_is_named_through_the_loader(worlds, workers):
    root = worlds.hitsz()
    for file in (root / 'Train/0002/ir/D1').iterdir():
        file.unlink()
    dataset = HITSZVCM(root, 'train', pipeline=PIPELINE, expected_statistics=None)
    with pytest.raises(DatasetError, match=r'0002/ir/D1/\d+.jpg: the frame is missing'):
        epoch(loader(dataset, {'type': 'SequentialSampler'}, 4, workers))
