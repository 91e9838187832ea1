"""Search, Jaccard distance and DBSCAN in blocks far smaller than N, against dense arrays."""

import numpy as np
import pytest
import torch
from references.clustering import dense_clusters

from dscreid.neighbors import exact
from dscreid.pseudo_labels import dbscan, jaccard_distance
from dscreid.utils import chunks, compiled
from dscreid.utils.chunks import slices

NUM = 230


def points(seed):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(23, 16, generator=generator)
    return centres[torch.arange(NUM) % 23] + 0.35 * torch.randn(NUM, 16, generator=generator)


@pytest.mark.parametrize('seed', range(3))
def test_labels_are_those_of_dense_arrays(monkeypatch, seed):
    blocks = []

    def tiles(queries, gallery):  # as on a GPU: of both queries and gallery
        found = slices(len(queries), 9), slices(len(gallery), 13)
        blocks.append([len(part) for part in found])
        return found

    monkeypatch.setattr(exact, 'search_blocks', tiles)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 100)
    monkeypatch.setattr(compiled, 'ROWS_PER_TASK', 7)
    features = points(seed)
    labels = dbscan(jaccard_distance(features, 10, 3, 0.6), 0.6, 4)
    np.testing.assert_array_equal(labels, dense_clusters(features.numpy(), 10, 3, 0.6, 4))
    assert blocks == [[26, 18]]
    assert labels.max() > 5
