"""How many votes label unification asks for: strict at first, looser as the model improves."""

import math


def votes_needed(
    epoch: int, topk: int, start: int | float, end: int | float, epochs: int, begin: int = 0
) -> int:
    """Votes that a visible tracklet's label needs in an epoch.

    The number goes from ``start`` to ``end`` on a straight line, rounded up to whole votes, and stays there.

    Args:
        epoch: Zero-based epoch.
        topk: Votes that are cast, at least 1.
        start: Votes until ``begin``: an int is a number of votes, a float in (0, 1] a share of ``topk``.
        end: Votes from ``begin + epochs`` on, likewise.
        epochs: Length of the way from one to the other, at least 1.
        begin: Zero-based epoch in which the way begins.

    Returns:
        An integer in [1, topk].

    Raises:
        ValueError: A value is out of range.
    """
    if topk < 1 or epochs < 1 or begin < 0:
        raise ValueError(
            f'topk and epochs must be at least 1 and begin not negative, got {topk}, {epochs} and {begin}'
        )
    first, last = _votes(start, topk, 'start'), _votes(end, topk, 'end')
    progress = min(max((epoch - begin) / epochs, 0.0), 1.0)
    votes = first + (last - first) * progress
    # what rounding adds to a whole number must not cost a vote
    return min(max(math.ceil(votes - 1e-9), 1), topk)


def _votes(value: int | float, topk: int, name: str) -> float:
    """Votes that a number or a share of ``topk`` stands for."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value * topk
    raise ValueError(
        f'{name} must be a number of votes (an int of at least 1) or a share of topk (a float in (0, 1]), got {value!r}'
    )
