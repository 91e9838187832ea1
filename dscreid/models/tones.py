"""Infrared tones of visible colors, learned from pairs of clusters without labels (ours, not in the DSC paper).

If an infrared sensor shows colors by a rule that all people share, this rule has few parameters. So it can be learned
from pairs of a visible and an infrared cluster of which many are wrong, and then shows visible tracklets as that sensor
would. The idea of a learned view between the modalities is that of the X modality (Li et al., "Infrared-Visible
Cross-Modal Person Re-Identification with an X Modality", AAAI 2020), which is trained with true labels.
"""

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dscreid.errors import ConfigError
from dscreid.models.color_jitter import LUMINANCE_WEIGHTS

_TABLE_SIZE = 33  # nodes of a lookup table per channel, as usual in color grading
_REWEIGHTINGS = 10
_GRAY_LEVEL = 1 / 255  # smaller errors are no reason to distrust a pair


@dataclass(frozen=True)
class ToneSettings:
    """Settings of the rule from colors to tones. The defaults were chosen on one synthetic world."""

    colors: int = 48  #: number of reference colors, at least 2
    grid: tuple[int, int] = (16, 4)  #: rows and columns of the cells whose mean colors and tones are compared
    shrinkage: float = 0.3  #: weight of the penalty on large differences between the tones of colors, positive

    def __post_init__(self) -> None:
        if len(self.grid) != 2 or min(self.colors - 1, *self.grid) < 1:
            raise ConfigError(f'tones: grid must be two positive numbers and colors at least 2, got {self}')
        if not (self.shrinkage > 0 and isfinite(self.shrinkage)):
            raise ConfigError(f'tones: shrinkage must be positive, got {self.shrinkage}')


@dataclass(frozen=True)
class Palette:
    """Reference colors; every color is described by how near it is to each of them."""

    colors: Tensor  #: float32 (M, 3), RGB in [0, 1]
    width: float  #: distance at which a color still resembles a reference color, positive

    def shares(self, pixels: Tensor) -> Tensor:
        """Describe RGB pixels, float (..., 3) in [0, 1], by shares of the colors, positive, summing to 1: (..., M)."""
        colors = self.colors.to(pixels)
        distances = pixels.square().sum(-1, keepdim=True) - 2 * pixels @ colors.T + colors.square().sum(-1)
        return torch.softmax(-distances / self.width**2, dim=-1)


def choose_palette(pixels: np.ndarray, size: int = 48) -> Palette:
    """Choose reference colors by k-means, and their width as the median distance to the nearest other color.

    Args:
        pixels: Float (N, 3), RGB in [0, 1], N at least 1.
        size: Number of colors. If there are fewer different pixels, as many as these.
    """
    from sklearn.cluster import MiniBatchKMeans

    size = min(size, len(np.unique(pixels, axis=0)))
    clustering = MiniBatchKMeans(size, n_init=3, random_state=0, batch_size=4096).fit(pixels)
    colors = torch.from_numpy(clustering.cluster_centers_).float()
    distances = torch.cdist(colors, colors).fill_diagonal_(torch.inf)
    width = float(distances.min(dim=1).values.median()) if size > 1 else 1.0
    return Palette(colors, max(width, 1e-3))


def color_cells(frames: Tensor, palette: Palette, grid: tuple[int, int]) -> Tensor:
    """Mean shares of the colors in each cell of tracklets, over the pixels of all frames: float32 (N, cells, M).

    ``frames`` are float (N, T, 3, H, W) in [0, 1]. Cells are those of a grid with (rows, columns), row by row.
    """
    small = _reduced(frames, grid)
    cells = [_cell_means(palette.shares(one.movedim(1, -1)).mean(0).movedim(-1, 0), grid).T for one in small]
    return torch.stack(cells) if cells else frames.new_zeros(0, grid[0] * grid[1], len(palette.colors))


