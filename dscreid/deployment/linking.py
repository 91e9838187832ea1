"""Global identities: tracklets of the same person across cameras and modalities."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.calibration import pair_of, threshold_for
from dscreid.errors import ResourceError
from dscreid.structures import Modality
from dscreid.utils.machine import free_memory
from dscreid.utils.quantities import size_text

#: Similarities computed at once.
_BLOCK = 2**23
#: Bytes that a pair above its threshold takes at most.
_BYTES_PER_PAIR = 96


def link_tracklets(
    features: npt.NDArray[np.float32],
    modalities: Sequence[Modality],
    apart: npt.NDArray[np.int64],
    thresholds: Mapping[str, float],
) -> npt.NDArray[np.int64]:
    """Group tracklets of the same person: average linkage of similarities above the threshold, with constraints.

    The two most similar groups are merged as long as their margin is above 0 and no pair of them is in ``apart``. The
    margin of two tracklets is their similarity minus the threshold of their modalities, so that pairs within and across
    modalities can be averaged; that of two groups is the average over their pairs.

    Memory grows with the number of pairs above their threshold, not with N^2: without such a pair the margin of two
    groups is not above 0, and the margin of all other groups follows from the sums of their features, as the
    similarity is an inner product. Average linkage is reducible, also with constraints, so that chains of nearest
    neighbors (Murtagh, 1983) find the same groups as the search for the best pair.

    Args:
        features: float32 (N, D), compared by inner product.
        modalities: Modality of each tracklet.
        apart: int64 (P, 2), pairs of different people.
        thresholds: Similarity above which two tracklets match, for each of ``PAIRS`` that occurs.

    Returns:
        int64 (N,), identities from 1, in the order of their first tracklets.

    Raises:
        ResourceError: If there is not enough memory for the pairs.
    """
    limits = np.zeros((2, 2))
    for one, other in product(set(modalities), repeat=2):
        limits[int(one is Modality.RGB), int(other is Modality.RGB)] = thresholds[pair_of(one, other)]
    kinds = np.eye(2)[[int(modality is Modality.RGB) for modality in modalities]].reshape(len(features), 2)
    groups = _Groups(np.hstack([features, kinds]), limits, _graph(apart, np.ones(len(apart), bool), len(features)))
    start = 0
    while start < groups.count:  # which grows
        _follow_chain(groups, start)
        start += 1
    return _numbered(groups.parent)[: len(features)] + 1


def _pairs_above(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> sparse.csr_array:
    """Compute the symmetric matrix ``left @ right.T``, of which only values above 0 are kept, without the diagonal."""
    count, free, total = len(left), free_memory(), 0
    pairs: list[npt.NDArray[np.int32]] = [np.zeros((0, 2), np.int32)]
    values: list[npt.NDArray[np.float64]] = [np.zeros(0)]
    rows = max(_BLOCK // max(count, 1), 1)
    for start in range(0, count, rows):
        margins = np.triu(left[start : start + rows] @ right[start:].T, 1)
        found = np.nonzero(margins > 0)
        values.append(margins[found])
        pairs.append((np.column_stack(found) + start).astype(np.int32))
        total += len(values[-1])
        if free is not None and total * _BYTES_PER_PAIR > free:
            share = min(start + rows, count) / count
            raise ResourceError(
                f'linking {count:,} tracklets needs more than the {size_text(free)} of memory that are free: {total:,} '
                f'pairs with the first {share:.0%} of them are above the threshold; raise it, or link fewer tracklets'
            )
    return _graph(np.concatenate(pairs), np.concatenate(values), count)


def _graph(pairs: npt.NDArray[np.integer], values: npt.NDArray, count: int) -> sparse.csr_array:
    """Make a symmetric matrix (count, count) of the values of pairs, integer (P, 2)."""
    upper = sparse.coo_array((values, tuple(pairs.T)), shape=(count, count)).tocsr()
    return upper + upper.T


class _Near(NamedTuple):
    """What is known of a group's neighbors: their numbers, sums of the margins of pairs, and numbers of these pairs."""

    others: npt.NDArray[np.int64]
    totals: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.float64]


