"""Workers of data loaders and the shared memory that their batches need."""

import pytest
from mmengine import Config

from dscreid.apis.config import fit_to_machine
from dscreid.apis.shared_memory import excessive_loaders, free_shared_memory, loader_needs, tracklet_bytes

MIB = 2**20
PIPELINE = [
    dict(type='SampleFrames', num_frames=6, rule='segment_random'),
    dict(type='LoadFrames', size=(288, 144)),
    dict(type='PackTracklet'),
]
#: uint8 frames of one tracklet
TRACKLET = 6 * 3 * 288 * 144


def loader(batch_size=24, num_workers=8, **settings):
    return dict(
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=True,
        dataset=dict(type='HITSZVCM', pipeline=PIPELINE),
        **settings,
    )


def test_bytes_of_a_tracklet():
    assert tracklet_bytes(PIPELINE) == TRACKLET
    # defaults of the transforms: 6 frames of 288x144
    assert tracklet_bytes([dict(type='SampleFrames'), dict(type='LoadFrames')]) == TRACKLET
    for unknown in ([dict(type='SampleFrames'), dict(type='LoadFromElsewhere')], []):
        with pytest.raises(KeyError):
            tracklet_bytes(unknown)


@pytest.mark.parametrize(
    'change',
    [
        dict(num_workers='8'),
        dict(batch_size=None),
        dict(prefetch_factor=-1),
        dict(dataset='HITSZVCM'),
        dict(dataset=dict(pipeline='LoadFrames')),
        dict(dataset=dict(pipeline=[dict(type='SampleFrames', num_frames=6), dict(type='LoadFrames', size=288)])),
        dict(dataset=dict(pipeline=[dict(type='SampleFrames', num_frames='6'), dict(type='LoadFrames')])),
    ],
)
def test_values_that_are_refused_elsewhere_do_no_harm(change):
    assert loader_needs(dict(train_dataloader=loader() | change)) == []


def test_batches_in_advance_and_the_one_in_use():
    config = dict(
        train_dataloader=loader(),
        default_hooks=dict(cluster=dict(type='ClusterHook', pipeline=PIPELINE, num_workers=2)),
        test_dataloader=loader(num_workers=0),
        other=dict(num_workers=4),
    )
    train, hook = loader_needs(config)
    assert hook.settings is config['default_hooks']['cluster']
    assert (train.name, train.batch, train.total) == ('train_dataloader', 24 * TRACKLET, 17 * 24 * TRACKLET)
    assert (hook.name, hook.total) == ('ClusterHook', 5 * 128 * TRACKLET)


@pytest.mark.parametrize(
    ('free', 'workers'),
    [
        (17 * 24 * TRACKLET / 0.89, 8),
        (17 * 24 * TRACKLET / 0.91, 7),
        # Docker's default: three batches of 17.1 MiB fit into 57.6 MiB, the one in use and two in advance
        (64 * MIB, 1),
        (30 * MIB, 0),
        (0, 0),
    ],
)
def test_as_many_workers_as_fit(free, workers):
    config = dict(train_dataloader=loader())
    found = [count for _, count in excessive_loaders(config, int(free))]
    assert found == ([] if workers == 8 else [workers])


def test_processes_of_one_machine_share_it(monkeypatch):
    config = dict(train_dataloader=loader())
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert [count for _, count in excessive_loaders(config, 128 * MIB)] == [1]


def test_unknown_memory_limits_nothing(tmp_path):
    assert free_shared_memory(tmp_path / 'gone') is None
    assert free_shared_memory(tmp_path) > 0
    assert excessive_loaders(dict(train_dataloader=loader()), None) == []


@pytest.fixture
def said(monkeypatch):
    """What fitting a config logs."""
    messages = []
    monkeypatch.setattr('dscreid.apis.config.print_log', lambda message, **options: messages.append(message))
    return messages


def test_a_config_is_fitted_with_one_warning(said):
    config = Config(
        dict(
            train_dataloader=loader(),
            test_dataloader=loader(batch_size=32, prefetch_factor=2),
            val_dataloader=loader(batch_size=1),
        )
    )
    fit_to_machine(config, shared_memory=64 * MIB)
    assert config.train_dataloader.num_workers == 1
    assert config.train_dataloader.persistent_workers
    # DataLoader refuses both settings without workers
    assert config.test_dataloader.num_workers == 0
    assert not {'persistent_workers', 'prefetch_factor'} & set(config.test_dataloader)
    assert config.val_dataloader.num_workers == 8
    (warning,) = said
    assert '/dev/shm has 64.0 MiB free' in warning
    assert 'train_dataloader 1 of 8, test_dataloader 0 of 8' in warning
    assert '--shm-size' in warning


def test_workers_of_the_extraction_are_limited_in_its_hook(said):
    train = loader()
    sampler = dict(type='PseudoLabelSampler', visible=(2, 2), infrared=(2, 2))
    train = {key: value for key, value in train.items() if key != 'batch_size'} | dict(sampler=sampler)
    hook = dict(type='ClusterHook', labelers=[], pipeline=train['dataset']['pipeline'], batch_size=128)
    config = Config(dict(train_dataloader=train, default_hooks=dict(cluster=hook)))
    fit_to_machine(config, shared_memory=400 * MIB)
    assert config.train_dataloader.num_workers == 8
    assert config.default_hooks.cluster.num_workers == 1
    assert 'ClusterHook 1 of 8' in said[0]


def test_enough_memory_changes_nothing(said):
    config = Config(dict(train_dataloader=loader()))
    fit_to_machine(config, shared_memory=2**33)
    assert config.train_dataloader.num_workers == 8
    assert said == []
