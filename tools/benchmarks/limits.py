"""Two limits of this processor for comparison with the other tables: operations and bytes per second.

Operations: one large matrix product. Bytes: reads and writes of a copy between arrays larger than any cache. Each is
the best of several repeats, with PyTorch's number of threads (OMP_NUM_THREADS). With one thread, --clock cpu excludes
the time that other programs take.

Example: OMP_NUM_THREADS=1 python tools/benchmarks/limits.py --clock cpu
"""

import argparse
import time
from collections.abc import Callable

import torch
from machine import add_clock_argument, chosen_clock, print_table


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=7, help='repeats of which the best is shown')
    add_clock_argument(parser)
    args = parser.parse_args()
    clock = chosen_clock(parser, args.clock).read
    rows = [
        ['matrix product, float32', f'{product_rate(args.repeats, clock) / 1e12:.3f} TFLOP/s'],
        ['copy, read and written', f'{copy_rate(args.repeats, clock) / 1e9:.1f} GB/s'],
    ]
    print_table('Limits of this machine', ['what', 'a second'], rows)


def product_rate(repeats: int, clock: Callable[[], float] = time.perf_counter, size: int = 2048) -> float:
    """Measure multiplications and additions per second of a product of float32 (size, size) matrices."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / shortest(lambda: a @ b, repeats, clock)


def copy_rate(repeats: int, clock: Callable[[], float] = time.perf_counter, num_bytes: int = 256 * 2**20) -> float:
    """Measure the bytes per second, read and written together, of copying ``num_bytes``."""
    source = torch.ones(num_bytes // 4)
    target = torch.empty_like(source)
    return 2 * source.nbytes / shortest(lambda: target.copy_(source), repeats, clock)


def shortest(function: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """Return the shortest time of several calls, after one warm-up call."""
    times = []
    for _ in range(repeats + 1):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times[1:])


if __name__ == '__main__':
    main()
