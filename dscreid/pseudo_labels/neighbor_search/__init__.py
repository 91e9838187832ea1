"""How nearest neighbours are searched: exactly, in blocks, or approximately with faiss and a measured recall."""

from dscreid.pseudo_labels.neighbor_search.choice import (
    METHODS,
    NeighborSearch,
    current_search,
    search_with,
)
from dscreid.pseudo_labels.neighbor_search.exact import exact_neighbors, largest_per_row

__all__ = ['METHODS', 'NeighborSearch', 'current_search', 'exact_neighbors', 'largest_per_row', 'search_with']
