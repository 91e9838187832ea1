"""The registered labelers. Importing this package registers all of them."""

from dscreid.pseudo_labels.labelers import (
    cluster,
    gur,
    matching,
    neighbor_guided,
    prototypes,
    true_labels,
    unification,
)

__all__ = ['cluster', 'gur', 'matching', 'neighbor_guided', 'prototypes', 'true_labels', 'unification']
