"""Tracklets that an index lists more than once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dscreid.structures import Tracklet

_SHOWN = 5


def first_rows(tracklets: Sequence[Tracklet]) -> np.ndarray:
    """Find the row of the first record with the same frames for each of N records, int64 (N,)."""
    firsts: dict[tuple[str, ...], int] = {}
    return np.array([firsts.setdefault(t.frames, row) for row, t in enumerate(tracklets)], dtype=np.int64)


def repeated_rows(tracklets: Sequence[Tracklet]) -> dict[int, int]:
    """Find records that repeat an earlier one: same frames, modality and camera, in the same list.

    A query that is also in the gallery is not a repeat, because it has two roles. Person ids are not compared, so that
    labeled and unlabeled splits keep the same records.

    Returns:
        Mapping from the row of each repeated record to the row of the first one.
    """
    firsts: dict[tuple, int] = {}
    keys = ((t.frames, t.modality, t.camera, t.is_query) for t in tracklets)
    return {row: first for row, key in enumerate(keys) if (first := firsts.setdefault(key, row)) != row}


def describe_repeats(repeats: Mapping[int, int], wheres: Sequence[str], pids: np.ndarray) -> tuple[str, ...]:
    """Describe repeated lines of an index, for example ``'query.txt:7 repeats query.txt:2'``.

    Args:
        repeats: As returned by :func:`repeated_rows`.
        wheres: ``file:line`` of each record.
        pids: int64 (N,), person id of each record; negative if unknown.
    """
    return tuple(
        f'{Path(wheres[row]).name} repeats {Path(wheres[first]).name}'
        + ('' if pids[row] == pids[first] else ' with another person id')
        for row, first in repeats.items()
    )


def repeat_warnings(root: Path, split: str, phrases: Sequence[str]) -> tuple[str, ...]:
    """Warn about repeated lines; empty if there are none."""
    if not phrases:
        return ()
    more = f' and {len(phrases) - _SHOWN} more' if len(phrases) > _SHOWN else ''
    return (
        f'{root}: {len(phrases)} lines of split {split!r} list a tracklet that an earlier line lists, and are left '
        f'out: {", ".join(phrases[:_SHOWN])}{more}; remove these lines from the index',
    )
