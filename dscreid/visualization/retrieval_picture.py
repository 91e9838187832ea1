"""One query and its first answers before and after adaptation, as one picture."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dscreid.errors import DscreidError
from dscreid.visualization.figures import save_figure
from dscreid.visualization.retrieval import Hit, RetrievalExample

RIGHT_COLOR, WRONG_COLOR = '#1a7f37', '#cf222e'
_INK, _MUTED = '#1f2328', '#59636e'
_SIDES = {'rgb2ir': ('Visible', 'infrared'), 'ir2rgb': ('Infrared', 'visible')}
#: Greatest height and width of an answer's picture, and margins, in inches.
_HEIGHT, _WIDTH, _GAP, _HEAD, _MARGIN = 1.75, 1.3, 0.16, 0.42, 0.15


@dataclass(frozen=True)
class InstructiveQuery:
    """A query whose answers got better, and how many of the candidates did.

    Attributes:
        example: The query with the answers of two runs.
        better: Number of queries with more right answers in the second run.
        worse: Number of queries with fewer.
        total: Number of queries looked at.
    """

    example: RetrievalExample
    better: int
    worse: int
    total: int


def instructive_query(examples: Sequence[RetrievalExample], seed: int = 0) -> InstructiveQuery:
    """Draw one of the queries for which the second run answers better: more right answers, the first of them right.

    Such a picture shows what adaptation changes, not how often; the counts say that.

    Args:
        examples: Queries of one direction with the answers of two runs.
        seed: Non-negative seed of the draw.

    Raises:
        DscreidError: If there is no such query.
    """
    gains = [_right(example.lists[1][1]) - _right(example.lists[0][1]) for example in examples]
    candidates = [
        example
        for example, gain in zip(examples, gains, strict=True)
        if gain > 0 and example.lists[1][1][0].correct
    ]
    if not candidates:
        raise DscreidError(
            f'none of the {len(examples)} queries has more right answers in the second run than in the first, and a '
            'right one at rank 1; name the run before adaptation first, or show more ranks.'
        )
    chosen = candidates[np.random.default_rng(seed).integers(len(candidates))]
    better, worse = (sum(sign * gain > 0 for gain in gains) for sign in (1, -1))
    return InstructiveQuery(chosen, better, worse, len(examples))


def draw_retrieval(
    example: RetrievalExample, picture: Callable[[int], str], path: str | Path, *, note: str = ''
) -> None:
    """Draw a query and a row of answers per run: right ones in a solid green frame, wrong ones in a dashed red one.

    Args:
        example: The query with at least one answer per run.
        picture: Dataset index → data URI of the tracklet's picture, such as a ``TrackletPictures``.
        path: PNG or SVG file to write, replaced if it exists.
        note: A line below the picture; none if empty.

    Raises:
        DatasetError: If a frame cannot be read; nothing is written then.
        ConfigError: If the file is to have another format.
        OSError: If the file cannot be written; the error names it.
    """
    from matplotlib.figure import Figure

    images = [[_pixels(picture(hit.index)) for hit in hits] for _, hits in example.lists]
    query = _pixels(picture(example.index))
    ratio = max(_ratio(image) for row in [[query], *images] for image in row)
    cell_height = min(_HEIGHT, _WIDTH / ratio)
    cell, columns, rows = ratio * cell_height, max(map(len, images)), len(images)
    query_height = 1.35 * cell_height
    first = 2.4 * _MARGIN + max(ratio * query_height, _WIDTH)
    width = first + columns * (cell + _GAP) - _GAP + _MARGIN
    foot = 0.42 if note else _MARGIN
    height = foot + rows * (cell_height + _HEAD + _GAP) - _GAP
    figure = Figure(figsize=(width, height), facecolor='white')
    page = _Page(figure, width, height)
    asking, answering = _SIDES[example.direction]
    bottom = (foot + height - _HEAD - query_height) / 2
    page.image(query, _MARGIN, bottom, ratio * query_height, query_height)
    page.text(_MARGIN, bottom + query_height + 0.1, f'{asking} query', size=12, weight='bold')
    bottom = height + _GAP
    for (name, hits), row in zip(example.lists, images, strict=True):
        bottom -= _GAP + _HEAD + cell_height
        heading = f'{name}: {_right(hits)} of {len(hits)} {answering} answers right'
        page.text(first, bottom + cell_height + 0.1, heading, size=12)
        for rank, (hit, image) in enumerate(zip(hits, row, strict=True)):
            axes = page.image(image, first + rank * (cell + _GAP), bottom, cell, cell_height)
            _frame(axes, hit.correct)
    if note:
        page.text(width / 2, 0.14, note, size=10, color=_MUTED, ha='center')
    save_figure(figure, path)


class _Page:
    """Places images and texts on a figure by inches from its lower left corner."""

    def __init__(self, figure: Any, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def image(self, image: np.ndarray, left: float, bottom: float, width: float, height: float) -> Any:
        """Draw an image, centered in the given box; its axes."""
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.imshow(image, interpolation='bicubic')
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def text(
        self, left: float, bottom: float, text: str, *, size: float, color: str = _INK, **style: Any
    ) -> None:
        """Write a line of text."""
        self.figure.text(
            left / self.width, bottom / self.height, text, fontsize=size, color=color, va='bottom', **style
        )


def _frame(axes: Any, correct: bool) -> None:
    """Frame an answer, and mark it in its corner for readers who cannot tell green from red."""
    color, line, mark = (RIGHT_COLOR, '-', '✓') if correct else (WRONG_COLOR, (0, (3, 1.6)), '✗')
    for spine in axes.spines.values():
        spine.set(visible=True, edgecolor=color, linewidth=3, linestyle=line)
    axes.annotate(
        mark,
        (1, 1),
        xycoords='axes fraction',
        xytext=(-4, -4),
        textcoords='offset points',
        ha='right',
        va='top',
        fontsize=11,
        color='white',
        bbox=dict(boxstyle='circle,pad=0.18', facecolor=color, edgecolor='none'),
    )


def _right(hits: Sequence[Hit]) -> int:
    """Number of right answers."""
    return sum(hit.correct for hit in hits)


def _ratio(image: np.ndarray) -> float:
    """Width of an image divided by its height."""
    return image.shape[1] / image.shape[0]


def _pixels(uri: str) -> np.ndarray:
    """The image in a data URI, uint8 (H, W, 3) in RGB order."""
    data = np.frombuffer(base64.b64decode(uri.partition(',')[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
