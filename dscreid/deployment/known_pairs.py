"""Pairs of tracklets that are known to be one person, or different people: from marks, and from the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.marks import Mark
from dscreid.deployment.presence import Presence

_Edge = tuple[int, int]


@dataclass(frozen=True)
class KnownPairs:
    """What is known of the pairs of N tracklets.

    Attributes:
        identity: int64 (N,), the same number for tracklets that are known to be one person.
        person: int64 (N,), number of the person in the table; -1 if unknown.
        marked_different: bool (N, N), symmetric: pairs of different people, by marks.
        num_marks: Number of marks as the same person, and as different people.
        contradictions: Why marks are not used, a sentence for each group of tracklets.
    """

    identity: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    marked_different: sparse.csr_array
    num_marks: tuple[int, int] = (0, 0)
    contradictions: tuple[str, ...] = ()

    def same_person(self, rows: slice) -> npt.NDArray[np.bool_]:
        """Mask the pairs that are known to be one person, bool (len(rows), N), also each one with itself."""
        return self.identity[rows, None] == self.identity

    def different_people(self, rows: slice) -> npt.NDArray[np.bool_]:
        """Mask the pairs that are known to be different people, bool (len(rows), N)."""
        first = self.person[rows, None]
        return self.marked_different[rows].toarray() | ((first >= 0) & (self.person >= 0) & (first != self.person))

    def describe(self) -> str:
        """Count marks, and the pairs that follow from them and the table."""
        members = np.bincount(self.identity)
        same, different = int((members * (members - 1) // 2).sum()), self.marked_different.nnz // 2
        return (
            f'{self.num_marks[0]:,} pairs are marked as the same person and {self.num_marks[1]:,} as different people; '
            f'of these tracklets, {same:,} pairs are known to be one person and {different:,} marked to be different'
        )


def known_pairs(rows: Sequence[TrackletRow], presence: Presence, marks: Iterable[Mark] = ()) -> KnownPairs:
    """Find what is known of pairs of tracklets.

    Two tracklets that are the same person as a third one are the same person; the third one can be an upload. If marks
    contradict each other, the persons of the table, or the times, no mark within this group of tracklets is used: one
    of the marks is wrong, but it is unknown which. Two tracklets that one camera saw at the same time, for example
    because a tracker gave one person two ids, can only be one person if exactly this pair is marked.

    Args:
        rows: The N tracklets, with different names.
        presence: When they were in view.
        marks: Valid marks, see ``labeled_pairs``; those of other tracklets have no effect.
    """
    node = {row.tracklet: number for number, row in enumerate(rows)}
    person = _persons(rows)
    same: list[_Edge] = []
    different: list[_Edge] = []
    for mark in marks:
        edge = (node.setdefault(mark.query, len(node)), node.setdefault(mark.tracklet, len(node)))
        (same if mark.same else different).append(edge)
    first = {number: row for row, number in reversed(list(enumerate(person.tolist())))}
    of_table = [(row, first[number]) for row, number in enumerate(person.tolist()) if number >= 0]
    group = _components([*of_table, *same], len(node))
    faults = _faults(group, same, different, person, presence, list(node))
    num_marks = (len(same), len(different))
    same, different = (
        [edge for edge in edges if group[edge[0]] != group[edge[1]] or group[edge[0]] not in faults]
        for edges in (same, different)
    )
    group = _components([*of_table, *same], len(node))
    marked_different = _all_pairs(group[: len(rows)], [(group[one], group[other]) for one, other in different])
    sentences = tuple(sorted(faults.values()))
    return KnownPairs(group[: len(rows)], person, marked_different, num_marks, sentences)


def _persons(rows: Sequence[TrackletRow]) -> npt.NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(sorted({row.person for row in rows} - {''}))}
    return np.array([numbers.get(row.person, -1) for row in rows], dtype=np.int64)


def _components(edges: Sequence[_Edge], count: int) -> npt.NDArray[np.int64]:
    """Number the connected components of a graph, int64 (count,)."""
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(edges), dtype=bool), tuple(ends)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _faults(
    group: npt.NDArray[np.int64],
    same: Sequence[_Edge],
    different: Sequence[_Edge],
    person: npt.NDArray[np.int64],
    presence: Presence,
    names: Sequence[str],
) -> dict[int, str]:
    """Find what is wrong with the marks of a group, by the number of the group."""
    faults: dict[int, str] = {}

    def found(one: int, other: int, reason: str, remedy: str = 'correct the wrong one') -> None:
        count = int((group == group[one]).sum())
        faults.setdefault(
            int(group[one]),
            f'{names[one]} and {names[other]} {reason}, but marks and table together make them one person; no mark '
            f'among these {count} tracklets and uploads is used; {remedy}',
        )

    for one, other in different:
        if group[one] == group[other]:
            found(one, other, 'are marked as different people')
    direct = {frozenset(edge) for edge in same}
    for number in sorted({int(group[one]) for one, _ in same}):
        members = np.flatnonzero(group[: len(person)] == number)
        named = members[person[members] >= 0]
        for other in named[person[named] != person[named[:1]]]:
            found(named[0], other, 'are different persons in the table')
        together = Presence(presence.view[members], presence.start[members], presence.end[members]).together()
        for place, next_place in np.argwhere(np.triu(together)):
            one, other = int(members[place]), int(members[next_place])
            if frozenset((one, other)) not in direct and (person[one] < 0 or person[one] != person[other]):
                found(one, other, 'were seen by one camera at the same time', 'correct it, or mark this pair itself')
    return faults


def _all_pairs(group: npt.NDArray[np.int64], different: Iterable[_Edge]) -> sparse.csr_array:
    """Mask the pairs of tracklets whose groups are different people."""
    members: dict[int, list[int]] = {}
    for row, number in enumerate(group.tolist()):
        members.setdefault(number, []).append(row)
    ends = [
        np.array(list(product(members.get(int(one), ()), members.get(int(other), ()))), dtype=np.int64).reshape(-1, 2)
        for one, other in different
    ]
    first, second = np.concatenate([np.zeros((0, 2), dtype=np.int64), *ends]).T
    places = (np.concatenate([first, second]), np.concatenate([second, first]))
    # pairs that several marks tell apart become one
    return sparse.csr_array((np.ones(len(places[0]), dtype=bool), places), shape=(len(group), len(group)))
