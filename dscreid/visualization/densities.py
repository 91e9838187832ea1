"""Densities of cross-modal distances within and between identities, as in the paper's Figure 5."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from dscreid.evaluation import FeatureTable
from dscreid.visualization.figures import COLORS, Card, Rule, Series, line_chart
from dscreid.visualization.page import part

NUM_BINS = 1000


@dataclass(frozen=True)
class DistanceDensity:
    """Densities of a run's cosine distances between visible and infrared tracklets, with the mean distances."""

    name: str
    grid: np.ndarray  #: float64 (n,), distances in [0, 2]
    intra: np.ndarray  #: float64 (n,), density of distances between tracklets of one person
    inter: np.ndarray  #: float64 (n,), density of distances between tracklets of different persons
    intra_mean: float
    inter_mean: float

    @property
    def gap(self) -> float:
        """Distance between the two means; larger values mean better separated identities."""
        return self.inter_mean - self.intra_mean


def distance_density(name: str, features: FeatureTable, *, chunk: int = 1024) -> DistanceDensity | None:
    """Estimate the densities over all pairs of a visible and an infrared tracklet whose persons are known.

    Distances are counted in fine bins, ``chunk`` visible tracklets at a time, and smoothed with a Gaussian of
    Silverman's bandwidth, but at least 0.01. Returns None without a pair of the same person or of different persons.
    """
    matrix = features.feature.astype(np.float32)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    pids, modality = features.pid, features.modality
    # tracklets of unknown persons are excluded: their pairs are neither "same" nor "different"
    visible, infrared = (np.flatnonzero((modality == code) & (pids >= 0)) for code in (0, 1))
    counts = np.zeros((2, NUM_BINS))
    sums = np.zeros((2, 2))  # rows: inter, intra; columns: sum and sum of squares
    for start in range(0, len(visible), chunk):
        rows = visible[start : start + chunk]
        distance = np.clip(1.0 - matrix[rows] @ matrix[infrared].T, 0.0, 2.0).astype(np.float64)
        same = pids[rows][:, None] == pids[infrared][None, :]
        for kind in (0, 1):
            values = distance[same == bool(kind)]
            counts[kind] += np.histogram(values, NUM_BINS, (0, 2))[0]
            sums[kind] += values.sum(), np.square(values).sum()
    totals = counts.sum(axis=1)
    if not totals.all():
        return None
    means = sums[:, 0] / totals
    deviations = np.sqrt(np.maximum(sums[:, 1] / totals - means**2, 0.0))
    widths = np.maximum(1.06 * deviations * totals**-0.2, 0.01)
    bin_width = 2 / NUM_BINS
    # mass beyond the ends is reflected
    inter, intra = (
        gaussian_filter1d(counts[kind] / totals[kind] / bin_width, widths[kind] / bin_width) for kind in (0, 1)
    )
    grid = (np.arange(NUM_BINS) + 0.5) * bin_width
    return DistanceDensity(name, grid, intra, inter, float(means[1]), float(means[0]))


def densities_html(densities: Sequence[DistanceDensity]) -> str:
    """Render one chart per run on a common distance axis; '' if there are no densities."""
    if not densities:
        return ''
    # the distances in which any density reaches half a percent of its peak
    shown = np.any([curve >= 0.005 * curve.max() for one in densities for curve in (one.intra, one.inter)], axis=0)
    inside = slice(int(shown.argmax()), NUM_BINS - int(shown[::-1].argmax()))
    return part('densities', charts=[_density_card(one, inside) for one in densities])


def _density_card(density: DistanceDensity, inside: slice) -> Card:
    grid, (same, different) = density.grid[inside], COLORS[2:4]
    lines = [
        Series('same person', grid, density.intra[inside], same, area=True),
        Series('different persons', grid, density.inter[inside], different, style='dashed', area=True),
    ]
    means = ((density.intra_mean, same), (density.inter_mean, different))
    rules = [Rule(f'mean {mean:.3f}', mean, vertical=True, color=color) for mean, color in means]
    description = (
        f'{density.name}: mean cross-modal distance {density.intra_mean:.3f} within and '
        f'{density.inter_mean:.3f} between identities'
    )
    chart = line_chart(lines, x_label='cosine distance RGB–IR', rules=rules, y_ticks=False)
    caption = f'Distance between the means: {density.gap:.3f}.'.replace('-', '−')
    return Card(density.name, chart, description, [*lines, *rules], [caption])
