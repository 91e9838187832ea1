"""Processes that work as one, kept for all tests of a session: starting them costs more than what they do."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

import torch

from dscreid.distributed import process_group

_PATIENCE = 300  # seconds; a call takes one or two where nothing else runs


class RankPool:
    """``world_size`` processes in one process group, gloo on processors."""

    def __init__(self, world_size: int) -> None:
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(['kill_bench'])
        environment = launcher_variables(world_size)
        self.pipes, self.processes = [], []
        for rank in range(world_size):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, environment | rank_variables(rank)), daemon=True)
            process.start()
            self.pipes.append(here)
            self.processes.append(process)

    def run(self, function: Callable, *arguments: Any) -> list:
        """What a function of a test module returns in each process; an error of any fails the test."""
        for pipe in self.pipes:
            pipe.send((function, arguments))
        answers = []
        for rank, pipe in enumerate(self.pipes):
            if not pipe.poll(_PATIENCE):
                raise TimeoutError(f'process {rank} hangs in {function.__name__}')
            answers.append(pipe.recv())
        for rank, (failure, _) in enumerate(answers):
            assert failure is None, f'process {rank}: {failure}'
        return [result for _, result in answers]

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(30)
            assert process.exitcode == 0


def launcher_variables(world_size: int) -> dict[str, str]:
    """What torchrun tells all processes."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    return {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': str(world_size)}


def rank_variables(rank: int) -> dict[str, str]:
    """What torchrun tells one of them."""
    return {'RANK': str(rank), 'LOCAL_RANK': str(rank)}


def _serve(pipe, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    output = os.open(os.devnull, os.O_WRONLY)
    os.dup2(output, 1)
    with process_group('pytorch'):
        while (task := pipe.recv()) is not None:
            function, arguments = task
            try:
                pipe.send((None, function(*arguments)))
            except Exception:  # shown by the test
                pipe.send((traceback.format_exc(), None))
