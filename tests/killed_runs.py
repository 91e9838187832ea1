"""Runs in processes of their own that end themselves at an exact moment."""

import importlib
import multiprocessing
import os
import signal
from pathlib import Path

import torch
from mmengine.fileio import LocalBackend

from dscreid.apis.command_line import run_command
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.utils.files import only_process_in

#: Functions by the moment at which they are called.
MOMENTS = {
    'in an epoch': 'dscreid.models.reid.adaptive_reid:AdaptiveReID.loss',
    'during clustering': 'dscreid.pseudo_labels.labelers.cluster:cluster',
    'while memories are built': 'dscreid.models.memories.target_memories:TargetMemories.reset',
    'before the pointer': 'dscreid.engine.hooks.durable_checkpoint_hook:write_pointer',
    'before old ones go': 'dscreid.engine.hooks.durable_checkpoint_hook:DurableCheckpointHook._remove_old',
    'during validation': 'dscreid.evaluation.metric:ReIDMetric.compute_metrics',
    'before evaluation': 'dscreid.apis.train:evaluate',
}


def start(function, *arguments):
    """A process that starts from one that has imported everything and computed nothing."""
    context = multiprocessing.get_context('forkserver')
    # what takes long to import; this module is on a path that the server does not know
    context.set_forkserver_preload(['kill_bench'])
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def exit_code(function, *arguments) -> int:
    process = start(function, *arguments)
    process.join(900)  # seconds; a run takes a few where nothing else runs
    if process.is_alive():
        process.kill()
        raise TimeoutError(f'{function.__name__} takes for ever')
    return process.exitcode


def experiment(config, options: RunOptions, moment=None, count=1, number=signal.SIGKILL, log=None):
    """Run an experiment as ``tools/train.py`` does, and send this process a signal at the count-th such moment."""
    torch.set_num_threads(1)
    output = os.open(os.devnull if log is None else log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if moment == 'in the middle of a file':
        _write_half(count, number)
    elif moment is not None:
        _die_before(MOMENTS[moment], count, number)
    run_command(lambda: run_experiment(config, options), on_interrupt='use --resume')


def hold(folder: Path, ready):
    """Hold a folder until the process is killed."""
    with only_process_in(folder):
        ready.set()
        signal.pause()


def _die_before(place: str, count: int, number: int) -> None:
    module, _, path = place.partition(':')
    *owners, name = path.split('.')
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), []

    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), number)
        return function(*args, **kwargs)

    setattr(owner, name, dying)


def _write_half(count: int, number: int) -> None:
    """Let the count-th file that MMEngine writes end half-way: by a signal, or a full disk for number 0."""
    calls = []

    def put(self, content, path):
        calls.append(1)
        with open(path, 'wb') as file:
            if len(calls) == count:
                file.write(content[: len(content) // 2])
                file.flush()
                if not number:
                    raise OSError(28, 'No space left on device', str(path))
                os.kill(os.getpid(), number)
            file.write(content)

    LocalBackend.put = put
