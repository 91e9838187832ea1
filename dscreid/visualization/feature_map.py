"""Features of a test set in the plane, colored by person and marked by modality."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.errors import DscreidError
from dscreid.evaluation import FeatureTable
from dscreid.visualization.figures import save_figure

#: Fewest tracklets that t-SNE can arrange.
MIN_TRACKLETS = 3
PERPLEXITY = 30.0
UNKNOWN_COLOR = '#b3b8bf'
_INK, _MUTED, _EDGE = '#1f2328', '#59636e', '#d1d9e0'
_PALETTE = (
    '#d62728', '#1f77b4', '#2ca02c', '#ff9f1c', '#8e44ad', '#17becf', '#8c564b', '#e377c2',
    '#202a8c', '#9aa51b', '#00685a', '#ffd92f',
)  # fmt: skip
#: Modality code of a feature file → name, marker, and factor by which its area looks as large as the others.
_MARKERS = {0: ('visible', 'o', 1.0), 1: ('infrared', '^', 1.2)}
#: Size of a map, and the space around it, in inches.
_WIDTH, _HEIGHT, _GAP, _HEAD, _FOOT, _NOTE = 4.5, 3.5, 0.12, 0.42, 0.48, 0.28


@dataclass(frozen=True)
class FeatureMap:
    """Tracklets of one run in the plane.

    Attributes:
        name: What the picture calls the run.
        position: float64 (N, 2), centered; only relative distances mean something.
        index: int64 (N,), position of each tracklet in its dataset, ascending.
        pid: int64 (N,), person ids, negative if unknown.
        modality: int64 (N,), 0 visible, 1 infrared.
    """

    name: str
    position: np.ndarray
    index: np.ndarray
    pid: np.ndarray
    modality: np.ndarray


def embed_in_plane(feature: np.ndarray, *, seed: int = 0, perplexity: float = PERPLEXITY) -> np.ndarray:
    """Place features in the plane with t-SNE, so that neighbors by cosine distance stay neighbors.

    The layout begins with the two principal components. One thread computes it, so that sums are added in the same
    order each time.

    Args:
        feature: float (N, D), N at least 3, D at least 2.
        seed: Non-negative seed; the same seed gives the same layout on one machine.
        perplexity: Number of neighbors that each tracklet should keep; at most a third of the others are used.

    Returns:
        float64 (N, 2), centered at zero.

    Raises:
        DscreidError: If there are fewer than 3 features or all of them point in one direction.
    """
    count = len(feature)
    if count < MIN_TRACKLETS:
        raise DscreidError(f'a feature map needs at least {MIN_TRACKLETS} tracklets, got {count}; add more.')
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    norm = np.linalg.norm(feature, axis=1, keepdims=True).astype(np.float64)
    unit = feature / np.where(norm > 0, norm, 1)
    if np.ptp(unit, axis=0).max() == 0:
        raise DscreidError(
            'a feature map needs different features, but all tracklets have the same one; check the run.'
        )
    embedding = TSNE(
        metric='cosine',
        init='pca',
        perplexity=max(min(perplexity, (count - 1) / 3), 1),
        random_state=seed,
        n_jobs=1,
    )
    with threadpool_limits(1):
        position = embedding.fit_transform(unit).astype(np.float64)
    return position - position.mean(axis=0)


def choose_tracklets(features: FeatureTable, *, persons: int, tracklets: int, seed: int = 0) -> np.ndarray:
    """Rows of a feature table to show, drawn with a local generator and never by their features.

    Unknown persons (negative ids) do not count as persons; their tracklets take the places that the chosen persons
    leave. Tables of one test set give the same tracklets, whatever the order of their rows.

    Args:
        features: Rows of a test set.
        persons: Greatest number of persons.
        tracklets: Greatest number of tracklets.
        seed: Non-negative seed.

    Returns:
        int64 (at most ``tracklets``,), rows in ascending order of their position in the dataset.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(features.index, kind='stable')
    pid = features.pid[order]
    chosen = generator.permutation(np.unique(pid[pid >= 0]))[:persons]
    known = generator.permutation(np.flatnonzero(np.isin(pid, chosen)))
    unknown = generator.permutation(np.flatnonzero(pid < 0))
    return order[np.sort(np.concatenate([known, unknown])[:tracklets])].astype(np.int64)


def map_features(
    name: str,
    features: FeatureTable,
    *,
    persons: int = 12,
    tracklets: int = 600,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
) -> FeatureMap:
    """Some persons of a run's test set in the plane.

    Args:
        name: What the picture calls the run.
        features: Features of the test set.
        persons: Greatest number of persons, chosen by the seed.
        tracklets: Greatest number of tracklets, chosen by the seed.
        seed: Non-negative seed of the choice and of the layout.
        perplexity: See :func:`embed_in_plane`.

    Raises:
        DscreidError: If fewer than 3 tracklets are left, or their features are all the same; the error names the run.
    """
    rows = choose_tracklets(features, persons=persons, tracklets=tracklets, seed=seed)
    try:
        position = embed_in_plane(features.feature[rows], seed=seed, perplexity=perplexity)
    except DscreidError as error:
        raise DscreidError(f'"{name}": {error}') from error
    return FeatureMap(name, position, features.index[rows], features.pid[rows], features.modality[rows])


