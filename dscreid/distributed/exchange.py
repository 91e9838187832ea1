"""Objects exchanged between the processes of a run, and waiting that may take hours.

Nothing here limits how long a process waits for another: a search for neighbours may take hours. That a process which
died is not waited for is the business of :mod:`dscreid.distributed.watch`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, get_world_size, is_main_process
from torch import distributed as torch_dist

from dscreid.errors import DscreidError

Result = TypeVar('Result')

#: Longer than any step of a run.
NO_LIMIT = timedelta(days=7)
#: Seconds between two looks at whether others have come, at most; signals are handled in between.
_LONGEST_NAP = 0.1
#: The group beside a default one that cannot exchange what lies in main memory, and that default group.
_beside: tuple[Any, Any] | None = None


def host_group() -> Any:
    """The group of all processes for what lies in main memory: the default one, or a ``gloo`` group beside it.

    The first call in a run makes the group, which all processes must do at the same point.
    """
    global _beside
    default = torch_dist.group.WORLD
    if torch_dist.get_backend(default) == 'gloo':
        return default
    if _beside is None or _beside[0] is not default:
        _beside = (default, torch_dist.new_group(backend='gloo', timeout=NO_LIMIT))
    return _beside[1]


def from_main_process(function: Callable[[], Result]) -> Result:
    """What a function returns, or raises as ``DscreidError``, on the first process; all processes get it.

    Args:
        function: Called by the first process alone; its result must be picklable.
    """
    if get_world_size() == 1:
        return function()
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = function()
        except DscreidError as error:
            outcome[1] = error
    wait_for_all()  # broadcasting at once would block the others for as long, deaf to signals
    broadcast_object_list(outcome, group=host_group())
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def gather_objects(item: Any) -> list[Any]:
    """The items of all processes, in the order of their ranks; all processes get them."""
    return [item] if get_world_size() == 1 else all_gather_object(item, group=host_group())


def wait_for_all() -> None:
    """Go on once all processes have come here."""
    if get_world_size() == 1:
        return
    work = torch_dist.all_reduce(torch.zeros(1), group=host_group(), async_op=True)
    nap = 1e-4
    while not work.is_completed():
        time.sleep(nap)
        nap = min(2 * nap, _LONGEST_NAP)
    work.wait()  # raises what went wrong
