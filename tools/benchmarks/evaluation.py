"""Time and memory of retrieval evaluation: CMC, mAP and mINP of all queries against the whole gallery.

Example: python tools/benchmarks/evaluation.py --sizes 5000
"""

import argparse

import torch
from machine import in_fresh_process, median_seconds, print_table


def main() -> None:
    """Measure every size and print one table."""
    args = parse_args()
    rows = []
    for size in args.sizes:
        result = in_fresh_process(measure, size, args.dim, args.repeats)
        steps = [f'{result[step]:.2f}' for step in ('metrics', 'lists')]
        rows.append([f'{size:,} x {size:,}', *steps, f'{result["peak_gb"]:.2f}'])
    columns = ['queries x gallery', 'rank_metrics s', 'rank_lists s', 'peak GB']
    print_table(f'Evaluation, D = {args.dim}, medians of {args.repeats}', columns, rows)
    print('Peak memory: the whole process, libraries included.')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[1000, 5000], help='queries and gallery tracklets'
    )
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension')
    parser.add_argument('--repeats', type=int, default=3, help='runs of which the median is shown')
    return parser.parse_args()


def measure(size: int, dim: int, repeats: int) -> dict:
    """Median seconds for ``size`` queries against ``size`` gallery tracklets, 10 of each person in both."""
    from dscreid.evaluation import rank_lists, rank_metrics

    generator = torch.Generator().manual_seed(0)
    pids, cameras = torch.arange(size) // 10, torch.arange(size) % 6
    sides = []
    for _ in range(2):
        sides += [torch.randn(size, dim, generator=generator), pids, cameras]
    return {
        'metrics': median_seconds(lambda: rank_metrics(*sides, drop_same_camera=True), repeats),
        'lists': median_seconds(lambda: rank_lists(*sides, drop_same_camera=True), repeats),
    }


if __name__ == '__main__':
    main()
