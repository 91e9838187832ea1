"""Share of mutual nearest neighbors, and the neighborhood sizes at which it has a kink."""

import numpy as np

#: A kink is a rate above the mean of the rates at neighborhoods smaller and larger by this factor.
_KINK_RATIO = 1.8
#: Number of standard errors by which a kink must stand out.
_SIGNIFICANCE = 3.0


def mutual_neighbor_rates(rank: np.ndarray) -> np.ndarray:
    """Compute which share of a tracklet's nearest tracklets have it among their own nearest.

    Args:
        rank: int (N, K), the nearest tracklets of each tracklet, itself first.

    Returns:
        float64 (N, K - 1) in [0, 1]. Column c refers to neighborhoods of c + 2, including the tracklet itself.
    """
    num, width = rank.shape
    row = np.repeat(np.arange(num, dtype=np.int64), width)
    column = rank.ravel().astype(np.int64)
    place = np.tile(np.arange(width), num)
    order = np.argsort(row * num + column)
    known = (row * num + column)[order]
    found = np.searchsorted(known, column * num + row).clip(max=max(len(known) - 1, 0))
    mutual = (known[found] == column * num + row) & (row != column)
    # Two tracklets are mutual neighbors once the neighborhood includes the later of their two places.
    level = np.maximum(place, place[order][found])[mutual]
    counts = np.bincount(row[mutual] * width + level, minlength=num * width).reshape(num, width)
    return counts.cumsum(axis=1)[:, 1:] / np.arange(1, width)


def neighborhood_scales(rates: np.ndarray) -> tuple[int, ...]:
    """Find neighborhood sizes at which the share of mutual neighbors has a significant kink.

    Args:
        rates: float64 (N, K - 1), see :func:`mutual_neighbor_rates`.

    Returns:
        Sizes, ascending: local maxima, three standard errors above 0, of the mean rate minus the mean of the rates at
        sizes 1.8 times smaller and larger.
    """
    if rates.shape[0] < 2 or rates.shape[1] < 2:
        return ()
    excess = rates @ _kink_weights(rates.shape[1])
    mean, error = excess.mean(axis=0), excess.std(axis=0, ddof=1) / len(excess) ** 0.5
    scales = []
    for column in np.flatnonzero(mean > np.maximum(_SIGNIFICANCE * error, 1e-6)):
        reach = max(1, (column + 2) // 4)
        if mean[column] == mean[max(0, column - reach) : column + reach + 1].max():
            scales.append(int(column) + 2)
    return tuple(scales)


def _kink_weights(num_columns: int) -> np.ndarray:
    """float64 (num_columns, M), weights from rates to excess, linear in log size.

    M omits sizes whose larger counterpart is beyond the rates, so that their end does not appear as a kink.
    """
    others = np.arange(1, num_columns + 1)
    kept = others[others * _KINK_RATIO <= num_columns]
    weights = np.zeros((num_columns, len(kept)))
    for column, size in enumerate(kept):
        weights[column, column] += 1
        for other in (size / _KINK_RATIO, size * _KINK_RATIO):
            position = np.interp(np.log(other), np.log(others), np.arange(num_columns))
            below = min(int(position), num_columns - 2)
            weights[below, column] -= 0.5 * (below + 1 - position)
            weights[below + 1, column] -= 0.5 * (position - below)
    return weights
