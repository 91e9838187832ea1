"""Densities of cross-modal distances within and between identities, as in the paper's Figure 5."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from dscreid.evaluation import FeatureTable
from dscreid.visualization.svg_chart import Rule, Series, legend, line_chart

NUM_BINS = 1000
INTRA_COLOUR, INTER_COLOUR = 2, 3


@dataclass(frozen=True)
class DistanceDensity:
    """Distribution of the cosine distances between visible and infrared tracklets.

    Attributes:
        name: Name of the run.
        grid: float64 (n,), distances in [0, 2].
        intra: float64 (n,), density of distances between tracklets of one person.
        inter: float64 (n,), density of distances between tracklets of different persons.
        intra_mean: Mean distance within an identity.
        inter_mean: Mean distance between identities.
    """

    name: str
    grid: np.ndarray
    intra: np.ndarray
    inter: np.ndarray
    intra_mean: float
    inter_mean: float

    @property
    def gap(self) -> float:
        """Distance between the two means: the larger, the better the identities are told apart."""
        return self.inter_mean - self.intra_mean


def distance_density(name: str, features: FeatureTable, *, chunk: int = 1024) -> DistanceDensity | None:
    """Densities over all pairs of a visible and an infrared tracklet of a test set.

    Distances are counted into fine bins block by block (no N×N array is held); the counts are smoothed with a
    Gaussian of Silverman's bandwidth, 0.01 at least.

    Args:
        name: Name of the run.
        features: Rows of a test set, as ``dscreid.evaluation.load_features`` gives them.
        chunk: Visible rows per block.

    Returns:
        The densities, or None when there is no pair of one person or none of two persons.
    """
    matrix = _normalised(features.feature)
    pids, modality = features.pid, features.modality
    # pairs of a tracklet whose person is unknown are neither of one person nor of two
    visible, infrared = (np.flatnonzero((modality == code) & (pids >= 0)) for code in (0, 1))
    counts = np.zeros((2, NUM_BINS))
    sums = np.zeros((2, 2))  # rows: inter, intra; columns: sum and sum of squares
    for start in range(0, len(visible), chunk):
        rows = visible[start : start + chunk]
        distance = np.clip(1.0 - matrix[rows] @ matrix[infrared].T, 0.0, 2.0).astype(np.float64)
        same = pids[rows][:, None] == pids[infrared][None, :]
        for kind in (0, 1):
            values = distance[same == bool(kind)]
            bins = np.minimum((values * (NUM_BINS / 2)).astype(np.int64), NUM_BINS - 1)
            counts[kind] += np.bincount(bins, minlength=NUM_BINS)
            sums[kind] += values.sum(), np.square(values).sum()
    totals = counts.sum(axis=1)
    if not totals.all():
        return None
    means = sums[:, 0] / totals
    deviations = np.sqrt(np.maximum(sums[:, 1] / totals - means**2, 0.0))
    widths = np.maximum(1.06 * deviations * totals**-0.2, 0.01)
    inter, intra = (_smoothed(counts[kind] / totals[kind], widths[kind]) for kind in (0, 1))
    grid = (np.arange(NUM_BINS) + 0.5) * (2 / NUM_BINS)
    return DistanceDensity(name, grid, intra, inter, float(means[1]), float(means[0]))


def densities_html(densities: Sequence[DistanceDensity]) -> str:
    """One chart per run on a common scale of distances, and a table of the means."""
    if not densities:
        return '<p class="empty">No features were kept, so there are no distances to show.</p>'
    low, high = _shown_range(densities)
    charts = '\n'.join(_density_figure(density, low, high) for density in densities)
    return f'<div class="grid">\n{charts}\n</div>\n{_means_html(densities)}'


def _normalised(matrix: np.ndarray) -> np.ndarray:
    """Rows scaled to unit length, zero rows left alone."""
    matrix = matrix.astype(np.float32)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def _smoothed(shares: np.ndarray, width: float) -> np.ndarray:
    """Shares per bin convolved with a Gaussian, as a density; mass beyond the ends is reflected."""
    bin_width = 2 / len(shares)
    reach = min(int(np.ceil(4 * width / bin_width)), len(shares) - 1)
    offsets = np.arange(-reach, reach + 1) * bin_width
    kernel = np.exp(-0.5 * (offsets / width) ** 2)
    padded = np.pad(shares, reach, mode='symmetric')
    return np.convolve(padded, kernel / kernel.sum(), mode='valid') / bin_width


def _shown_range(densities: Sequence[DistanceDensity]) -> tuple[float, float]:
    """Distances at which some density reaches half a per cent of its peak."""
    lows, highs = [], []
    for density in densities:
        for curve in (density.intra, density.inter):
            shown = density.grid[curve >= 0.005 * curve.max()]
            lows.append(shown[0])
            highs.append(shown[-1])
    return min(lows), max(highs)


def _density_figure(density: DistanceDensity, low: float, high: float) -> str:
    """The two densities of one run with their means."""
    shown = (density.grid >= low) & (density.grid <= high)
    grid = density.grid[shown]
    lines = [
        Series('same person', grid, density.intra[shown], colour=INTRA_COLOUR, area=True),
        Series('different persons', grid, density.inter[shown], colour=INTER_COLOUR, area=True, dashed=True),
    ]
    rules = [
        Rule(f'mean {density.intra_mean:.3f}', x=density.intra_mean, colour=INTRA_COLOUR),
        Rule(f'mean {density.inter_mean:.3f}', x=density.inter_mean, colour=INTER_COLOUR),
    ]
    description = (
        f'{density.name}: mean cross-modal distance {density.intra_mean:.3f} within and '
        f'{density.inter_mean:.3f} between identities'
    )
    chart = line_chart(
        lines, description=description, x_label='cosine distance RGB–IR', rules=rules, y_ticks=False
    )
    return (
        f'<figure class="card"><h4>{escape(density.name)}</h4>{legend(lines, rules)}\n{chart}\n'
        f'<figcaption>Distance between the means: <strong>{density.gap:.3f}</strong></figcaption></figure>'
    )


def _means_html(densities: Sequence[DistanceDensity]) -> str:
    """The means as a table."""
    rows = ''.join(
        f'<tr><th scope="row">{escape(density.name)}</th><td>{density.intra_mean:.3f}</td>'
        f'<td>{density.inter_mean:.3f}</td><td>{density.gap:.3f}</td></tr>'
        for density in densities
    )
    head = ''.join(
        f'<th scope="col">{name}</th>'
        for name in ('Run', 'Same person, mean', 'Different persons, mean', 'Distance between the means')
    )
    return (
        '<div class="scroll" role="region" aria-label="Mean distances" tabindex="0"><table>'
        f'<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
