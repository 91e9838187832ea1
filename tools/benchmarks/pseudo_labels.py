"""Time, memory and growth of pseudo labeling: kNN, Jaccard distance, DBSCAN, DSLU; with dense arrays if they fit.

The reference is clustering as it is usually written for a few thousand samples, with dense N x N arrays in numpy
(references/clustering.py). Both run in their own processes.

Example: python tools/benchmarks/pseudo_labels.py --sizes 2500 5000 10000 --reference-up-to 10000
"""

import argparse
import time

import numpy as np
import torch
from machine import in_fresh_process, median_seconds, peak_bytes_of
from results import Table, add_out_argument, fitted_exponent, publish

STEPS = {'knn': 'kNN', 'jaccard': 'Jaccard', 'dbscan': 'DBSCAN', 'dslu': 'DSLU'}
K1, K2, EPS, MIN_SAMPLES = 30, 6, 0.6, 4


def main() -> None:
    """Measure every size and kind of features and publish one table."""
    args = parse_args()
    results = []
    for kind in args.features:
        for size in args.sizes:
            result = in_fresh_process(measure, kind, size, args.dim, args.repeats, args.search, args.search_parameters)
            if size <= args.reference_up_to:
                result['reference'] = in_fresh_process(measure_reference, kind, size, args.dim)
            results.append({'features': kind, 'size': size, **result})
    publish(
        args.out,
        [
            Table(
                f'Seconds of pseudo labels, D = {args.dim}, k1 = {K1}, k2 = {K2}, search {args.search}, '
                f'medians of {args.repeats}',
                ['features', 'N', *STEPS.values(), 'cluster'],
                [_seconds_row(result) for result in results],
            ),
            Table(
                'Memory, and the dense reference',
                ['features', 'N', 'GB', 'MB beyond', 'forecast MB', 'dense s', 'dense GB', 'faster', 'equal'],
                [_memory_row(result) for result in results],
            ),
        ],
        [
            'Cluster: kNN, Jaccard distance and DBSCAN together, which the dense reference does too; DSLU has three '
            'searches of its own. GB: peak memory of the whole process, libraries included. MB beyond: peak of a '
            'clustering beyond the process with its features. Forecasts: dscreid/pseudo_labels/clustering/forecast.py. '
            "Equal: share of tracklets with the reference's label.",
            *_growth(results),
        ],
        {'settings': {'k1': K1, 'k2': K2, 'eps': EPS, 'min_samples': MIN_SAMPLES}, 'results': results},
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[2500, 5000, 10000], metavar='N', help='numbers of tracklets'
    )
    parser.add_argument(
        '--features', nargs='+', choices=('clustered', 'random'), default=['clustered', 'random'],
        help='about 20 tracklets per identity, or no structure at all (default: both)',
    )  # fmt: skip
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension')
    parser.add_argument('--repeats', type=int, default=3, help='runs of which the median is shown')
    parser.add_argument(
        '--reference-up-to', type=int, default=10000, metavar='N', help='largest N for the dense reference'
    )
    parser.add_argument(
        '--search',
        default='exact',
        metavar='INDEX',
        help="exact, or a faiss index, such as 'HNSW32' (default: exact)",
    )
    parser.add_argument(
        '--search-parameters', default='', metavar='TEXT', help="of a faiss index, such as 'efSearch=64'"
    )
    add_out_argument(parser, 'pseudo_labels')
    return parser.parse_args()


