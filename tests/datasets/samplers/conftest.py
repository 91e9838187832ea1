"""A dataset without files, and processes that are only pretended."""

from types import SimpleNamespace

import numpy as np
import pytest

from dscreid.structures import Modality, Tracklet

SAMPLERS = 'dscreid.datasets.samplers'


class FakeDataset:
    """The part of ``TrackletDataset`` that samplers use; a row is (modality, label, camera, is_query)."""

    root, split = 'nowhere', 'train'

    def __init__(self, rows, labelled=True):
        self.tracklets = [Tracklet(('f',), Modality(m), c, is_query=q) for m, _, c, q in rows]
        self.labels = np.array([row[1] for row in rows], dtype=np.int64) if labelled else None
        self.cameras = np.array([row[2] for row in rows], dtype=np.int64)

    def __len__(self):
        return len(self.tracklets)

    def indices(self, modality):
        return np.array([i for i, t in enumerate(self.tracklets) if t.modality == Modality(modality)], dtype=np.int64)


@pytest.fixture
def fake_dataset():
    return FakeDataset


@pytest.fixture
def identities():
    """Dataset of ``people`` identities with ``count`` tracklets per modality, modalities interleaved."""

    def make(people=6, count=5, cameras=5):
        return FakeDataset(
            [(m, p, k % cameras, False) for p in range(people) for k in range(count) for m in ('rgb', 'ir')]
        )

    return make


@pytest.fixture
def processes(monkeypatch):
    """Function that pretends to be one of several processes."""

    def pretend(rank, world_size):
        for module in ('batch_plan_sampler', 'sequential_sampler'):
            monkeypatch.setattr(f'{SAMPLERS}.{module}.get_dist_info', lambda: (rank, world_size))

    return pretend


@pytest.fixture
def mmengine_build():
    """Build a sampler as MMEngine's Runner does."""
    from dscreid.registry import DATA_SAMPLERS

    def build(dataset, config, seed=0):
        return DATA_SAMPLERS.build(config, default_args={'dataset': dataset, 'seed': seed})

    return SimpleNamespace(sampler=build)
