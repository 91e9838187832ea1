"""Labels from approximate neighbors, compared with those from exact ones: one clustering for each faiss index.

Features are random, with about 20 tracklets of each identity.

Example: OMP_NUM_THREADS=1 python tools/benchmarks/approximate_search.py --size 50000 --dim 256
"""

import argparse
import time

import numpy as np
from machine import in_fresh_process
from results import Table, add_out_argument, publish

PER_IDENTITY = 20
INDEXES = ['HNSW32 efSearch=64', 'HNSW32 efSearch=256', 'IVF1024,Flat nprobe=64', 'IVF1024,Flat nprobe=256']
K1, K2, EPS, MIN_SAMPLES = 30, 6, 0.6, 4


def main() -> None:
    """Measure exact search and every index, and publish one table."""
    args = parse_args()
    results = [
        {'search': name, **in_fresh_process(measure, args.size, args.dim, name)} for name in ['exact', *args.indexes]
    ]
    exact = results[0]['labels']
    publish(
        args.out,
        [
            Table(
                f'{args.size:,} tracklets, D = {args.dim}, k1 = {K1}, k2 = {K2}, one run, processor time',
                ['search', f'search s, k = {K1}', f'recall@{K1}', 'clusters', 'ARI exact', 'ARI identities', 'GB'],
                [_row(result, exact) for result in results],
            )
        ],
        ['ARI: adjusted Rand index of the labels with those of exact search, and with the identities.'],
        {'results': results},
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=50_000, help='number of tracklets (default: %(default)s)')
    parser.add_argument('--dim', type=int, default=256, help='feature dimension (default: %(default)s)')
    parser.add_argument(
        '--indexes', nargs='+', default=INDEXES, metavar='INDEX',
        help="indexes of faiss, each optionally followed by a space and its parameters, such as 'HNSW32 efSearch=64'",
    )  # fmt: skip
    add_out_argument(parser, 'approximate_search')
    return parser.parse_args()


def measure(size: int, dim: int, name: str) -> dict:
    """Search with one index, or ``'exact'``, and return the processor seconds, the recall and the labels."""
    import torch

    from dscreid.lab.acceptance.labels import clustered_features
    from dscreid.neighbors import NeighborSearch, search_with
    from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
    from dscreid.neighbors.search import measured_recall
    from dscreid.pseudo_labels import dbscan

    index, _, parameters = name.partition(' ')
    search = NeighborSearch() if name == 'exact' else NeighborSearch(index, parameters, smallest=0, lowest_recall=0)
    features = clustered_features(size, dim, per_identity=PER_IDENTITY)
    start = time.process_time()
    with search_with(search):
        rows, rank = nearest_tracklets(features, K1)
    seconds = time.process_time() - start
    recall = measured_recall(features, features, torch.from_numpy(rank).long())
    labels = dbscan(jaccard_of_neighbors(rows, rank, K1, K2, EPS), EPS, MIN_SAMPLES)
    return {'seconds': seconds, 'recall': recall, 'labels': labels.tolist()}


def _row(result: dict, exact: list[int]) -> list[str]:
    """Make one row of the table, and remove the labels from the result."""
    from sklearn.metrics import adjusted_rand_score

    labels = result.pop('labels')
    identities = np.arange(len(labels)) % max(1, len(labels) // PER_IDENTITY)
    result['ari_exact'] = float(adjusted_rand_score(exact, labels))
    result['ari_identities'] = float(adjusted_rand_score(identities, labels))
    scores = [f'{result[key]:.4f}' for key in ('ari_exact', 'ari_identities')]
    clusters = f'{max(labels) + 1:,}'
    return [
        result['search'], f'{result["seconds"]:.1f}', f'{result["recall"]:.3f}', clusters, *scores,
        f'{result["peak_gb"]:.2f}',
    ]  # fmt: skip


if __name__ == '__main__':
    main()
