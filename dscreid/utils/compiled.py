"""Compiled kernels, and threads that run them on blocks of rows.

Kernels release the GIL and return their own arrays, so that Python threads run blocks in parallel. numba's threading
layer is not used, because its pools do not survive a fork of data loader workers.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import torch

ROWS_PER_TASK = 512


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """Decorate with ``numba.njit`` without the GIL, cached on disk unless the cache is not writable."""

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function: no locator available"
            return numba.njit(nogil=True, **options)(function)

    return decorate


def over_rows(num: int, task: Callable[[int, int], Any]) -> list:
    """Run ``task(start, stop)`` over blocks of ``num`` rows on as many threads as torch uses; results are in order."""
    starts = range(0, num, ROWS_PER_TASK)
    stops = [min(start + ROWS_PER_TASK, num) for start in starts]
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        return list(pool.map(task, starts, stops))
