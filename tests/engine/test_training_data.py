from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import init_default_scope

from dscreid.apis.config import load_config
from dscreid.engine import training_data
from dscreid.engine.runner import ReIDRunner
from dscreid.engine.training_data import (
    check_both_modalities,
    check_num_classes,
    extraction_loader,
    extraction_settings,
    with_batch_size,
)
from dscreid.errors import ConfigError, DatasetError

SAMPLERS = [
    (dict(type='IdentitySampler', num_identities=3), 3 * 4 * 2),
    (dict(type='IdentitySampler', num_tracklets=2, modalities=('rgb',)), 4 * 2),
    (dict(type='PseudoLabelSampler', visible=(2, 2)), 2 * 2 + 4 * 4),
]


@pytest.mark.parametrize(('sampler', 'total'), SAMPLERS)
@pytest.mark.parametrize('processes', [1, 2, 4])
def test_the_sampler_sets_the_share_of_a_process(sampler, total, processes, monkeypatch):
    monkeypatch.setattr(training_data, 'get_world_size', lambda: processes)
    assert with_batch_size(dict(sampler=sampler))['batch_size'] == total // processes
    with pytest.raises(ConfigError, match=f'plans batches of {total} tracklets; remove batch_size'):
        with_batch_size(dict(sampler=sampler, batch_size=total))


def test_other_samplers_need_a_batch_size():
    settings = dict(sampler=dict(type='SequentialSampler'), batch_size=5)
    assert with_batch_size(settings) == settings
    assert with_batch_size(dict(sampler=dict(type='PseudoLabelSampler', visible=2)))['batch_size'] == 1


def test_features_are_extracted_from_the_training_tracklets(tiny_runs):
    """Whatever a config changes in the training data, the loader of ClusterHook follows."""
    options = {'train_dataloader.dataset.min_seq_len': 13, 'default_hooks.cluster.batch_size': 5}
    config = load_config(tiny_runs.adapt, options)
    config.train_dataloader.persistent_workers = False
    init_default_scope(config.default_scope)
    train = ReIDRunner.build_dataloader(config.train_dataloader, seed=1)
    shared = extraction_loader(train, config.default_hooks.cluster.pipeline, 5, 1)
    separate = ReIDRunner.build_dataloader(extraction_settings(config), seed=1)
    assert shared.dataset.tracklets is train.dataset.tracklets
    assert shared.dataset.fingerprint() == separate.dataset.fingerprint()
    assert len(shared) == len(separate) == -(-len(train.dataset) // 5)
    for one, other in zip(shared, separate, strict=True):
        assert all(map(torch.equal, one['inputs'], other['inputs']))
        assert [s.index for s in one['data_samples']] == [s.index for s in other['data_samples']]
    assert train.dataset.pipeline[0].rule == 'sorted_random'


@pytest.mark.parametrize(('own', 'workers'), [(None, 2), (0, 0), (1, 1)])
def test_workers_of_the_extraction_are_those_of_the_training_loader_unless_it_has_its_own(
    own, workers, tiny_runs
):
    options = {'train_dataloader.num_workers': 2, 'default_hooks.cluster.num_workers': own}
    config = load_config(tiny_runs.adapt, options)
    init_default_scope(config.default_scope)
    train = ReIDRunner.build_dataloader(config.train_dataloader, seed=1)
    loader = extraction_loader(train, config.default_hooks.cluster.pipeline, 5, 1, own)
    again = ReIDRunner.build_dataloader(extraction_settings(config), seed=1)
    for built in (loader, again):
        assert (built.num_workers, built.persistent_workers) == (workers, workers > 0)


@pytest.mark.parametrize(
    ('found', 'message'), [(6, 'num_classes=5, but the training split has 6'), (None, 'labels')]
)
def test_each_identity_has_an_output(found, message):
    loader = SimpleNamespace(dataset=SimpleNamespace(num_classes=found))
    with pytest.raises(ConfigError, match=message):
        check_num_classes(loader, 5)
    if found:
        check_num_classes(loader, 6)


@pytest.mark.parametrize(
    ('counts', 'skipped', 'message'),
    [
        (
            {'rgb': 3, 'ir': 0},
            0,
            r"d: split 'train' has no infrared tracklet \(3 visible; min_seq_len=12 .*both modalities",
        ),
        (
            {'rgb': 0, 'ir': 1},
            2,
            r'no visible tracklet \(1 infrared; .*skip_tracklet left out 2\), but .*these settings$',
        ),
    ],
)
def test_adaptation_needs_both_modalities(counts, skipped, message):
    dataset = SimpleNamespace(
        root='d', split='train', modality=None, min_seq_len=12, num_skipped_tracklets=skipped,
        indices=lambda modality: range(counts[modality.value]),
    )  # fmt: skip
    with pytest.raises(DatasetError, match=message):
        check_both_modalities(dataset)
    counts |= {'rgb': 1, 'ir': 1}
    check_both_modalities(dataset)
