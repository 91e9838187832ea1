"""Fixtures of the whole tree: two tiny rendered worlds, configs of runs on them, and one finished experiment."""

import contextlib
import importlib.util
import logging
import os
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import mmengine.config.config
import pytest
import torch
from hand_made_layouts import Worlds
from milvus_servers import milvus_lite_server
from rank_pool import RankPool
from tiny_methods import ROOTS, render_worlds
from tiny_runs import write_tiny_configs

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.datasets import frame_files
from dscreid.lab.synthetic import make_spec, render_world
from dscreid.utils.machine import usable_cores

# MMEngine's loggers outlive the captured streams of the tests that made them
logging.raiseExceptions = False


@contextlib.contextmanager
def single_thread():
    """Run PyTorch on one thread within the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _remembered(format_code):
    """A function that formats each text once: MMEngine formats the config anew for each checkpoint, log and file."""
    texts = {}

    def once(text, **options):
        if text not in texts:
            texts[text] = format_code(text, **options)
        return texts[text]

    return once


# it takes longer than a tiny epoch
mmengine.config.config.FormatCode = _remembered(mmengine.config.config.FormatCode)

REPOSITORY = Path(__file__).parents[1]
if (workers := int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 1))) > 1:
    # tests that run side by side share the cores, and so do the processes that they start
    threads = max(1, usable_cores() // workers)
    os.environ.setdefault('OMP_NUM_THREADS', str(threads))
    torch.set_num_threads(threads)
SIZE = {'height': 32, 'width': 16, 'train_ids': 6, 'test_ids': 3}


class TinyRuns(NamedTuple):
    """Paths of the worlds and of the configs that use them."""

    bupt: Path
    hitsz: Path
    source: Path
    adapt: Path


class TinyExperiment(NamedTuple):
    """A finished run of both stages."""

    work_dir: Path
    source_dir: Path
    source_checkpoint: Path
    checkpoint: Path
    metrics: dict[str, float]


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


@pytest.fixture(scope='session')
def tiny_experiment(tiny_runs, tmp_path_factory) -> TinyExperiment:
    """Source stage, adaptation and evaluation, two epochs each; nobody may change its files."""
    folder = tmp_path_factory.mktemp('experiment')
    with single_thread():
        metrics = run_experiment(tiny_runs.adapt, RunOptions(work_dir=folder / 'dsc'))
    source_dir = folder / 'tiny_source'
    return TinyExperiment(
        folder / 'dsc', source_dir, source_dir / 'epoch_2.pth', folder / 'dsc' / 'epoch_2.pth', metrics
    )


@pytest.fixture(scope='session')
def milvus_server(tmp_path_factory):
    """Address of a server of milvus-lite."""
    with milvus_lite_server(tmp_path_factory.mktemp('milvus')) as address:
        yield address


@pytest.fixture
def one_thread():
    """Run a test on one thread, where sums have one order."""
    with single_thread():
        yield


@pytest.fixture(scope='module')
def one_thread_throughout():
    """Run all tests of a module, and the fixtures that they share, on one thread."""
    with single_thread():
        yield


@pytest.fixture(scope='session', params=[2, 4])
def ranks(request):
    """Two, then four processes that work as one."""
    pool = RankPool(request.param)
    yield pool
    pool.close()


@pytest.fixture(scope='session')
def load_tool():
    """Function that imports a script of ``tools/`` by its path."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f'tool_{Path(path).stem}', REPOSITORY / 'tools' / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope='session')
def rendered_method_worlds(tmp_path_factory):
    render_worlds(folder := tmp_path_factory.mktemp('method_worlds'))
    return folder


@pytest.fixture
def method_worlds(rendered_method_worlds, monkeypatch):
    """Folder of tiny worlds, in which all data roots of shipped configs of videos lie."""
    for layout, names in ROOTS.items():
        for name in names:
            monkeypatch.setenv(f'DSCREID_{name}', str(rendered_method_worlds / layout))
    return rendered_method_worlds


@pytest.fixture
def worlds(tmp_path: Path) -> Worlds:
    frame_files._real_path.cache_clear()
    return Worlds(tmp_path)


@pytest.fixture
def edit_line():
    """Function that replaces one line (1-based) of a text file."""

    def edit(path: Path, number: int, text: str) -> None:
        lines = path.read_text().splitlines()
        lines[number - 1] = text
        path.write_text('\n'.join(lines) + '\n')

    return edit
