"""Fixtures of the whole tree: two tiny rendered worlds, and configs of runs on them."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny_runs import write_tiny_configs

from dscreid.datasets.synthetic import make_spec, render_world

SIZE = {'height': 32, 'width': 16, 'train_ids': 6, 'test_ids': 3}


class TinyRuns(NamedTuple):
    """Paths of the worlds and of the configs that use them."""

    bupt: Path
    hitsz: Path
    source: Path
    adapt: Path


@pytest.fixture(scope='session')
def tiny_runs(tmp_path_factory) -> TinyRuns:
    """Worlds of six training and three test identities, 32x16 pixels; nobody may change them."""
    folder = tmp_path_factory.mktemp('tiny')
    for layout in ('bupt', 'hitsz'):
        overrides = {'auxiliary_ids': 0} if layout == 'bupt' else {}
        spec = make_spec('tiny', layout, **SIZE, **overrides)
        render_world(folder / layout, spec, num_processes=1, progress=False)
    source, adapt = write_tiny_configs(folder / 'configs', folder / 'bupt', folder / 'hitsz')
    return TinyRuns(folder / 'bupt', folder / 'hitsz', source, adapt)


@pytest.fixture
def one_thread():
    """Run on one thread, where sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