_NOTHING = _Near(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


class _Groups:
    """Groups of tracklets, numbered from 0. At first, each tracklet is a group; a merged group gets the next number.

    Args:
        sums: float64 (N, D + 2), features and one column of 0 or 1 for each modality. Overwritten.
        limits: float64 (2, 2), thresholds of the modalities.
        apart: bool (N, N), symmetric, pairs that cannot be merged.

    Attributes:
        count: Number of groups so far, also of those that were merged.
        parent: int64 (2 N,), the group that each one was merged into, or itself.
    """

    def __init__(self, sums: npt.NDArray[np.float64], limits: npt.NDArray[np.float64], apart: sparse.csr_array) -> None:
        count = len(sums)
        self.parent = np.arange(2 * count)
        self.count = count
        self._sums, self._limits = sums, limits  # of the tracklets of a group, in the row of one of them
        self._row = np.arange(2 * count)
        self._size = np.ones(2 * count)
        graph = _pairs_above(sums, self._opposite(sums))
        graph -= graph.multiply(apart)
        graph.eliminate_zeros()
        ones = np.ones(np.diff(graph.indptr).max(initial=0))
        self._near = [
            _Near(others, totals, ones[: len(others)])
            for others, totals in zip(_rows_of(graph, graph.indices), _rows_of(graph, graph.data), strict=True)
        ]
        self._apart = _rows_of(apart, apart.indices)

    def nearest(self, group: int) -> tuple[int, float]:
        """Find the group with the largest margin; the margin is 0 if none is above it."""
        near = self._near[group]
        if not np.array_equal(self.parent[near.others], near.others):
            self._update(group)
        others, totals, pairs = self._near[group]
        if not len(others):
            return group, 0.0
        best = int(np.argmax(totals / pairs))
        return int(others[best]), float(totals[best] / pairs[best])

    def merge(self, one: int, other: int) -> None:
        """Merge two groups."""
        new = self.count
        self.count += 1
        self.parent[[one, other]] = new
        self._row[new] = self._row[one]
        self._sums[self._row[one]] += self._sums[self._row[other]]
        self._size[new] = self._size[one] + self._size[other]
        joined = [np.concatenate(parts) for parts in zip(self._near[one], self._near[other], strict=True)]
        self._near.append(_Near._make(joined))
        self._apart.append(self._current(np.concatenate([self._apart[one], self._apart[other]])))
        for old in (one, other):
            self._near[old], self._apart[old] = _NOTHING, _NOTHING.others  # frees the memory
        self._update(new)

    def _update(self, group: int) -> None:
        """Replace groups that were merged, and leave out those that cannot be merged with this one.

        Those with a margin of 0 or less stay out: the average of such margins is not above 0 either.
        """
        near = self._near[group]
        others, place = np.unique(self._current(near.others), return_inverse=True)
        totals, known = (np.bincount(place, values, len(others)) for values in (near.totals, near.pairs))
        pairs = self._size[group] * self._size[others]
        partial = known < pairs
        totals[partial] = self._sums[self._row[others[partial]]] @ self._opposite(self._sums[self._row[group]])
        keep = (totals > 0) & (others != group)
        if len(self._apart[group]):
            self._apart[group] = np.unique(self._current(self._apart[group]))
            keep &= ~np.isin(others, self._apart[group], assume_unique=True)
        self._near[group] = _Near(others[keep], totals[keep], pairs[keep])

    def _current(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Replace groups by those that they were merged into."""
        found = self.parent[numbers]
        while not np.array_equal(found, above := self.parent[found]):
            found = above
        return found

    def _opposite(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Make vectors whose inner products with sums are the totals of margins."""
        return np.concatenate([sums[..., :-2], -sums[..., -2:] @ self._limits], axis=-1)


def _rows_of(graph: sparse.csr_array, values: npt.NDArray) -> list[npt.NDArray]:
    """Split values of a matrix by its rows."""
    return np.split(values, graph.indptr[1:-1]) if graph.shape[0] else []


def _follow_chain(groups: _Groups, start: int) -> None:
    """Follow nearest neighbors from a tracklet, and merge groups that are each other's, until none is left."""
    chain: list[int] = []
    margins: list[float] = []
    while chain or groups.parent[start] == start:
        if not chain:
            chain, margins = [start], [0.0]
        best, margin = groups.nearest(chain[-1])
        if margin > margins[-1] and best not in chain:
            chain.append(best)
            margins.append(margin)
        elif len(chain) > 1:
            groups.merge(*chain[-2:])
            del chain[-2:], margins[-2:]
        else:
            return


def _numbered(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the trees of a forest in the order of their first nodes."""
    while not np.array_equal(parent[parent], parent):
        parent = parent[parent]
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root, len(numbers)) for root in parent.tolist()], dtype=np.int64)


def thresholds_of(bundle: Bundle, modalities: Sequence[Modality], threshold: tuple[str, float]) -> dict[str, float]:
    """Choose the threshold of each pair of modalities that occurs.

    Args:
        bundle: The bundle.
        modalities: Modality of each tracklet.
        threshold: See ``parse_threshold``; a rate needs a calibrated bundle.

    Raises:
        ConfigError: If the bundle is not calibrated for the rate.
    """
    kind, value = threshold
    pairs = sorted({pair_of(one, other) for one, other in product(set(modalities), repeat=2)})
    return {pair: value if kind == 'similarity' else threshold_for(bundle, value, pair) for pair in pairs}
