"""Workers of data loaders are limited by the shared memory that their batches need."""

import pytest
from mmengine import Config

from dscreid.apis.config import fit_to_machine

MIB = 2**20


def loader(num_workers=8):
    return dict(num_workers=num_workers, persistent_workers=True, prefetch_factor=2)


@pytest.fixture
def said(monkeypatch):
    """What fitting a config logs."""
    messages = []
    monkeypatch.setattr('dscreid.apis.config.print_log', lambda message, **options: messages.append(message))
    return messages


@pytest.mark.parametrize(
    ('free', 'processes', 'workers'),
    [(2**33, 1, 8), (8 * 192 * MIB, 1, 8), (8 * 192 * MIB - 1, 1, 7), (2 * 192 * MIB, 2, 1), (64 * MIB, 1, 0)],
)
def test_as_many_workers_as_fit(said, monkeypatch, free, processes, workers):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
    hook = dict(type='ClusterHook', num_workers=8)
    parts = dict(train_dataloader=loader(), test_dataloader=loader(0), default_hooks=dict(cluster=hook))
    config = Config(parts)
    fit_to_machine(config, shared_memory=free)
    assert config.train_dataloader.num_workers == config.default_hooks.cluster.num_workers == workers
    # DataLoader refuses both settings without workers
    assert ('prefetch_factor' in config.train_dataloader) is ('persistent_workers' in config.train_dataloader)
    assert ('prefetch_factor' in config.train_dataloader) is (workers > 0)
    assert 'prefetch_factor' not in config.test_dataloader
    assert len(said) == (workers < 8)
    assert all(f'num_workers is reduced to {workers}' in text and '--shm-size' in text for text in said)


def test_workers_that_are_not_set_stay_so(said):
    config = Config(dict(default_hooks=dict(cluster=dict(type='ClusterHook', num_workers=None))))
    fit_to_machine(config, shared_memory=0)
    assert config.default_hooks.cluster.num_workers is None
    assert said == []
