"""Features of a test set in the plane, colored by person and marked by modality."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from dscreid.errors import DscreidError
from dscreid.evaluation import FeatureTable
from dscreid.visualization.figures import MUTED, add_note, styled

UNKNOWN_COLOR = '#b3b8bf'
_PALETTE = (
    '#d62728', '#1f77b4', '#2ca02c', '#ff9f1c', '#8e44ad', '#17becf', '#8c564b', '#e377c2',
    '#202a8c', '#9aa51b', '#00685a', '#ffd92f',
)  # fmt: skip
#: Modality code of a feature file → name, marker, and factor by which its area looks as large as the others.
_MARKERS = {0: ('visible', 'o', 1.0), 1: ('infrared', '^', 1.2)}


@dataclass(frozen=True)
class FeatureMap:
    """Tracklets of one run in the plane."""

    name: str
    position: np.ndarray  #: float64 (N, 2), centered; only relative distances have a meaning
    index: np.ndarray  #: int64 (N,), position of each tracklet in its dataset, ascending
    pid: np.ndarray  #: int64 (N,), person ids, negative if unknown
    modality: np.ndarray  #: int64 (N,), 0 visible, 1 infrared


def embed_in_plane(feature: np.ndarray, *, seed: int = 0, perplexity: float = 30.0) -> np.ndarray:
    """Place features in the plane with t-SNE by cosine distance, starting from their two principal components.

    ``feature`` is float (N, D), N at least 3, D at least 2; the same ``seed`` gives the same layout on one machine.
    ``perplexity``, the number of neighbors to keep, is at most a third of the others. Returns float64 (N, 2), centered.
    """
    count = len(feature)
    if count < 3:
        raise DscreidError(f'a feature map needs at least 3 tracklets, got {count}; add more.')
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    norm = np.linalg.norm(feature, axis=1, keepdims=True).astype(np.float64)
    unit = feature / np.where(norm > 0, norm, 1)
    if np.ptp(unit, axis=0).max() == 0:
        raise DscreidError('all tracklets of a feature map have the same feature; check the run.')
    perplexity = max(min(perplexity, (count - 1) / 3), 1)
    embedding = TSNE(metric='cosine', init='pca', perplexity=perplexity, random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # so that the order of sums does not change
        position = embedding.fit_transform(unit).astype(np.float64)
    return position - position.mean(axis=0)


def choose_tracklets(features: FeatureTable, *, persons: int, tracklets: int, seed: int = 0) -> np.ndarray:
    """Draw rows of a feature table to show, independent of their features and of the order of rows.

    Returns int64 (at most ``tracklets``,), in ascending order of the position in the dataset. Tracklets of unknown
    persons (negative ids) fill the places that remain.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(features.index, kind='stable')
    pid = features.pid[order]
    chosen = generator.permutation(np.unique(pid[pid >= 0]))[:persons]
    known = generator.permutation(np.flatnonzero(np.isin(pid, chosen)))
    unknown = generator.permutation(np.flatnonzero(pid < 0))
    return order[np.sort(np.concatenate([known, unknown])[:tracklets])]


def map_features(
    name: str, features: FeatureTable, *, persons: int = 12, tracklets: int = 600, seed: int = 0
) -> FeatureMap:
    """Place some persons of a run's test set in the plane; see :func:`choose_tracklets` and :func:`embed_in_plane`."""
    rows = choose_tracklets(features, persons=persons, tracklets=tracklets, seed=seed)
    position = embed_in_plane(features.feature[rows], seed=seed)
    return FeatureMap(name, position, features.index[rows], features.pid[rows], features.modality[rows])


def person_colors(pid: np.ndarray) -> dict[int, str]:
    """Map person ids, int (N,) in any order, to colors as ``#rrggbb``; unknown persons are gray."""
    persons = np.unique(pid).tolist()
    known = [person for person in persons if person >= 0]
    many = len(known) > len(_PALETTE)
    colors: Any = colormaps['turbo'](np.linspace(0.03, 0.97, len(known))) if many else _PALETTE
    return dict.fromkeys(persons, UNKNOWN_COLOR) | dict(zip(known, map(to_hex, colors), strict=False))


@styled()
def draw_feature_maps(maps: Sequence[FeatureMap], *, note: str = '') -> Figure:
    """Draw maps side by side, with a color per person and a shape per modality."""
    first = maps[0]
    for other in maps[1:]:
        names = ('index', 'pid', 'modality')
        if not all(np.array_equal(getattr(first, name), getattr(other, name)) for name in names):
            raise DscreidError(
                f'the features of "{other.name}" and "{first.name}" are of different test sets; map runs on one.'
            )
    figure = Figure(figsize=(max(4.5 * len(maps), 5), 4.7 if note else 4.4))
    body = figure.subfigures(1, 1, squeeze=False)[0, 0]  # the note stays below its legend
    colors = person_colors(first.pid)
    for axes, one in zip(body.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
        # turned or mirrored so that tracklets lie in about the same directions as in the first map
        left, _, right = np.linalg.svd(one.position.T @ first.position)
        _draw_panel(axes, one, one.position @ (left @ right), colors)
    _draw_legend(body, colors)
    add_note(figure, note)
    return figure


def _draw_panel(axes: Axes, one: FeatureMap, position: np.ndarray, colors: dict[int, str]) -> None:
    axes.set_title(one.name)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.06)
    axes.set_aspect('equal', adjustable='datalim')
    area = float(np.clip(7000 / len(one.pid), 22, 75))
    for known in (False, True):  # known persons lie above unknown ones
        for code, (_, marker, enlargement) in _MARKERS.items():
            rows = (one.modality == code) & ((one.pid >= 0) == known)
            shades = [colors[pid] for pid in one.pid[rows].tolist()]
            style: dict[str, Any] = dict(s=enlargement * area, marker=marker, edgecolors='white', linewidths=0.6)
            axes.scatter(position[rows, 0], position[rows, 1], c=shades, **style)


def _draw_legend(figure: SubFigure, colors: dict[int, str]) -> None:
    def mark(shape: str, color: str) -> Line2D:
        return Line2D([], [], linestyle='', marker=shape, color=color, markersize=9, markeredgecolor='white')

    entries: dict[str, Any] = {name: mark(shape, MUTED) for name, shape, _ in _MARKERS.values()}
    if known := [color for pid, color in colors.items() if pid >= 0]:
        entries['one color per person'] = tuple(mark('s', color) for color in known[:3])
    if len(known) < len(colors):
        entries['unknown person'] = mark('s', UNKNOWN_COLOR)
    handlers: Any = {tuple: HandlerTuple(ndivide=None, pad=0)}
    place: dict[str, Any] = dict(loc='outside lower center', ncols=len(entries), fontsize=11)
    figure.legend(list(entries.values()), list(entries), handler_map=handlers, **place)
