"""Exchange objects between the processes of a run, and wait for other processes.

There is no time limit, because a neighbor search may take hours. ``dscreid.distributed.watch`` detects dead processes.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, get_world_size, is_main_process
from torch import distributed as torch_dist

from dscreid.errors import DscreidError

Result = TypeVar('Result')

#: Longer than any step of a run.
NO_LIMIT = timedelta(days=7)


def host_group() -> Any:
    """Return the ``gloo`` group of all processes; they must make the first call, which may create it, together."""
    default = torch_dist.group.WORLD
    return default if torch_dist.get_backend(default) == 'gloo' else _gloo_beside(default)


@lru_cache(maxsize=1)
def _gloo_beside(default: Any) -> Any:
    """Create a group in addition to a default one that cannot exchange CPU objects."""
    return torch_dist.new_group(backend='gloo', timeout=NO_LIMIT)


def from_main_process(function: Callable[[], Result]) -> Result:
    """Call a function on the first process, and return its picklable result, or raise its DscreidError, on all."""
    if get_world_size() == 1:
        return function()
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = function()
        except DscreidError as error:
            outcome[1] = error
    wait_for_all()  # broadcasting right away would block the others, and they could not handle signals
    broadcast_object_list(outcome, group=host_group())
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def gather_objects(item: Any) -> list[Any]:
    """Return the items of all processes, in the order of their ranks, on all processes."""
    return [item] if get_world_size() == 1 else all_gather_object(item, group=host_group())


def wait_for_all() -> None:
    """Wait until all processes have reached this point."""
    if get_world_size() == 1:
        return
    work = torch_dist.all_reduce(torch.zeros(1), group=host_group(), async_op=True)
    nap = 1e-4
    while not work.is_completed():
        time.sleep(nap)
        nap = min(2 * nap, 0.1)  # signals are handled in between
    work.wait()  # raises the error if the operation failed
