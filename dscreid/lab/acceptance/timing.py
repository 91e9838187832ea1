"""Seconds, operations, memory and waits of a computation on the device."""

import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode


def synchronize(device: str) -> None:
    """Wait for all computations on a device."""
    if device != 'cpu':
        torch.cuda.synchronize()


def median_seconds(run: Callable[[], object], device: str, repeats: int, warm_up: int = 1) -> float:
    """Measure the median wall time of a call, including pending work on the device."""
    for _ in range(warm_up):
        run()
    times = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def seconds_of_one(run: Callable[[], object], device: str) -> float:
    """Measure one call without warming up."""
    return median_seconds(run, device, repeats=1, warm_up=0)


def matmul_tflops(device: str, dtype: torch.dtype, size: int) -> float:
    """Measure the TFLOP/s of a square matrix product of random numbers, the median of several."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / median_seconds(lambda: a @ b, device, repeats=7, warm_up=2) / 1e12


def copied_gb_per_second(device: str, size: int) -> float:
    """Measure the GB/s, read and written, of a copy of ``size`` bytes on the device."""
    source = torch.randint(256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / median_seconds(lambda: target.copy_(source), device, repeats=7) / 1e9


def operations_of(run: Callable[[], object]) -> int:
    """Count the multiplications and additions of a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def peak_gb(run: Callable[[], object], device: str) -> float | None:
    """Measure the largest GPU memory allocated during a call, weights included; None on a processor."""
    if device == 'cpu':
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 1e9


def waits_of(run: Callable[[], object], device: str) -> list[str]:
    """List the places, file and line, where the host waits for the GPU during a call, in order; none on a processor."""
    if device == 'cpu':
        run()
        return []
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    return [f'{one.filename}:{one.lineno}' for one in caught if 'synchronizing' in str(one.message)]
