"""Step 5: seconds and memory of pseudo labels by the number of tracklets, and whether they are the processor's."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dscreid.lab.acceptance import timing
from dscreid.lab.acceptance.plan import Settings
from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.pseudo_labels import correct_labels, dbscan, jaccard_distance, unify_labels

_K1, _K2, _EPS, _MIN_SAMPLES = 30, 6, 0.6, 4
_PER_IDENTITY = 20


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the figures of each part for each number of tracklets."""
    jaccard_distance(np.eye(50, dtype=np.float32), k1=5)  # loads or compiles the kernels
    sizes, dimension = ((500, 1000), 32) if settings.pretend else ((22_000, 100_000, 1_000_000), 1536)
    for size in sizes:
        figures: dict[str, Any] = {}
        features = clustered_features(size, dimension, settings.device)
        for part in _parts(features, settings.device, smallest=size == sizes[0]):
            figures |= part
            yield {f'{size:,}': figures}
        if not figures.get('labels_equal', True):
            yield {'problems': [f"{size:,} labels are not the processor's"]}


def clustered_features(
    size: int, dimension: int, device: str | torch.device = 'cpu', per_identity: int = _PER_IDENTITY
) -> Tensor:
    """Make float32 (size, dimension) unit rows, about ``per_identity`` of each identity."""
    generator = torch.Generator(device).manual_seed(0)
    features = torch.randn(size, dimension, generator=generator, device=device)
    centers = torch.randn(max(1, size // per_identity), dimension, generator=generator, device=device)
    features *= 1.5
    features += centers[torch.arange(size, device=device) % len(centers)]
    return torch.nn.functional.normalize(features, dim=1)


def cluster(features: Tensor) -> np.ndarray:
    """Label features, float (N, D), with the usual numbers of these methods: int64 (N,)."""
    return dbscan(jaccard_distance(features, _K1, _K2, _EPS), _EPS, _MIN_SAMPLES)


def _parts(features: Tensor, device: str, smallest: bool) -> Iterator[dict[str, Any]]:
    found: list[Any] = []

    def timed(run: Callable[[], Any]) -> float:
        return timing.seconds_of_one(lambda: found.append(run()), device)

    search = partial(nearest_tracklets, features, _K1)
    yield {'nearest neighbors, seconds': timed(search), 'gpu_gb': timing.peak_gb(search, device) if smallest else None}
    rows, rank = found.pop()
    yield {'Jaccard distance, seconds': timed(lambda: jaccard_of_neighbors(rows, rank, _K1, _K2, _EPS))}
    graph = found.pop()
    yield {'DBSCAN, seconds': timed(lambda: dbscan(graph, _EPS, _MIN_SAMPLES))}
    labels = found.pop()
    yield {'clusters': int(labels.max()) + 1, 'pairs': int(graph.nnz)}
    if smallest:
        half = features.shape[1] // 2
        static, dynamic = features[:, :half], features[:, half:]
        unify = partial(unify_labels, static, dynamic, static, dynamic, labels)
        yield {'DSLU, seconds': timed(lambda: correct_labels(static, dynamic, unify()))}
        on_host = cluster(features.cpu())
        equal = labels == on_host
        yield {'labels_equal': bool(equal.all()), 'share_of_equal_labels': float(equal.mean())}
