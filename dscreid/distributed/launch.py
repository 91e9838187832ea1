"""Connect the processes of a run, started by torchrun, Slurm or MPI like MMEngine's launchers."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import is_distributed
from torch import distributed as torch_dist

from dscreid.distributed.exchange import NO_LIMIT, host_group, wait_for_all
from dscreid.distributed.watch import GRACE, ProcessWatch
from dscreid.errors import ConfigError, DscreidError, ProcessLostError

#: Environment variables with the rank, the number of processes and the local rank.
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_STARTERS = {'pytorch': 'torchrun --nproc_per_node 2', 'slurm': 'srun', 'mpi': 'mpirun'}
#: How long a process waits for the others to start.
_START = timedelta(minutes=30)


@contextlib.contextmanager
def process_group(launcher: str, dist_cfg: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Run as one of several processes that end together: at the end of the run, or as soon as one is lost.

    MMEngine's Runner uses the existing group. Without a launcher, or inside another such block, this does nothing.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        dist_cfg: ``backend`` (default ``nccl``, or ``gloo`` without GPUs), ``timeout`` of operations between processes
            in seconds (default unlimited), and ``port`` of the first process (Slurm and MPI).

    Raises:
        ConfigError: If the launcher's variables, a GPU for each process, or valid ``dist_cfg`` are missing.
        ProcessLostError: If another process ended before the run did.
    """
    if launcher == 'none' or is_distributed():
        yield
        return
    _join(launcher, dict(dist_cfg or {}))
    watch = ProcessWatch(os.environ['MASTER_ADDR'])
    try:
        yield
        wait_for_all()
    except (DscreidError, KeyboardInterrupt, SystemExit) as error:
        watch.leave('was interrupted' if isinstance(error, KeyboardInterrupt) else 'ended with an error')
        raise
    except BaseException as error:
        lost = watch.lost(within=GRACE)  # the failed operation may have noticed first
        watch.leave('ended with an error')
        if lost is not None:
            raise ProcessLostError(lost) from error
        raise
    watch.leave()
    torch_dist.destroy_process_group()


def launch_environment(launcher: str, environment: Mapping[str, str], port: int | None = None) -> dict[str, str]:
    """Translate the environment variables of ``pytorch``, ``slurm`` or ``mpi`` into those that torch reads.

    ``port`` is that of the first process; by default ``MASTER_PORT``, or a port derived from the job number.
    """
    if missing := [name for name in _VARIABLES[launcher] if not environment.get(name, '').isdecimal()]:
        raise ConfigError(
            f'--launcher {launcher}: {", ".join(missing)} is not set; start the processes with '
            f'{_STARTERS[launcher]} … --launcher {launcher}, or leave the option out'
        )
    job = environment.get('SLURM_JOB_ID', '')
    derived = 29500 + (int(job) % 10000 if job.isdecimal() else 0)  # all processes agree, and the next job differs
    return {
        **dict(zip(_VARIABLES['pytorch'], (environment[name] for name in _VARIABLES[launcher]), strict=True)),
        'MASTER_ADDR': environment.get('MASTER_ADDR') or _first_machine(launcher, environment),
        'MASTER_PORT': str(port or environment.get('MASTER_PORT') or derived),
    }


def _first_machine(launcher: str, environment: Mapping[str, str]) -> str:
    if launcher == 'slurm':
        nodes = environment.get('SLURM_STEP_NODELIST') or environment.get('SLURM_NODELIST', '')
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            command = ['scontrol', 'show', 'hostnames', nodes]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    raise ConfigError(f'--launcher {launcher}: the first machine is unknown; set MASTER_ADDR to its name')


def _join(launcher: str, dist_cfg: dict[str, Any]) -> None:
    backend, timeout, port = (dist_cfg.pop(name, None) for name in ('backend', 'timeout', 'port'))
    if dist_cfg:
        raise ConfigError(f'env_cfg.dist_cfg: knows backend, timeout and port, not {", ".join(dist_cfg)}')
    os.environ.update(launch_environment(launcher, os.environ, port))
    if torch.cuda.is_available():
        rank, gpus = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
        if rank >= gpus:
            raise ConfigError(
                f'process {rank} of this machine has no GPU of its own, there are {gpus}; start one process per GPU'
            )
        torch.cuda.set_device(rank)
    backend = backend or ('nccl' if torch.cuda.is_available() else 'gloo')
    limit = NO_LIMIT if timeout is None else timedelta(seconds=timeout)
    try:
        store, rank, world_size = next(torch_dist.rendezvous('env://', timeout=_START))
        torch_dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=limit)
    except (torch_dist.DistError, ValueError) as error:
        place = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        raise ConfigError(
            f'the processes cannot connect at {place} ({" ".join(str(error).split())}); set MASTER_ADDR and '
            'MASTER_PORT to an address that all of them reach and a port that is free'
        ) from error
    host_group()
