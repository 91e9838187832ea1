"""Confidence intervals of retrieval measures: a cluster bootstrap over identities (Field and Welsh, JRSS B 2007)."""

from collections.abc import Mapping, Sequence

import numpy as np

from dscreid.errors import ConfigError
from dscreid.evaluation.protocols import averaged_directions
from dscreid.evaluation.ranking import QueryRanks, query_measures


def bootstrap_intervals(
    ranks: Mapping[str, QueryRanks],
    pids: Mapping[str, np.ndarray],
    cmc_ranks: Sequence[int] = (1, 5, 10, 20),
    confidence: float = 0.95,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Compute percentile intervals of all measures, for each direction and for their ``mean``.

    Queries of one person are not independent, so whole identities are drawn with all their queries, the same ones for
    all directions. An interval describes the variation over persons for a fixed model and gallery, not over seeds.
    A draw without a query of a direction is ignored for this direction.

    ``ranks`` and ``pids``, int64 (Nq,), are those of the queries of each direction, of which those without a true match
    are ignored. ``confidence`` is the share of the ``repeats`` draws inside an interval, in (0, 1).

    Returns lower and upper bounds, named as in ``ReIDMetric``: ``rgb2ir/mAP``, …, ``mean/mAP``, ….
    """
    check_bootstrap(confidence, repeats)
    valid = {name: one.matches > 0 for name, one in ranks.items()}
    persons = np.unique(np.concatenate([pids[name][rows] for name, rows in valid.items()]))
    draws = draw_clusters(len(persons), repeats, seed)
    samples = {}
    for name, one in ranks.items():
        measures = query_measures(one, cmc_ranks)
        values = np.stack(list(measures.values()), axis=1)[valid[name]]
        clusters = np.searchsorted(persons, pids[name][valid[name]])
        samples[name] = resampled_means(values, clusters, draws)
    samples['mean'] = np.mean([samples[name] for name in averaged_directions(ranks)], axis=0)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    bounds = {name: np.nanquantile(sample, tails, axis=0) for name, sample in samples.items()}
    return {
        f'{name}/{measure}': (float(low), float(high))
        for name, (lows, highs) in bounds.items()
        for measure, low, high in zip(measures, lows, highs, strict=True)
    }


def draw_clusters(num_clusters: int, repeats: int, seed: int) -> np.ndarray:
    """Draw C clusters with replacement, B times: int64 (B, C), how often each cluster is drawn."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), size=repeats)


def resampled_means(values: np.ndarray, clusters: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Average observations, float (Q, M), over draws of their clusters, int64 (Q,) in [0, C): float64 (B, M).

    ``draws``, int64 (B, C), says how often each cluster is drawn. Draws without an observation give NaN.
    """
    num_clusters = draws.shape[1]
    sizes = draws @ np.bincount(clusters, minlength=num_clusters)
    totals = draws @ np.stack([np.bincount(clusters, column, num_clusters) for column in values.T], axis=1)
    return np.where(sizes[:, None] > 0, totals / np.maximum(sizes, 1)[:, None], np.nan)


def check_bootstrap(confidence: float, repeats: int) -> None:
    """Raise ConfigError if a parameter of :func:`bootstrap_intervals` is out of range."""
    if not 0 < confidence < 1 or repeats < 1:
        raise ConfigError(
            f'confidence must lie between 0 and 1 and bootstrap_repeats be at least 1, got {confidence} and {repeats}'
        )
