"""Time of a gallery on disk or on a Milvus server: adding, exact search, and search with an index, with its recall.

Features are random unit vectors (the worst case of an index) and persons (groups of ten similar tracklets). Recall is
the share of the exact answers that a search with an index finds.

Examples:
    python tools/benchmarks/gallery.py
    python tools/benchmarks/gallery.py --tracklets 1000000 --size 1536 --queries 20
    MILVUS_TOKEN=... python tools/benchmarks/gallery.py --server http://127.0.0.1:19530
"""

import argparse
import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from results import Table, add_out_argument, publish

from dscreid.deployment import Bundle, Gallery, open_gallery
from dscreid.deployment.gallery_filters import Filters
from dscreid.deployment.gallery_places import TOKEN
from dscreid.deployment.gallery_rows import Entry
from dscreid.structures import Modality

GROUP, CAMERAS = 10, 20


def main() -> None:
    """Measure both kinds of features and publish a table of each."""
    args = parse_args()
    tables, data = [], {}
    for kind, make in {'random': random_features, 'persons': person_features}.items():
        with tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng(0)
            features, queries = make(rng, args.tracklets, args.size, args.queries)
            with contextlib.ExitStack() as stack:
                place = Path(folder, 'gallery') if args.server is None else stack.enter_context(collection(args.server))
                rows = measure(place, features, queries, args)
        title = f'{kind}: {args.tracklets:,} tracklets, {args.size} numbers, {args.queries} queries, top {args.top}'
        cells = [
            [one['name'], f'{one["seconds"] * 1e3:,.1f}', '' if one['recall'] is None else f'{one["recall"]:.3f}']
            for one in rows
        ]
        tables.append(Table(title, ['step', 'ms', f'recall@{args.top}'], cells))
        data[kind] = rows
    notes = ['Searches: median of single queries, after one round to warm up. Filter: one camera of twenty.']
    publish(args.out, tables, notes, data)


def measure(
    place: str | Path, features: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure all steps on one gallery: dicts with ``name``, ``seconds`` and ``recall``."""
    gallery = open_gallery(place, description(args.size), create=True)
    rows = [step('add', lambda: add(gallery, features, args.per_transaction))]
    exact = search(gallery, queries, args.top)
    rows.append(searched('exact search', exact, exact))
    rows.append(searched('exact search, filter', search(gallery, queries, args.top, Filters(['c0'])), None))
    rows.append(step('statistics', gallery.statistics))
    rows.append(step('list 60 tracklets', lambda: gallery.page(limit=60)))
    rows.append(step('list 60 tracklets, filter and text', lambda: gallery.page(Filters(['c0']), '20', limit=60)))
    rows.append(step('make the index', lambda: gallery.compact(index=True)))
    for probes in args.probes:
        rows.append(searched(f'index, {probes} probes', search(gallery, queries, args.top, probes=probes), exact))
    rows.append(step('remove one tracklet, erased', lambda: gallery.remove(['t0'])))
    return rows


@contextlib.contextmanager
def collection(server: str) -> Iterator[str]:
    """Yield the address of a new gallery on a server, and drop it afterwards."""
    from pymilvus import MilvusClient

    name = f'benchmark_{secrets.token_hex(8)}'
    try:
        yield f'{server}/{name}'
    finally:
        MilvusClient(server, token=os.environ.get(TOKEN, '')).drop_collection(name)


def add(gallery: Gallery, features: npt.NDArray[np.float32], per_transaction: int) -> None:
    """Add tracklets in several transactions."""
    for start in range(0, len(features), per_transaction):
        chunk = features[start : start + per_transaction]
        numbers = range(start, start + len(chunk))
        entries = [Entry(f't{n}', f'c{n % CAMERAS}', list(Modality)[n % 2], f'/data/t{n}') for n in numbers]
        gallery.add(entries, chunk)
    gallery.finish_adding()


def search(
    gallery: Gallery,
    queries: npt.NDArray[np.float32],
    top: int,
    filters: Filters | None = None,
    probes: int | None = None,
) -> tuple[list[set[str]], list[float]]:
    """Search for each query twice: names of the answers, and seconds of the second time."""
    answers, seconds = [], []
    for warm in (False, True):
        for query in queries:
            start = time.perf_counter()
            (hits,) = gallery.search(query[None], top, filters, probes=probes)
            if warm:
                seconds.append(time.perf_counter() - start)
                answers.append({hit.entry.tracklet for hit in hits})
    return answers, seconds


def searched(
    name: str, result: tuple[list[set[str]], list[float]], exact: tuple[list[set[str]], list[float]] | None
) -> dict[str, Any]:
    """Summarize searches."""
    recall = None
    if exact is not None:
        recall = float(np.mean([len(a & b) / len(b) for a, b in zip(result[0], exact[0], strict=True)]))
    return {'name': name, 'seconds': float(np.median(result[1])), 'recall': recall}


def step(name: str, function: Callable[[], object]) -> dict[str, Any]:
    """Measure one step."""
    start = time.perf_counter()
    function()
    return {'name': name, 'seconds': time.perf_counter() - start, 'recall': None}


def random_features(rng: np.random.Generator, count: int, size: int, queries: int) -> tuple[Any, Any]:
    """Draw unit vectors: float32 (count, size) and (queries, size)."""
    return unit(rng, count, size), unit(rng, queries, size)


def person_features(rng: np.random.Generator, count: int, size: int, queries: int) -> tuple[Any, Any]:
    """Draw a center for each person, and tracklets around it."""
    centers = unit(rng, -(-count // GROUP), size)
    features = np.repeat(centers, GROUP, axis=0)[:count]
    features += 0.5 * unit(rng, count, size)
    asked = centers[rng.integers(0, len(centers), queries)] + 0.5 * unit(rng, queries, size)
    return normalized(features), normalized(asked)


def unit(rng: np.random.Generator, count: int, size: int) -> npt.NDArray[np.float32]:
    """Draw random directions, float32 (count, size)."""
    return normalized(rng.standard_normal((count, size), dtype=np.float32))


def normalized(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows to unit length, in place."""
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features


def description(size: int) -> Bundle:
    """Describe a model without weights."""
    feature = {'size': size, 'definition': ''}
    return Bundle('benchmark', 'none', 'none', {}, [], feature, '', [], None, '', Path('benchmark'))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tracklets', type=int, default=100_000, help='number of tracklets (default: %(default)s)')
    parser.add_argument('--size', type=int, default=256, help='numbers of a feature (default: %(default)s)')
    parser.add_argument('--queries', type=int, default=50, help='number of queries (default: %(default)s)')
    parser.add_argument('--top', type=int, default=20, help='answers of a query (default: %(default)s)')
    parser.add_argument('--probes', type=int, nargs='+', default=[4, 8, 16, 24], help='probes (default: %(default)s)')
    parser.add_argument(
        '--per-transaction', type=int, default=10_000, help='tracklets added at once (default: %(default)s)'
    )
    parser.add_argument('--server', metavar='URI', help='http://HOST:PORT of a Milvus server (default: a folder)')
    add_out_argument(parser, 'gallery')
    return parser.parse_args()


if __name__ == '__main__':
    main()
