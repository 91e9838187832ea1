"""Retrieval lists before and after adaptation, as in the paper's Figure 3."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dscreid.errors import DscreidError
from dscreid.evaluation import Direction, FeatureTable, protocol_directions, rank_lists
from dscreid.visualization.page import part
from dscreid.visualization.results import CROSS_MODAL, ReportRun, direction_name


@dataclass(frozen=True)
class Hit:
    """One retrieved tracklet.

    Attributes:
        index: Position in the dataset.
        pid: Its person.
        camera: Its camera.
        correct: Whether it shows the query's person.
        similarity: Inner product of the two features.
    """

    index: int
    pid: int
    camera: int
    correct: bool
    similarity: float


@dataclass(frozen=True)
class RetrievalExample:
    """One query and what each run retrieves for it.

    Attributes:
        direction: ``'rgb2ir'`` or ``'ir2rgb'``.
        index: The query's position in the dataset.
        pid: The query's person.
        camera: The query's camera.
        lists: (name of the run, hits from rank 1 on), one per run.
    """

    direction: str
    index: int
    pid: int
    camera: int
    lists: tuple[tuple[str, tuple[Hit, ...]], ...]


@dataclass(frozen=True)
class RetrievalGallery:
    """What the report's section on retrieval shows.

    Attributes:
        examples: Queries with their lists.
        picture: Dataset index → data URI of the tracklet's picture, such as a ``TrackletPictures``.
        selection: How the queries were chosen, a sentence for the caption.
    """

    examples: Sequence[RetrievalExample]
    picture: Callable[[int], str]
    selection: str = (
        'The queries were drawn at random with a fixed seed, each of another person, whatever the results.'
    )


def choose_queries(features: FeatureTable, direction: Direction, count: int, seed: int) -> np.ndarray:
    """Dataset indices of queries to show, drawn with a local generator and never by their results.

    Persons are drawn first and then one query of each, so no person is shown twice. Queries of unknown persons
    (negative ids) and those that have no match in their gallery are left out, as the protocol leaves them out.

    Args:
        features: Rows of a test set.
        direction: One direction of the protocol on these rows.
        count: Number of queries; there are fewer if there are fewer persons.
        seed: Non-negative seed.

    Returns:
        int64 (at most count,), dataset indices in ascending order of person id.
    """
    pids, index = features.pid, features.index
    rows = direction.query
    rows = rows[np.argsort(index[rows], kind='stable')]  # the choice must not depend on the order of rows
    gallery = direction.gallery
    generator = np.random.default_rng(seed)
    chosen = []
    for pid in generator.permutation(np.unique(pids[rows])):
        if len(chosen) == count:
            break
        matches = gallery[(pids[gallery] == pid) & (pid >= 0)]
        own = [row for row in rows[pids[rows] == pid] if _has_match(row, matches, features, direction)]
        if own:
            chosen.append(own[generator.integers(len(own))])
    chosen.sort(key=lambda row: (pids[row], index[row]))
    return index[np.array(chosen, dtype=np.int64)]


def retrieval_examples(
    runs: Sequence[ReportRun], protocol: str, *, count: int = 4, topk: int = 6, seed: int = 0
) -> list[RetrievalExample]:
    """The first ranks of some queries of both cross-modal directions, for every run that has features.

    Args:
        runs: Runs on one test set; those without features are left out.
        protocol: Name of the evaluation protocol, such as ``'hitsz_vcm'``; its filtering applies here too.
        count: Queries per direction.
        topk: Ranks shown.
        seed: Seed of the choice of queries.

    Raises:
        DscreidError: If the runs' features are of different test sets.
    """
    runs = [run for run in runs if run.features is not None]
    if not runs:
        return []
    plans = [_directions(run.features, protocol) for run in runs]
    examples = []
    for position, name in enumerate(name for name in CROSS_MODAL if name in plans[0]):
        queries = choose_queries(runs[0].features, plans[0][name], count, 2 * seed + position)
        hits = [_hits(run, plan[name], queries, topk) for run, plan in zip(runs, plans, strict=True)]
        rows = _rows_of(runs[0], queries)
        for number, (query, row) in enumerate(zip(queries.tolist(), rows, strict=True)):
            lists = tuple((run.name, hits[which][number]) for which, run in enumerate(runs))
            features = runs[0].features
            examples.append(
                RetrievalExample(name, query, int(features.pid[row]), int(features.camera[row]), lists)
            )
    return examples


def retrieval_html(gallery: RetrievalGallery | None) -> str:
    """The lists as HTML: per query a card with the query's picture and one row of ranks per run; '' if there are none.

    Right hits have a solid green frame and ✓, wrong ones a dashed red frame and ✗.
    """
    if gallery is None or not gallery.examples:
        return ''
    groups: dict[str, list[dict[str, Any]]] = {}
    for example in gallery.examples:
        shown = groups.setdefault(direction_name(example.direction), [])
        shown.append(_example(example, gallery.picture))
    ranks = max(len(hits) for example in gallery.examples for _, hits in example.lists)
    return part('retrieval', groups=list(groups.items()), ranks=ranks, selection=gallery.selection)


def _directions(features: FeatureTable, protocol: str) -> dict[str, Direction]:
    """The protocol's directions over the rows of a feature file."""
    return protocol_directions(protocol, features.modalities, features.is_query)


