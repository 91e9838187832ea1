"""Retrieval lists before and after adaptation, as in the paper's Figure 3."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dscreid.errors import DscreidError
from dscreid.evaluation import Direction, FeatureTable, protocol_directions, rank_lists
from dscreid.visualization.page import part
from dscreid.visualization.results import CROSS_MODAL, ReportRun, direction_name


@dataclass(frozen=True)
class Hit:
    """A retrieved tracklet: its position in the dataset, and the inner product of its feature and the query's."""

    index: int
    pid: int
    camera: int
    correct: bool
    similarity: float

    @property
    def shown_similarity(self) -> str:
        """The similarity with a true minus sign; zero has no sign."""
        text = f'{self.similarity:.2f}' if abs(self.similarity) < 10 else f'{self.similarity:.1f}'
        return '0.00' if text == '-0.00' else text.replace('-', '−')


@dataclass(frozen=True)
class RetrievalExample:
    """A query, by its position in the dataset, and (name of the run, hits from rank 1 on) for each run."""

    direction: str
    index: int
    pid: int
    camera: int
    lists: tuple[tuple[str, tuple[Hit, ...]], ...]


@dataclass(frozen=True)
class RetrievalGallery:
    """Queries with their lists, a map from dataset index to a picture's data URI, and how the queries were chosen."""

    examples: Sequence[RetrievalExample]
    picture: Callable[[int], str]
    selection: str = 'The queries were drawn at random with a fixed seed, each of another person, whatever the results.'


def choose_queries(features: FeatureTable, direction: Direction, count: int, seed: int) -> np.ndarray:
    """Draw persons, then one query of each, independent of their results.

    Unknown persons (negative ids) and queries without a match in their gallery are left out, as in the protocol.

    Returns:
        Dataset indices, int64 (at most count,), in ascending order of person id.
    """
    pids, index = features.pid, features.index
    rows = direction.query
    rows = rows[np.argsort(index[rows], kind='stable')]  # the choice must not depend on the order of rows
    gallery = direction.gallery
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
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
    """Retrieve the first ranks for some queries of both cross-modal directions, for every run with features.

    Args:
        runs: Runs on the same test set.
        protocol: Name of the evaluation protocol, whose filtering also applies here.
        count: Number of queries per direction; see :func:`choose_queries`.
        topk: Number of ranks shown.
        seed: Non-negative seed for the choice of queries.

    Raises:
        DscreidError: If the features of the runs belong to different test sets.
    """
    tables = [(run.name, run.features) for run in runs if run.features is not None]
    if not tables:
        return []
    first = tables[0][1]
    plans = [protocol_directions(protocol, features.modalities, features.is_query) for _, features in tables]
    examples = []
    for position, direction in enumerate(name for name in CROSS_MODAL if name in plans[0]):
        queries = choose_queries(first, plans[0][direction], count, 2 * seed + position)
        hits = [
            _hits(name, features, plan[direction], queries, topk)
            for (name, features), plan in zip(tables, plans, strict=True)
        ]
        rows = _rows_of(tables[0][0], first, queries)
        for query, row, *lists in zip(queries.tolist(), rows, *hits, strict=True):
            pid, camera = int(first.pid[row]), int(first.camera[row])
            named = tuple((name, hits) for (name, _), hits in zip(tables, lists, strict=True))
            examples.append(RetrievalExample(direction, query, pid, camera, named))
    return examples


def retrieval_html(gallery: RetrievalGallery | None) -> str:
    """Render the lists as HTML, or '' if there are none: per query, a card with its picture and a row per run."""
    if gallery is None or not gallery.examples:
        return ''
    groups: dict[str, list[RetrievalExample]] = {}
    for example in gallery.examples:
        groups.setdefault(direction_name(example.direction), []).append(example)
    ranks = max(len(hits) for example in gallery.examples for _, hits in example.lists)
    return part('retrieval', groups=groups, ranks=ranks, selection=gallery.selection, picture=gallery.picture)


def _has_match(row: int, matches: np.ndarray, features: FeatureTable, direction: Direction) -> bool:
    """Check whether the filtered gallery contains a tracklet of the query's person."""
    matches = matches[features.tracklet[matches] != features.tracklet[row]]
    if direction.drop_same_camera:
        matches = matches[features.camera[matches] != features.camera[row]]
    return len(matches) > 0


def _rows_of(name: str, features: FeatureTable, indices: np.ndarray) -> np.ndarray:
    """Find the rows of a run's features for the given dataset indices."""
    position = {int(index): row for row, index in enumerate(features.index)}
    missing = [index for index in indices.tolist() if index not in position]
    if missing:
        raise DscreidError(
            f'the features of "{name}" lack tracklet {missing[0]} that other runs have; compare runs on one test set.'
        )
    return np.array([position[index] for index in indices.tolist()], dtype=np.int64)


def _hits(
    name: str, features: FeatureTable, direction: Direction, queries: np.ndarray, topk: int
) -> list[tuple[Hit, ...]]:
    """Retrieve the first ranks of the given queries in one run."""
    sides: list[np.ndarray] = []
    tracklets = []
    for rows in (_rows_of(name, features, queries), direction.gallery):
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
