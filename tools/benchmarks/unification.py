"""DSLU beside the matrix products that it needs: the same matrices multiplied block by block, and nothing else.

Both take turns in one process. With one thread, --clock cpu excludes the time that other programs take.

Example: OMP_NUM_THREADS=1 python tools/benchmarks/unification.py --sizes 5000 12000 --clock cpu
"""

import argparse
import statistics

import torch
from machine import CLOCKS, add_clock_argument, chosen_clock, in_fresh_process
from results import Table, add_out_argument, publish

PER_IDENTITY = 20


def main() -> None:
    """Measure every size and publish one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[2500, 5000, 10000], metavar='N', help='numbers of tracklets'
    )
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension, of both halves together')
    parser.add_argument('--rounds', type=int, default=3, help='rounds, whose median is shown (default: %(default)s)')
    add_clock_argument(parser)
    add_out_argument(parser, 'unification')
    args = parser.parse_args()
    clock = chosen_clock(parser, args.clock)
    results = [in_fresh_process(measure, size, args.dim, args.rounds, args.clock) for size in args.sizes]
    rows = [[f'{one["size"]:,}', *(f'{one[key]:.2f}' for key in ('products', 'dslu', 'ratio'))] for one in results]
    title = f'DSLU in seconds, D = {args.dim}, medians of {args.rounds} rounds, {clock.name}'
    publish(
        args.out,
        [Table(title, ['N in each modality', 'products', 'DSLU', 'ratio'], rows)],
        ['Ratio: median of the ratios of DSLU to its products within a round. Features are clustered at random, with '
         f'{PER_IDENTITY} tracklets of each identity; both modalities are the same.'],
        {'results': results},
    )  # fmt: skip


def measure(size: int, dim: int, rounds: int, clock: str) -> dict[str, float]:
    """Measure the median seconds of DSLU and of its products for float32 (size, dim) features."""
    from dscreid.lab.acceptance.labels import clustered_features
    from dscreid.pseudo_labels import correct_labels, unify_labels

    features = clustered_features(size, dim, per_identity=PER_IDENTITY)
    static, dynamic = features[:, : dim // 2], features[:, dim // 2 :]
    labels = torch.arange(size) % max(1, size // PER_IDENTITY)  # the identities

    def multiply() -> None:
        for rows in (static, dynamic, features):
            multiply_in_blocks(rows, rows)

    def unify_and_correct() -> None:
        correct_labels(static, dynamic, unify_labels(static, dynamic, static, dynamic, labels))

    now, seconds = CLOCKS[clock].read, []
    for _ in range(rounds):
        start = now()
        multiply()
        between = now()
        unify_and_correct()
        seconds.append((between - start, now() - between))
    products, dslu = (statistics.median(times) for times in zip(*seconds, strict=True))
    ratio = statistics.median(after / before for before, after in seconds)
    return {'size': size, 'products': products, 'dslu': dslu, 'ratio': ratio}


def multiply_in_blocks(queries: torch.Tensor, gallery: torch.Tensor) -> None:
    """Compute all inner products of (N, D) and (M, D) rows, a block of rows at a time, each over the last one."""
    from dscreid.utils.chunks import row_chunks

    blocks, gallery = row_chunks(len(queries), len(gallery)), gallery.contiguous()
    product = queries.new_empty(blocks[0].stop, len(gallery))
    for rows in blocks:
        torch.mm(queries[rows], gallery.T, out=product[: len(queries[rows])])


if __name__ == '__main__':
    main()
