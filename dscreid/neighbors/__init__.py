"""Nearest-neighbor search: exact in blocks, or approximate with faiss and a measured recall."""

from dscreid.neighbors.choice import (
    METHODS,
    NeighborSearch,
    current_search,
    search_with,
)
from dscreid.neighbors.exact import exact_neighbors, largest_per_row

__all__ = ['METHODS', 'NeighborSearch', 'current_search', 'exact_neighbors', 'largest_per_row', 'search_with']
