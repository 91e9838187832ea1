"""How mutual nearest neighbors are, and the sizes of neighborhood at which that changes."""

import numpy as np

#: A kink is a rate above the mean of those at this many times smaller and larger neighborhoods.
_KINK_RATIO = 1.8
#: Standard errors by which a kink must stand out.
_SIGNIFICANCE = 3.0


def mutual_neighbor_rates(rank: np.ndarray) -> np.ndarray:
    """How many of its nearest tracklets have a tracklet among their own nearest.

    Args:
        rank: int (N, K), the nearest tracklets of each, itself first.

    Returns:
        float64 (N, K - 1) in [0, 1]; column c is of the neighborhoods of c + 2 tracklets, itself included: the share
        of the c + 1 others that count it among theirs.
    """
    num, width = rank.shape
    row = np.repeat(np.arange(num, dtype=np.int64), width)
    column = rank.ravel().astype(np.int64)
    place = np.tile(np.arange(width), num)
    order = np.argsort(row * num + column)
    known = (row * num + column)[order]
    found = np.searchsorted(known, column * num + row).clip(max=max(len(known) - 1, 0))
    mutual = (known[found] == column * num + row) & (row != column)
    # both are within the neighborhood as soon as the later of the two places is
    level = np.maximum(place, place[order][found])[mutual]
    counts = np.bincount(row[mutual] * width + level, minlength=num * width).reshape(num, width)
    return counts.cumsum(axis=1)[:, 1:] / np.arange(1, width)


def neighborhood_scales(rates: np.ndarray) -> tuple[int, ...]:
    """Sizes of neighborhood at which the share of mutual neighbors has a significant kink.

    Args:
        rates: float64 (N, K - 1), of :func:`mutual_neighbor_rates`.

    Returns:
        Sizes, the tracklet itself included, ascending: local maxima of the mean rate minus the mean of the rates at
        sizes 1.8 times smaller and larger, which lie three standard errors above 0.
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
    """float64 (num_columns, M): rates to excess over the mean of smaller and larger sizes, linear in log size.

    Column c is of c + 1 others; M leaves out those whose larger size is not among the columns, and so does not see
    the end of the rates as a kink. Sizes below the smallest count as the smallest.
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
