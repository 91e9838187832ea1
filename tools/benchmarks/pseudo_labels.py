"""Time and memory of pseudo labelling: kNN, Jaccard distance, DBSCAN, DSLU; the dense oracle where it fits.

Example: python tools/benchmarks/pseudo_labels.py --sizes 1000 10000
"""

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np
import torch
from machine import in_fresh_process, median_seconds, print_table

ORACLE = Path(__file__).parents[2] / 'tests' / 'oracles' / 'jaccard_oracle.py'


def main() -> None:
    """Measure every size and kind of features and print one table."""
    args = parse_args()
    rows = []
    for kind in ('clustered', 'random'):
        for size in args.sizes:
            oracle = size <= args.oracle_up_to and ORACLE.exists()
            rows.append(
                _row(kind, size, in_fresh_process(measure, kind, size, args.dim, args.repeats, oracle))
            )
    columns = [
        'features',
        'N',
        'first call s',
        'kNN s',
        'Jaccard s',
        'DBSCAN s',
        'DSLU s',
        'peak GB',
        'oracle s',
        'off by',
    ]
    print_table(f'Pseudo labels, D = {args.dim}, medians of {args.repeats}', columns, rows)
    print(
        'Jaccard includes its own kNN search. First call: a Jaccard distance of 50 tracklets, which\n'
        'loads or compiles the kernels. Peak memory: the whole process, libraries included.\n'
        'Oracle: dense reading of the definition in plain Python.'
    )


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[1000, 5000, 10000], help='numbers of tracklets'
    )
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension')
    parser.add_argument('--repeats', type=int, default=3, help='runs of which the median is shown')
    parser.add_argument('--oracle-up-to', type=int, default=1000, help='largest N for the dense oracle')
    return parser.parse_args()


def measure(kind: str, size: int, dim: int, repeats: int, oracle: bool) -> dict:
    """Median seconds of each step for one kind and number of features."""
    from dscreid.pseudo_labels import correct_labels, dbscan, jaccard_distance, knn, unify_labels

    features = make_features(kind, size, dim)
    start = time.perf_counter()
    jaccard_distance(features[:50])
    result = {'first': time.perf_counter() - start}
    result['knn'] = median_seconds(lambda: knn(features, features, min(30, size)), repeats)
    result['jaccard'] = median_seconds(lambda: jaccard_distance(features), repeats)
    graph = jaccard_distance(features)
    result['dbscan'] = median_seconds(lambda: dbscan(graph), repeats)

    labels = dbscan(graph)
    static, dynamic = features[:, : dim // 2], features[:, dim // 2 :]

    def unify_and_correct() -> None:
        unified = unify_labels(static, dynamic, static, dynamic, labels)
        correct_labels(static, dynamic, unified)

    result['dslu'] = median_seconds(unify_and_correct, repeats)
    if oracle:
        result |= _against_oracle(features, graph)
    return result


def make_features(kind: str, size: int, dim: int) -> torch.Tensor:
    """float32 (size, dim), unit rows: about 20 tracklets per identity, or no structure at all."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(size, dim, generator=generator)
    if kind == 'clustered':
        centres = torch.randn(max(1, size // 20), dim, generator=generator)
        features = centres[torch.arange(size) % len(centres)] + 1.5 * features
    return torch.nn.functional.normalize(features, dim=1)


def _against_oracle(features: torch.Tensor, graph) -> dict:
    """Seconds of one dense reading, and the largest difference over the stored pairs."""
    spec = importlib.util.spec_from_file_location('jaccard_oracle', ORACLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    start = time.perf_counter()
    dense = module.dense_jaccard(features.numpy())
    seconds = time.perf_counter() - start
    pairs = graph.tocoo()
    return {'oracle': seconds, 'difference': float(np.abs(dense[pairs.row, pairs.col] - pairs.data).max())}


def _row(kind: str, size: int, result: dict) -> list[str]:
    """Cells of one line."""
    steps = [f'{result[step]:.2f}' for step in ('first', 'knn', 'jaccard', 'dbscan', 'dslu')]
    oracle = [f'{result["oracle"]:.1f}', f'{result["difference"]:.0e}'] if 'oracle' in result else ['', '']
    return [kind, f'{size:,}', *steps, f'{result["peak_gb"]:.2f}', *oracle]


if __name__ == '__main__':
    main()