def person_colors(pid: np.ndarray) -> dict[int, str]:
    """Person id → color as ``#rrggbb``; unknown persons are gray.

    Args:
        pid: int (N,), person ids in any order.
    """
    known = np.unique(pid[pid >= 0]).tolist()
    if len(known) > len(_PALETTE):
        import matplotlib

        colors = matplotlib.colormaps['turbo'](np.linspace(0.03, 0.97, len(known)))
        palette = [matplotlib.colors.to_hex(color) for color in colors]
    else:
        palette = list(_PALETTE)
    unknown = dict.fromkeys(np.unique(pid[pid < 0]).tolist(), UNKNOWN_COLOR)
    return unknown | dict(zip(known, palette, strict=False))


def draw_feature_maps(maps: Sequence[FeatureMap], path: str | Path, *, note: str = '') -> None:
    """Draw maps of one test set side by side: a color per person, a circle or a triangle per tracklet.

    Args:
        maps: At least one, with the same tracklets; see :func:`map_features`.
        path: PNG or SVG file to write, replaced if it exists.
        note: A line below the legend; none if empty.

    Raises:
        DscreidError: If two maps are of different tracklets.
        ConfigError: If the file is to have another format.
        OSError: If the file cannot be written; the error names it.
    """
    _check_same_tracklets(maps)
    from matplotlib.figure import Figure

    foot = _FOOT + (_NOTE if note else 0)
    width, height = _WIDTH * len(maps), _HEIGHT + _HEAD + foot
    figure = Figure(figsize=(width, height), facecolor='white')
    colors = person_colors(maps[0].pid)
    for number, one in enumerate(maps):
        box = (number * _WIDTH + _GAP, foot, _WIDTH - 2 * _GAP, _HEIGHT)
        axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
        _draw_panel(axes, one, _turned(one.position, maps[0].position), colors, box[2] / box[3])
    _draw_legend(figure, maps[0], colors, (foot - 0.1) / height)
    if note:
        figure.text(0.5, 0.14 / height, note, ha='center', va='bottom', fontsize=10, color=_MUTED)
    save_figure(figure, path)


def _check_same_tracklets(maps: Sequence[FeatureMap]) -> None:
    """Check that colors mean the same persons in all maps."""
    first = maps[0]
    for other in maps[1:]:
        if not all(
            np.array_equal(getattr(first, name), getattr(other, name))
            for name in ('index', 'pid', 'modality')
        ):
            raise DscreidError(
                f'the features of "{other.name}" and "{first.name}" are of different test sets; '
                'map runs on one test set.'
            )


def _turned(position: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Turn or mirror a map so that its tracklets lie in about the same directions as in another map."""
    left, _, right = np.linalg.svd(position.T @ reference)
    return position @ (left @ right)


def _draw_panel(
    axes: Any, one: FeatureMap, position: np.ndarray, colors: dict[int, str], proportion: float
) -> None:
    """Draw one map in its frame, which is ``proportion`` times as wide as high."""
    axes.set_title(one.name, fontsize=13, color=_INK, pad=9)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(_EDGE)
    for known in (False, True):  # known persons lie above unknown ones
        for code, (_, marker, enlargement) in _MARKERS.items():
            rows = (one.modality == code) & ((one.pid >= 0) == known)
            axes.scatter(
                *position[rows].T,
                s=enlargement * _marker_area(len(one.pid)),
                marker=marker,
                c=[colors[pid] for pid in one.pid[rows].tolist()],
                edgecolors='white',
                linewidths=0.6,
            )
    low, high = position.min(axis=0), position.max(axis=0)
    half_height = 0.55 * max(high[1] - low[1], (high[0] - low[0]) / proportion)
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - proportion * half_height, middle[0] + proportion * half_height)
    axes.set_ylim(middle[1] - half_height, middle[1] + half_height)


def _marker_area(count: int) -> float:
    """Area of a marker in square points: smaller the more tracklets there are."""
    return float(np.clip(7000 / count, 22, 75))


def _draw_legend(figure: Any, one: FeatureMap, colors: dict[int, str], top: float) -> None:
    """Draw what marks and colors mean, in one row below the maps."""
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    def mark(shape: str, color: str) -> Any:
        return Line2D(
            [], [], linestyle='none', marker=shape, color=color, markersize=9, markeredgecolor='white'
        )

    entries: dict[str, Any] = {name: mark(shape, _MUTED) for name, shape, _ in _MARKERS.values()}
    known = [color for pid, color in colors.items() if pid >= 0]
    if known:
        entries['one color per person'] = tuple(mark('s', color) for color in known[:3])
    if (one.pid < 0).any():
        entries['unknown person'] = mark('s', UNKNOWN_COLOR)
    figure.legend(
        handles=list(entries.values()),
        labels=list(entries),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        loc='upper center',
        bbox_to_anchor=(0.5, top),
        ncols=len(entries),
        frameon=False,
        fontsize=11,
        labelcolor=_INK,
        handletextpad=0.5,
        columnspacing=1.6,
        borderaxespad=0,
    )
