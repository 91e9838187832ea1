"""Let a processor treat denormal floating-point numbers as zero."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Treat numbers below 1.2e-38 as zero in a block, then restore what was set before.

    Processors take many times as long for operations on such numbers, which are the gradients of weights that an
    attention hardly looks at. Threads that PyTorch has started before keep their own setting. Processors that cannot
    do this, and GPUs, compute as always.
    """
    before = _flushes()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushes() -> bool:
    return bool(torch.tensor(1e-39) * 1.0 == 0)