def _has_match(row: int, matches: np.ndarray, features: FeatureTable, direction: Direction) -> bool:
    """Whether a query finds a tracklet of its person in the filtered gallery."""
    matches = matches[features.tracklet[matches] != features.tracklet[row]]
    if direction.drop_same_camera:
        matches = matches[features.camera[matches] != features.camera[row]]
    return len(matches) > 0


def _rows_of(run: ReportRun, indices: np.ndarray) -> list[int]:
    """Rows of a run's features that hold the given dataset indices."""
    position = {int(index): row for row, index in enumerate(run.features.index)}
    missing = [index for index in indices.tolist() if index not in position]
    if missing:
        raise DscreidError(
            f'the features of "{run.name}" lack tracklet {missing[0]} that other runs have; '
            'compare runs on one test set.'
        )
    return [position[index] for index in indices.tolist()]


def _hits(run: ReportRun, direction: Direction, queries: np.ndarray, topk: int) -> list[tuple[Hit, ...]]:
    """First ranks of the given queries in one run."""
    features = run.features
    sides, tracklets = [], []
    for rows in (np.array(_rows_of(run, queries), dtype=np.int64), direction.gallery):
        sides += features.feature[rows], features.pid[rows], features.camera[rows]
        tracklets.append(features.tracklet[rows])
    ranked = rank_lists(*sides, topk, direction.drop_same_camera, tuple(tracklets))
    lists = []
    for index, correct, similarity in zip(*ranked, strict=True):
        kept = index >= 0
        rows = direction.gallery[index[kept]]
        facts = [features.index[rows], features.pid[rows], features.camera[rows]]
        columns = [fact.tolist() for fact in (*facts, correct[kept], similarity[kept])]
        lists.append(tuple(Hit(*values) for values in zip(*columns, strict=True)))
    return lists


def _example(example: RetrievalExample, picture: Callable[[int], str]) -> dict[str, Any]:
    """One query as the template shows it."""
    lists = [
        dict(name=name, correct=sum(hit.correct for hit in hits), hits=[_hit(hit, picture) for hit in hits])
        for name, hits in example.lists
    ]
    facts = dict(pid=example.pid, camera=example.camera, picture=picture(example.index))
    return dict(facts, lists=lists)


def _hit(hit: Hit, picture: Callable[[int], str]) -> dict[str, Any]:
    """One retrieved tracklet as the template shows it."""
    return dict(
        pid='unknown' if hit.pid < 0 else hit.pid,
        camera=hit.camera,
        correct=hit.correct,
        similarity=_similarity(hit.similarity),
        picture=picture(hit.index),
    )


def _similarity(value: float) -> str:
    """Two decimals with a true minus sign, zero without one."""
    text = f'{value:.2f}' if abs(value) < 10 else f'{value:.1f}'  # raw inner products exceed 1
    return '0.00' if text == '-0.00' else text.replace('-', '−')
