"""Schedule of the votes required by label unification: many at first, fewer as the model improves."""

import math


def votes_needed(
    epoch: int, topk: int, start: int | float, end: int | float, epochs: int, begin: int = 0
) -> int:
    """Compute the number of votes that a visible tracklet's label needs in an epoch.

    The number changes linearly from ``start`` to ``end``, is rounded up to whole votes, and stays constant
    afterwards.

    Args:
        epoch: Zero-based epoch.
        topk: Number of votes cast, at least 1.
        start: Votes until ``begin``. An int is a number of votes, a float in (0, 1] a share of ``topk``.
        end: Votes from ``begin + epochs`` on, given like ``start``.
        epochs: Length of the transition in epochs, at least 1.
        begin: Zero-based epoch in which the transition begins.

    Returns:
        An integer in [1, topk].

    Raises:
        ValueError: If a value is out of range.
    """
    if topk < 1 or epochs < 1 or begin < 0:
        raise ValueError(
            f'topk and epochs must be at least 1 and begin not negative, got {topk}, {epochs} and {begin}'
        )
    first, last = _votes(start, topk, 'start'), _votes(end, topk, 'end')
    progress = min(max((epoch - begin) / epochs, 0.0), 1.0)
    votes = first + (last - first) * progress
    # A rounding error above a whole number must not require an extra vote.
    return min(max(math.ceil(votes - 1e-9), 1), topk)


def _votes(value: int | float, topk: int, name: str) -> float:
    """Convert a number of votes or a share of ``topk`` to votes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value * topk
    raise ValueError(
        f'{name} must be a number of votes (an int of at least 1) or a share of topk (a float in (0, 1]), got {value!r}'
    )
