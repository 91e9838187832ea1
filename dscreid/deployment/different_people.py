"""Pairs of tracklets that show different people, because one sensor saw them at the same time."""

from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

#: Maximum number of pairs of different people that are compared; more are sampled.
_MOST_PAIRS = 20_000


def different_people(
    cameras: np.ndarray,
    modalities: Sequence[str],
    times: Sequence[tuple[datetime | None, datetime | None]],
    most: int = _MOST_PAIRS,
    seed: int = 0,
) -> np.ndarray:
    """Find pairs of tracklets that one sensor saw at the same time, which therefore show different people.

    Args:
        cameras: int64 (N,).
        modalities: Modality of each tracklet. Two sensors of one camera may see one person.
        times: First and last time of each tracklet. A tracklet without a first time is in no pair; one without a last
            time covers only its first time.
        most: Maximum number of pairs; more are sampled at random.
        seed: Seed of the sample.

    Returns:
        int64 (P, 2), pairs of rows.
    """
    sensors: dict[tuple, list[tuple[float, float, int]]] = {}
    for row, (start, end) in enumerate(times):
        if start is not None:
            # times without a time zone cannot be compared with others
            sensor = (int(cameras[row]), modalities[row], start.tzinfo is None)
            sensors.setdefault(sensor, []).append((_seconds(start), _seconds(end or start), row))
    firsts, counts, orders, offset = [], [], [], 0
    for spans in sensors.values():
        spans.sort()
        starts, ends = np.array([span[0] for span in spans]), np.array([span[1] for span in spans])
        firsts.append(offset + np.arange(len(spans)))
        counts.append(np.searchsorted(starts, ends, side='right') - np.arange(len(spans)) - 1)
        orders += [span[2] for span in spans]
        offset += len(spans)
    if not orders:
        return np.zeros((0, 2), np.int64)
    first, count, order = np.concatenate(firsts), np.concatenate(counts), np.array(orders, dtype=np.int64)
    bounds = np.cumsum(count)
    numbers = np.arange(bounds[-1])
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng(seed).choice(len(numbers), most, replace=False))
    place = np.searchsorted(bounds, numbers, side='right')
    partner = first[place] + 1 + numbers - (bounds - count)[place]
    return np.stack([order[first[place]], order[partner]], axis=1)


def _seconds(time: datetime) -> float:
    return (time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time).timestamp()
