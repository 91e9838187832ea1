"""Nearest-neighbor search: exact in blocks, or approximate with a faiss index and a measured recall."""

from dscreid.neighbors.exact import exact_neighbors, largest_per_row
from dscreid.neighbors.search import NeighborSearch, current_search, search_with
from dscreid.neighbors.shares import with_shared_searches

__all__ = [
    'NeighborSearch',
    'current_search',
    'exact_neighbors',
    'largest_per_row',
    'search_with',
    'with_shared_searches',
]