def measure(kind: str, size: int, dim: int, repeats: int, search: str, parameters: str) -> dict:
    """Measure the median seconds of each step for one kind and number of features, and return the labels, too."""
    from dscreid.neighbors import NeighborSearch, search_with
    from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
    from dscreid.pseudo_labels import correct_labels, dbscan, jaccard_distance, unify_labels
    from dscreid.pseudo_labels.clustering.forecast import ClusteringProblem, forecast_round

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    features = make_features(kind, size, dim).to(device)
    jaccard_distance(features[:50])  # loads or compiles the kernels
    asked = NeighborSearch() if search == 'exact' else NeighborSearch(search, parameters, smallest=0)
    forecast = forecast_round([ClusteringProblem(size, dim, K1)], asked, device)
    result: dict = {'forecast': forecast.host_bytes - (0 if device == 'cuda' else features.nbytes)}  # existing ones
    with search_with(asked):
        result['peak_beyond'] = peak_bytes_of(lambda: dbscan(jaccard_distance(features, K1, K2, EPS), EPS, MIN_SAMPLES))
        result['knn'] = median_seconds(lambda: nearest_tracklets(features, K1), repeats)
        rows, rank = nearest_tracklets(features, K1)
    result['jaccard'] = median_seconds(lambda: jaccard_of_neighbors(rows, rank, K1, K2, EPS), repeats)
    graph = jaccard_of_neighbors(rows, rank, K1, K2, EPS)
    result['dbscan'] = median_seconds(lambda: dbscan(graph, EPS, MIN_SAMPLES), repeats)
    labels = dbscan(graph, EPS, MIN_SAMPLES)
    static, dynamic = features[:, : dim // 2], features[:, dim // 2 :]

    def unify_and_correct() -> None:
        unified = unify_labels(static, dynamic, static, dynamic, labels)
        correct_labels(static, dynamic, unified)

    with search_with(asked):
        result['dslu'] = median_seconds(unify_and_correct, repeats)
    return result | {'pairs': int(graph.nnz), 'labels': labels.tolist()}


def measure_reference(kind: str, size: int, dim: int) -> dict:
    """Measure the seconds of one dense clustering, and return the labels, too."""
    from references.clustering import dense_clusters

    features = make_features(kind, size, dim).numpy()
    start = time.perf_counter()
    labels = dense_clusters(features, K1, K2, EPS, MIN_SAMPLES)
    return {'seconds': time.perf_counter() - start, 'labels': labels.tolist()}


def make_features(kind: str, size: int, dim: int) -> torch.Tensor:
    """Make float32 (size, dim) unit rows: about 20 tracklets per identity, or no structure at all."""
    from dscreid.lab.acceptance.labels import clustered_features

    if kind == 'clustered':
        return clustered_features(size, dim)
    return torch.nn.functional.normalize(torch.randn(size, dim, generator=torch.Generator().manual_seed(0)), dim=1)


def _clustering(result: dict) -> float:
    return sum(result[step] for step in ('knn', 'jaccard', 'dbscan'))


def _seconds_row(result: dict) -> list[str]:
    """Make one row of the first table."""
    steps = [f'{result[step]:.2f}' for step in STEPS]
    return [*_case(result), *steps, f'{_clustering(result):.2f}']


def _memory_row(result: dict) -> list[str]:
    """Make one row of the second table, and remove the labels, which only the comparison needs, from the result."""
    labels, reference = result.pop('labels'), result.get('reference')
    beyond = result['peak_beyond']
    cells = [*_case(result), f'{result["peak_gb"]:.2f}', '' if beyond is None else f'{beyond / 1e6:,.0f}']
    cells.append(f'{result["forecast"] / 1e6:,.0f}')
    if reference is None:
        return [*cells, '', '', '', '']
    equal = float(np.mean(np.array(labels) == np.array(reference.pop('labels'))))
    faster = reference['seconds'] / _clustering(result)
    return [
        *cells, f'{reference["seconds"]:.1f}', f'{reference["peak_gb"]:.2f}', f'{faster:.1f}', f'{equal:.4f}'
    ]  # fmt: skip


def _case(result: dict) -> list[str]:
    return [result['features'], f'{result["size"]:,}']


def _growth(results: list[dict]) -> list[str]:
    """Describe how the times of the steps grow with N, for each kind of features with at least two sizes."""
    sentences = []
    for kind in dict.fromkeys(result['features'] for result in results):
        rows = [result for result in results if result['features'] == kind]
        sizes = [row['size'] for row in rows]
        if len(set(sizes)) > 1:
            parts = {STEPS[name]: [row[name] for row in rows] for name in STEPS}
            parts['Jaccard and DBSCAN together'] = [row['jaccard'] + row['dbscan'] for row in rows]
            grown = ', '.join(f'{name} {fitted_exponent(sizes, values):.2f}' for name, values in parts.items())
            sentences.append(f'Exponent of N, {kind}: {grown}.')
    return sentences


if __name__ == '__main__':
    main()
