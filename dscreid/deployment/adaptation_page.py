"""The page ``adaptation.html``: label-free measures, and nearest neighbors in pictures, before and after."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscreid.deployment.verdict import RULE, Change, Comparison
from dscreid.evaluation import FeatureTable
from dscreid.neighbors.knn import knn
from dscreid.structures import Modality
from dscreid.visualization.page import TableRow, page_html, paragraphs_html, part, write_text_atomically

_HEADINGS = {
    Modality.RGB: 'Visible tracklets and their infrared neighbors',
    Modality.IR: 'Infrared tracklets and their visible neighbors',
}
_MODALITIES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}


@dataclass(frozen=True)
class Neighbor:
    """A tracklet by its position in the dataset, the name of its camera, and its cosine similarity."""

    index: int
    camera: str
    similarity: float


@dataclass(frozen=True)
class NeighborExample:
    """A tracklet, and (name of the features, its nearest tracklets of the other modality) for each table."""

    index: int
    camera: str
    lists: tuple[tuple[str, tuple[Neighbor, ...]], ...]


def neighbor_examples(
    tables: Mapping[str, FeatureTable], cameras: Sequence[str], *, count: int = 4, topk: int = 5, seed: int = 0
) -> dict[Modality, list[NeighborExample]]:
    """Draw tracklets of each modality, and find their nearest ones of the other modality in each table.

    Args:
        tables: Features of the same tracklets in the same order, by name.
        cameras: Names of the cameras by number.
        count: Number of tracklets of each modality.
        topk: Number of neighbors.
        seed: Seed of the draw, which does not depend on the features.
    """
    first = next(iter(tables.values()))
    names = np.array(first.modalities)
    rng, examples = np.random.default_rng(seed), {}
    for modality in Modality:
        own, others = (np.flatnonzero(names == one.value) for one in (modality, modality.other))
        rows = np.sort(rng.choice(own, min(count, len(own)), replace=False))
        found = {}
        for name, table in tables.items():
            similarity, places = knn(table.feature[rows], table.feature[others], min(topk, len(others)))
            found[name] = similarity.numpy(), others[places.numpy()]
        examples[modality] = [
            NeighborExample(
                int(first.index[row]),
                cameras[first.camera[row]],
                tuple((name, _neighbors(first, cameras, *(one[k] for one in pair))) for name, pair in found.items()),
            )
            for k, row in enumerate(rows)
        ]
    return examples


def _neighbors(
    table: FeatureTable, cameras: Sequence[str], similarity: np.ndarray, rows: np.ndarray
) -> tuple[Neighbor, ...]:
    pairs = zip(rows.tolist(), similarity.tolist(), strict=True)
    return tuple(Neighbor(int(table.index[row]), cameras[table.camera[row]], value) for row, value in pairs)


def value_text(value: float) -> str:
    """Format a measure in [-1, 1]."""
    return 'undefined' if math.isnan(value) else f'{value:.3f}'.replace('-', '−')


def interval_text(change: Change) -> str:
    """Format the interval of a change."""
    if change.direction == 'undefined':
        return 'undefined'
    return f'{change.low:+.3f} to {change.high:+.3f}'.replace('-', '−')


def comparison_text(comparison: Comparison) -> str:
    """Format a comparison for a terminal: a line for each measure, and the verdict with its caveat."""
    lines = [f'{"":28}{"before":>10}{"after":>10}  {"95% interval of the change":28}']
    for change in comparison.changes:
        cells = f'{value_text(change.before):>10}{value_text(change.after):>10}'
        lines.append(f'{change.name:28}{cells}  {interval_text(change):28}{change.direction}')
    for modality, (before, after) in comparison.clusters.items():
        lines.append(f'{"clusters, " + _MODALITIES[modality]:28}{before:>10}{after:>10}')
    return '\n'.join([*lines, f'without labels: the adaptation {_sentence(comparison)} {comparison.caveat}'])


def adaptation_html(
    name: str,
    comparison: Comparison,
    examples: Mapping[Modality, Sequence[NeighborExample]],
    picture: Callable[[int], str],
    notes: Sequence[str] = (),
) -> str:
    """Render the page.

    Args:
        name: Name of the folder that was adapted to.
        comparison: The measures.
        examples: See :func:`neighbor_examples`.
        picture: Map from dataset index to the data URI of a picture, such as ``TrackletPictures``.
        notes: Paragraphs for the introduction.
    """
    rows = [
        TableRow(
            f'{change.name} ({"higher" if change.higher_is_better else "lower"} is better)',
            [value_text(change.before), value_text(change.after), interval_text(change), change.direction],
        )
        for change in comparison.changes
    ]
    for modality, counts in comparison.clusters.items():
        rows.append(TableRow(f'clusters, {_MODALITIES[modality]}', [*map(str, counts), '', '']))
    columns = ('before', 'after', '95% interval of the change', 'change')
    table = part('table', label='Measures without labels', corner='measure', columns=columns, rows=rows, texts=True)
    groups = {_HEADINGS[modality]: found for modality, found in examples.items() if found}
    introduction = [f'Judged without labels, the adaptation {_sentence(comparison)} {comparison.caveat}', *notes]
    explanation = [
        RULE,
        'Cycle consistency: the share of clustered tracklets whose nearest tracklet of the other modality leads back '
        'to their own cluster; the mean over the clusters before and those after, and over both modalities. '
        'Silhouette: how clearly the clusters of a modality are separated; tracklets without a cluster count as 0. '
        'Different people near: of the pairs of tracklets that one sensor saw at the same time, the share that is '
        'nearer than the median tracklet is to its nearest one of the other modality; it needs times.',
        'The intervals are from a bootstrap over the clusters before, with the same ones before and after.',
    ]
    if not comparison.held_out:
        explanation.append(
            'Silhouette and cycle consistency are computed from tracklets that the training has used, and from '
            'clusters like those that it has used, so they can make the adaptation look better than it is.'
        )
    sections = [
        ('Measures', table + paragraphs_html(explanation)),
        ('Nearest neighbors', part('neighbors', groups=groups, picture=picture)),
    ]
    return page_html(f'Adaptation to {name}', paragraphs_html(introduction), sections)


def write_page(path: Path, html: str) -> None:
    """Write the page atomically."""
    write_text_atomically(path, html)


def _sentence(comparison: Comparison) -> str:
    verdict = comparison.verdict
    return 'made no clear change.' if verdict == 'no clear change' else f'{verdict}.'
