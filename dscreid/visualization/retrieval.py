"""Retrieval lists before and after adaptation: on a page, as in the paper's Figure 3, and as one picture."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dscreid.errors import DscreidError
from dscreid.evaluation import Direction, FeatureTable, rank_lists
from dscreid.evaluation.protocols import CROSS_MODAL
from dscreid.evaluation.ranking import count_matches
from dscreid.visualization.figures import add_note, show_image, styled
from dscreid.visualization.page import part
from dscreid.visualization.results import ReportRun, direction_name

_SIDES = {'rgb2ir': ('Visible', 'infrared'), 'ir2rgb': ('Infrared', 'visible')}


@dataclass(frozen=True)
class Hit:
    """A retrieved tracklet: its position in the dataset, and the inner product of its feature and the query's."""

    index: int
    pid: int
    camera: int
    correct: bool
    similarity: float


@dataclass(frozen=True)
class RetrievalExample:
    """A query, by its position in the dataset, and (name of the run, hits from rank 1 on) for each run."""

    direction: str
    index: int
    pid: int
    camera: int
    lists: tuple[tuple[str, tuple[Hit, ...]], ...]


class RetrievalGallery(NamedTuple):
    """Queries with their lists, and a map from dataset index to a picture's data URI."""

    examples: Sequence[RetrievalExample]
    picture: Callable[[int], str]


def choose_queries(features: FeatureTable, direction: Direction, count: int, seed: int) -> np.ndarray:
    """Draw persons, then one query of each, independent of their results.

    Unknown persons (negative ids) and queries without a match in their gallery are left out, as in the protocol.
    Returns dataset indices, int64 (at most count,), in ascending order of person id.
    """
    pids, index = features.pid, features.index
    rows = direction.query
    rows = rows[np.argsort(index[rows], kind='stable')]  # the choice must not depend on the order of rows
    valid = rows[count_matches(features.identities(direction._replace(query=rows))) > 0]
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for pid in generator.permutation(np.unique(pids[rows])):
        own = valid[pids[valid] == pid]
        if len(own) and len(chosen) < count:
            chosen.append(own[generator.integers(len(own))])
    chosen.sort(key=lambda row: (pids[row], index[row]))
    return index[np.array(chosen, dtype=np.int64)]


def retrieval_examples(
    runs: Sequence[ReportRun], protocol: str, *, count: int = 4, topk: int = 6, seed: int = 0
) -> list[RetrievalExample]:
    """Retrieve the first ``topk`` ranks for some queries of both cross-modal directions, for every run with features.

    All runs are on one test set, and the filtering of the protocol applies; of several trials, the first is shown.
    ``count`` queries per direction are drawn by ``seed``; see :func:`choose_queries`.
    """
    tables = [(run.name, run.features) for run in runs if run.features is not None]
    found = [features.directions(protocol) for _, features in tables]
    plans = [{name: direction.trials()[0] for name, direction in one.items()} for one in found]
    examples = []
    for position, direction in enumerate(name for name in CROSS_MODAL if plans and name in plans[0]):
        name, first = tables[0]
        queries = choose_queries(first, plans[0][direction], count, 2 * seed + position)
        hits = [
            _hits(name, features, plan[direction], queries, topk)
            for (name, features), plan in zip(tables, plans, strict=True)
        ]
        for row, *lists in zip(_rows_of(name, first, queries), *hits, strict=True):
            index, pid, camera = (int(fact[row]) for fact in (first.index, first.pid, first.camera))
            named = tuple((name, hits) for (name, _), hits in zip(tables, lists, strict=True))
            examples.append(RetrievalExample(direction, index, pid, camera, named))
    return examples


def retrieval_html(gallery: RetrievalGallery | None) -> str:
    """Render the lists as HTML, or '' if there are none: per query, a card with its picture and a row per run."""
    if gallery is None or not gallery.examples:
        return ''
    groups: dict[str, list[RetrievalExample]] = {}
    for example in gallery.examples:
        groups.setdefault(direction_name(example.direction), []).append(example)
    ranks = max(len(hits) for example in gallery.examples for _, hits in example.lists)
    return part('retrieval', groups=groups, ranks=ranks, picture=gallery.picture)