def tone_cells(frames: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean tones of each cell of tracklets, over the pixels of all frames and channels: float32 (N, cells)."""
    return _cell_means(frames.mean(dim=(1, 2)), grid)


class ToneRule(NamedTuple):
    """Tones of the reference colors, and how far each pair of clusters is trusted."""

    tones: Tensor  #: float64 (M,), in about [0, 1]
    #: float64 (P,) in (0, 1], weight of each pair: usually 0.5 for the median, near 0 if it contradicts the others
    trust: Tensor


def fit_tones(colors: Tensor, tones: Tensor, shrinkage: float = 0.3) -> ToneRule:
    """Find the tones of colors with which paired clusters agree best, by a robust ridge regression.

    The mean tone of a cell is modeled as the sum of the tones of its colors, weighted by their shares. Tones are drawn
    to the mean tone by ``shrinkage``. Pairs are weighted by 1 / (1 + (r / median r)^2), where r is the mean squared
    residual of a pair (iteratively reweighted least squares with Cauchy-like weights), so that up to about half of them
    may be wrong. The median counts as one gray level of 255 if it is smaller.

    Args:
        colors: Float (P, C, M), mean shares of M colors in C cells of the visible clusters of P pairs, P at least 1.
        tones: Float (P, C), mean tones in the cells of the infrared clusters of the same pairs.
        shrinkage: Positive weight of the penalty.
    """
    if colors.ndim != 3 or colors.shape[:2] != tones.shape or not len(colors):
        raise ValueError(
            f'colors and tones of at least one pair must be (P, C, M) and (P, C), got {tuple(colors.shape)} and '
            f'{tuple(tones.shape)}'
        )
    colors, tones = colors.double(), tones.double()
    rows, targets = colors.flatten(0, 1), tones.flatten()
    trust = torch.ones(len(tones), dtype=torch.float64, device=tones.device)
    penalty = shrinkage * torch.eye(rows.shape[1], dtype=torch.float64, device=tones.device)
    for _ in range(_REWEIGHTINGS):
        weights = trust.repeat_interleave(tones.shape[1])
        mean = (weights * targets).sum() / weights.sum()
        weighted = rows * weights[:, None]
        found = torch.linalg.solve(weighted.T @ rows + penalty * weights.mean(), weighted.T @ (targets - mean))
        errors = tones - mean - colors @ found
        residuals = errors.square().mean(dim=1)
        scale = residuals.median().clamp(min=_GRAY_LEVEL**2)
        trust = 1 / (1 + (residuals / scale) ** 2)
    return ToneRule(found + mean, trust)


def explained_share(tones: Tensor, labels: np.ndarray, predicted: Tensor, pairs: np.ndarray, trust: Tensor) -> float:
    """Share of the differences between infrared tracklets, cell by cell, that a rule explains: at most 1, 0 for none.

    It is the coefficient of determination, in which each pair of clusters counts by its trust, whatever its size. It is
    about single tracklets, so it does not depend on how many tracklets of a person there are to average over.

    Args:
        tones: Float (Nt, C), mean tones in the cells of infrared tracklets.
        labels: int64 (Nt,).
        predicted: Float (P, C), the tones that the rule gives to the colors of the visible clusters.
        pairs: int64 (P,), labels of the pairs in ascending order, each of them in ``labels``.
        trust: Float (P,), positive.
    """
    members = np.flatnonzero(np.isin(labels, pairs))
    of_pair = torch.from_numpy(np.searchsorted(pairs, labels[members])).to(tones.device)
    weights = (trust / torch.bincount(of_pair, minlength=len(pairs)))[of_pair]
    found = tones[torch.from_numpy(members).to(tones.device)].double()
    left, total = (_variance(values, weights) for values in (found - predicted[of_pair], found))
    return 1 - left / total if total > 0 else 0.0


def paired_cells(
    visible: Tensor, infrared: Tensor, rgb_labels: np.ndarray, ir_labels: np.ndarray
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Average the cells of the clusters that have members of both modalities.

    Args:
        visible: Float (Nv, ...), one row per visible tracklet.
        infrared: Float (Nt, ...), one row per infrared tracklet.
        rgb_labels: int64 (Nv,), labels of both modalities in one numbering, -1 = none.
        ir_labels: int64 (Nt,).

    Returns float64 (P, ...) of both modalities, and the labels of the P pairs in ascending order, int64 (P,).
    """
    shared = np.intersect1d(rgb_labels, ir_labels)
    shared = shared[shared >= 0]
    return _means_of(visible, rgb_labels, shared), _means_of(infrared, ir_labels, shared), shared


def tone_table(palette: Palette, tones: Tensor) -> Tensor:
    """Tabulate the tones, (M,), of all colors as a three-dimensional lookup table, float32 (S, S, S) in [0, 1].

    Axes are blue, green and red, as :func:`translated` needs them.
    """
    return (palette.shares(_table_colors().double()) @ tones.double().cpu()).clamp(0, 1).float()


def luminance_table() -> Tensor:
    """Tabulate the luminance of all colors, in the form of :func:`tone_table`."""
    return _table_colors() @ torch.tensor(LUMINANCE_WEIGHTS)


def _table_colors() -> Tensor:
    steps = torch.linspace(0, 1, _TABLE_SIZE)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing='ij')
    return torch.stack((red, green, blue), dim=-1)


def translated(frames: Tensor, table: Tensor) -> Tensor:
    """Show RGB frames, float (N, T, 3, H, W) in [0, 1], in the tones of a table, with linear interpolation.

    Returns frames of the same shape with three equal channels.
    """
    num, length, _, height, width = frames.shape
    places = 2 * frames.movedim(2, -1).reshape(1, num * length, height, width, 3) - 1
    tones = F.grid_sample(table.to(frames)[None, None], places, align_corners=True, padding_mode='border')
    return tones.view(num, length, 1, height, width).expand_as(frames)


def _reduced(frames: Tensor, grid: tuple[int, int]) -> Tensor:
    """Reduce large frames to four pixels per cell and side, which is enough for means and saves memory."""
    height, width = frames.shape[-2:]
    size = min(height, 4 * grid[0]), min(width, 8 * grid[1])
    return F.adaptive_avg_pool2d(frames.flatten(0, 1), size).unflatten(0, frames.shape[:2])


def _cell_means(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps, float (N, H, W), over the cells of a grid: (N, rows * columns)."""
    return F.adaptive_avg_pool2d(maps, grid).flatten(1)


def _variance(values: Tensor, weights: Tensor) -> float:
    """Mean over the columns of the weighted variance of (P, C) values."""
    shares = (weights / weights.sum())[:, None]
    return float((shares * (values - (shares * values).sum(0)).square()).sum(0).mean())


def _means_of(rows: Tensor, labels: np.ndarray, wanted: np.ndarray) -> Tensor:
    """Mean of the rows with each wanted label, float64 (P, ...)."""
    numbers = np.searchsorted(wanted, labels)
    is_wanted = np.isin(labels, wanted)
    at = torch.from_numpy(np.flatnonzero(is_wanted)).to(rows.device)
    groups = torch.from_numpy(numbers[is_wanted]).to(rows.device)
    sums = rows.new_zeros((len(wanted), *rows.shape[1:]), dtype=torch.float64).index_add_(0, groups, rows[at].double())
    counts = torch.bincount(groups, minlength=len(wanted)).double()
    return sums / counts.view(-1, *[1] * (rows.ndim - 1))
