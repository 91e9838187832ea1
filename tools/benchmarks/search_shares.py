"""The exact neighbor search of the pseudo labels by one process, and shared by several processes of one run.

Both take turns in the same processes, by the wall's clock. Each process has the given number of threads, so the
processes together should not have more threads than the machine has cores. Features are sent to the other processes in
every shared search. A last column is one process with the threads of all.

Example: python tools/benchmarks/search_shares.py --sizes 10000 20000 --processes 2
"""

import argparse
import itertools
import os
import socket
import statistics
import time
from typing import Any

import torch
from results import Table, add_out_argument, publish

NEIGHBORS = 30


def main() -> None:
    """Measure every number of processes and every size, and publish one table."""
    from dscreid.neighbors.shares import BLOCKS_PER_PROCESS
    from dscreid.utils.chunks import row_chunks

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[10_000, 20_000], metavar='N', help='numbers of tracklets'
    )
    parser.add_argument('--processes', type=int, nargs='+', default=[2], metavar='P', help='numbers of processes')
    parser.add_argument('--threads', type=int, default=1, help='threads of each process (default: %(default)s)')
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension')
    parser.add_argument('--rounds', type=int, default=3, help='rounds, whose median is shown (default: %(default)s)')
    add_out_argument(parser, 'search_shares')
    args = parser.parse_args()
    if min(args.processes) < 2:
        parser.error('--processes: a search is shared by at least 2')
    if len(row_chunks(min(args.sizes), min(args.sizes))) < BLOCKS_PER_PROCESS * max(args.processes):
        parser.error(f'--sizes: {max(args.processes)} processes do not share so small a search; take more tracklets')
    torch.set_num_threads(args.threads)  # for the description of the machine
    results = [measure(num, size, args) for num in args.processes for size in args.sizes]
    keys = 'alone', 'shared', 'speedup', 'all_threads'
    rows = [[f'{one["size"]:,}', str(one['processes']), *(f'{one[key]:.2f}' for key in keys)] for one in results]
    title = f'Neighbor search in seconds, D = {args.dim}, medians of {args.rounds} rounds, {args.threads} threads each'
    publish(
        args.out,
        [Table(title, ['N', 'processes', 'alone', 'shared', 'speedup', 'alone, all threads'], rows)],
        [
            f'k = {NEIGHBORS}. Speedup: median of the ratios of alone to shared within a round. Alone, all threads: '
            'one process with as many threads as all have together. Shared results were identical to those alone.'
        ],
        {'results': results},
    )


def measure(num_processes: int, size: int, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the median seconds of a search of float32 (size, args.dim) features, alone and shared."""
    context = torch.multiprocessing.get_context('spawn')
    answers = context.SimpleQueue()
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    settings = size, args.dim, args.rounds, args.threads
    torch.multiprocessing.spawn(_search, (num_processes, port, settings, answers), nprocs=num_processes)
    alone, shared, all_threads = answers.get()
    return dict(
        size=size,
        processes=num_processes,
        alone=statistics.median(alone),
        shared=statistics.median(shared),
        speedup=statistics.median(before / after for before, after in zip(alone, shared, strict=True)),
        all_threads=statistics.median(all_threads),
    )


def _search(rank: int, num_processes: int, port: int, settings: tuple[int, int, int, int], answers: Any) -> None:
    """Run one process; the first one answers with the seconds of each round."""
    os.environ |= {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': str(num_processes)}
    os.environ |= {'RANK': str(rank), 'LOCAL_RANK': str(rank), 'CUDA_VISIBLE_DEVICES': ''}
    from dscreid.distributed import process_group
    from dscreid.neighbors import with_shared_searches

    size, dim, rounds, threads = settings
    torch.set_num_threads(threads)
    with process_group('pytorch'):
        seconds = with_shared_searches(lambda: _rounds(size, dim, rounds, threads, num_processes))
    if rank == 0:
        answers.put(seconds)


def _rounds(size: int, dim: int, rounds: int, threads: int, num_processes: int) -> list[list[float]]:
    """Seconds of each round, alone, shared, and alone with all threads; the first process runs it."""
    from dscreid.neighbors import current_search, exact_neighbors

    features = torch.nn.functional.normalize(torch.randn(size, dim, generator=torch.Generator().manual_seed(0)))
    seconds: list[list[float]] = [[], [], []]
    for number in range(rounds + 1):
        times, found = [time.perf_counter()], []
        for search, used in (
            (exact_neighbors, threads),
            (current_search(), threads),
            (exact_neighbors, threads * num_processes),
        ):
            torch.set_num_threads(used)
            found.append(search(features, features, NEIGHBORS, self_first=True))
            times.append(time.perf_counter())
        if not all(map(torch.equal, *found[:2])):
            raise RuntimeError('the shared search found other neighbors')
        if number:  # the first round warms up
            for column, (start, end) in zip(seconds, itertools.pairwise(times), strict=True):
                column.append(end - start)
    return seconds


if __name__ == '__main__':
    main()