@styled()
def draw_retrieval(example: RetrievalExample, picture: Callable[[int], str], *, note: str = '') -> Figure:
    """Draw a query and a row of answers per run: right ones in a solid green frame, wrong ones in a dashed red one.

    ``picture`` maps a dataset index to the data URI of the tracklet's picture, such as a ``TrackletPictures``.
    """
    images = [[_pixels(picture(hit.index)) for hit in hits] for _, hits in example.lists]
    query = _pixels(picture(example.index))
    ratio = max(image.shape[1] / image.shape[0] for row in [[query], *images] for image in row)
    cell = min(1.75 * ratio, 1.3)
    columns = max(map(len, images))
    height = len(images) * (cell / ratio + 0.5) + 0.2 + (0.3 if note else 0)
    figure = Figure(figsize=((columns + 1.5) * (cell + 0.15) + 1, height))
    asking, answering = _SIDES[example.direction]
    left, right = figure.subfigures(1, 2, width_ratios=(1.5 * cell + 0.5, columns * (cell + 0.15)))
    axes = left.subplots()
    axes.set_title(f'{asking} query', weight='bold')
    show_image(axes, query)
    rows = np.atleast_1d(right.subfigures(len(images), 1))
    for row, (name, hits), pictures in zip(rows, example.lists, images, strict=True):
        row.suptitle(
            f'{name}: {sum(hit.correct for hit in hits)} of {len(hits)} {answering} answers right', fontsize=12
        )
        places = row.subplots(1, columns, squeeze=False)[0]
        for axes, hit, image in zip(places, hits, pictures, strict=False):
            show_image(axes, image)
            _frame(axes, hit.correct)
        for axes in places[len(hits) :]:
            axes.axis('off')
    add_note(figure, note)
    return figure


def _frame(axes: Axes, correct: bool) -> None:
    """Frame an answer, and mark it in its corner for readers who cannot tell green from red."""
    color, line, mark = ('#1a7f37', '-', '✓') if correct else ('#cf222e', (0, (3, 1.6)), '✗')
    axes.spines[:].set(visible=True, edgecolor=color, linewidth=3, linestyle=line)
    place: dict[str, Any] = dict(xycoords='axes fraction', xytext=(-4, -4), textcoords='offset points')
    style: dict[str, Any] = dict(ha='right', va='top', fontsize=11, color='white')
    circle = dict(boxstyle='circle,pad=0.18', facecolor=color, edgecolor='none')
    axes.annotate(mark, (1, 1), bbox=circle, **place, **style)


def _pixels(uri: str) -> np.ndarray:
    """Decode the JPEG image in a data URI: uint8 (H, W, 3) in RGB order."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(',')[2]))))


def _rows_of(name: str, features: FeatureTable, indices: np.ndarray) -> np.ndarray:
    position = {index: row for row, index in enumerate(features.index.tolist())}
    if missing := [index for index in indices.tolist() if index not in position]:
        raise DscreidError(
            f'the features of "{name}" lack tracklet {missing[0]} that other runs have; compare runs on one test set.'
        )
    return np.array([position[index] for index in indices.tolist()], dtype=np.int64)


def _hits(
    name: str, features: FeatureTable, direction: Direction, queries: np.ndarray, topk: int
) -> list[tuple[Hit, ...]]:
    direction = direction._replace(query=_rows_of(name, features, queries))
    query, gallery = direction.query, direction.gallery
    facts = features.identities(direction)
    sides = (features.feature[query], *facts[:2], features.feature[gallery], *facts[2:4])
    lists = []
    for index, correct, similarity in zip(*rank_lists(*sides, topk, *facts[4:]), strict=True):
        kept = index >= 0
        rows = gallery[index[kept]]
        columns = (features.index[rows], features.pid[rows], features.camera[rows], correct[kept], similarity[kept])
        lists.append(tuple(Hit(*hit) for hit in zip(*(column.tolist() for column in columns), strict=True)))
    return lists
