"""Whole runs on a tiny rendered world, each in processes of its own, which can be killed."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.synthetic import make_spec, render_world
from dscreid.utils.machine import usable_cores

#: DSC of the demo for two epochs, one of clustering and one of unified labels, from the tower that comes with dscreid.
_OPTIONS: Mapping[str, Any] = {
    'source': None,
    'clustering': dict(k1=6, k2=2, eps=0.7, min_samples=2),
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 2,
    'train_dataloader.sampler.visible': (2, 2),
    'train_dataloader.sampler.infrared': (2, 2),
    'train_dataloader.sampler.iterations': 4,
    'default_hooks.checkpoint.max_keep_ckpts': 3,
    'randomness.deterministic': True,
}
#: Seconds between two looks at a run that is to be killed.
_PAUSE = 0.02


def tiny_world(settings: Settings) -> Path:
    """Render a world of twelve people in HITSZ-VCM's layout, unless it is there, and return its folder."""
    folder = settings.out / 'tiny_world'
    if not folder.is_dir():
        sizes = dict(train_ids=12, test_ids=2, tracklets=2, test_tracklets=2, height=64, width=32)
        processes = 1 if settings.pretend else usable_cores()
        render_world(folder, make_spec('tiny', 'hitsz', **sizes), processes, progress=False)
    return folder


def run_tiny(
    settings: Settings,
    work_dir: Path,
    resume: bool = False,
    kill_at: Path | None = None,
    ranks: int | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Run DSC on the tiny world in a process of its own.

    Args:
        settings: Where the world is.
        work_dir: Folder of the run; the output of its processes is in ``work_dir``.log.
        resume: Whether to continue the run in the folder.
        kill_at: A file after whose appearance the run is killed, or None.
        ranks: Number of processes that work as one, as with torchrun; None for a plain run.
        options: Further options of the config.

    Raises:
        RuntimeError: If a process fails, or the run ends before it is killed.
    """
    # a process that is forked starts at once, but may not use the GPU
    context: Any = multiprocessing.get_context('fork' if settings.pretend else 'spawn')
    given = {**_OPTIONS, **options, 'data_root': str(tiny_world(settings))}
    environment = {} if ranks is None else launch_variables(ranks)
    processes = [
        context.Process(target=_run, args=(work_dir, resume, environment, rank, given)) for rank in range(ranks or 1)
    ]
    for process in processes:
        process.start()
    while kill_at is not None and not kill_at.exists() and processes[0].is_alive():
        time.sleep(_PAUSE)
    for process in processes:
        if kill_at is not None and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    expected = 0 if kill_at is None else -signal.SIGKILL
    if any(process.exitcode != expected for process in processes):
        codes = ', '.join(str(process.exitcode) for process in processes)
        raise RuntimeError(f'exit codes {codes}, not {expected}; see {work_dir.with_suffix(".log")}')


def launch_variables(ranks: int) -> dict[str, str]:
    """Return what torchrun tells all processes of one machine."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    return {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': str(ranks)}


def _run(work_dir: Path, resume: bool, environment: Mapping[str, str], rank: int, options: Mapping[str, Any]) -> None:
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(work_dir.with_suffix('.log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update({**environment, 'RANK': str(rank), 'LOCAL_RANK': str(rank)} if environment else {})
    launcher = 'pytorch' if environment else 'none'
    run = RunOptions(work_dir, resume=resume, launcher=launcher, config_options=dict(options))
    run_experiment('dsc/dsc_demo', run)


def tensor_differences(left: Any, right: Any, differ: Callable[[torch.Tensor, torch.Tensor], bool]) -> list[str]:
    """List the places of two nested structures whose tensors differ, or that only one of them has."""
    found, others = dict(_tensors(left)), dict(_tensors(right))
    lost = sorted(found.keys() ^ others.keys())
    return lost + [place for place in found if place in others and differ(found[place], others[place])]


def _tensors(node: Any, place: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(node, torch.Tensor):
        yield place, node
    elif isinstance(node, np.ndarray):
        yield place, torch.from_numpy(node)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _tensors(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)) and not isinstance(node, HistoryBuffer):
        for number, value in enumerate(node):
            yield from _tensors(value, f'{place}[{number}]')
