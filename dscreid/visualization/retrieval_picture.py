"""One query and its first answers before and after adaptation, as one picture."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dscreid.errors import DscreidError
from dscreid.visualization.figures import RIGHT_COLOR, WRONG_COLOR, add_note, show_image, styled
from dscreid.visualization.retrieval import Hit, RetrievalExample

_SIDES = {'rgb2ir': ('Visible', 'infrared'), 'ir2rgb': ('Infrared', 'visible')}


@dataclass(frozen=True)
class InstructiveQuery:
    """A query, and how many of all queries have more (``better``) or fewer right answers in the second run."""

    example: RetrievalExample
    better: int
    worse: int
    total: int


def instructive_query(examples: Sequence[RetrievalExample], seed: int = 0) -> InstructiveQuery:
    """Draw one of the queries with more right answers, the first of them right, in the second run than in the first."""
    gains = [_right(example.lists[1][1]) - _right(example.lists[0][1]) for example in examples]
    pairs = zip(examples, gains, strict=True)
    candidates = [example for example, gain in pairs if gain > 0 and example.lists[1][1][0].correct]
    if not candidates:
        raise DscreidError(
            f'the second run answers none of the {len(examples)} queries better, with a right answer at rank 1; name '
            'the run before adaptation first, or show more ranks.'
        )
    chosen = candidates[np.random.default_rng(seed).integers(len(candidates))]
    better, worse = (sum(sign * gain > 0 for gain in gains) for sign in (1, -1))
    return InstructiveQuery(chosen, better, worse, len(examples))


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
        row.suptitle(f'{name}: {_right(hits)} of {len(hits)} {answering} answers right', fontsize=12)
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
    color, line, mark = (RIGHT_COLOR, '-', '✓') if correct else (WRONG_COLOR, (0, (3, 1.6)), '✗')
    axes.spines[:].set(visible=True, edgecolor=color, linewidth=3, linestyle=line)
    place: dict[str, Any] = dict(xycoords='axes fraction', xytext=(-4, -4), textcoords='offset points')
    style: dict[str, Any] = dict(ha='right', va='top', fontsize=11, color='white')
    circle = dict(boxstyle='circle,pad=0.18', facecolor=color, edgecolor='none')
    axes.annotate(mark, (1, 1), bbox=circle, **place, **style)


def _right(hits: Sequence[Hit]) -> int:
    return sum(hit.correct for hit in hits)


def _pixels(uri: str) -> np.ndarray:
    """Decode the JPEG image in a data URI: uint8 (H, W, 3) in RGB order."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(',')[2]))))
