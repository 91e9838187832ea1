"""Compiled kernels, and threads that run them on blocks of rows.

Python's threads are used because numba's pools do not survive a fork of data loader workers.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import torch

from dscreid.utils.chunks import slices

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
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        return list(pool.map(lambda rows: task(rows.start, rows.stop), slices(num, ROWS_PER_TASK)))
