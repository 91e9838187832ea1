"""Rank the queries of a direction in each of its trials, and average the results."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from dscreid.evaluation.feature_file import FeatureTable
from dscreid.evaluation.protocols import Direction
from dscreid.evaluation.ranking import QueryRanks, rank_queries, summarize
from dscreid.evaluation.scores import InnerProduct, Scores


def rank_trials(
    table: FeatureTable,
    direction: Direction,
    scores_of: Callable[[Tensor, Tensor], Scores] = InnerProduct,
    device: str = 'cpu',
) -> list[QueryRanks]:
    """Rank the queries in each trial; ``scores_of`` maps features of queries and gallery on ``device`` to scores."""
    features = torch.from_numpy(table.feature)
    return [
        rank_queries(
            scores_of(features[one.query].to(device), features[one.gallery].to(device)),
            *table.identities(one),
            count_persons=one.count_persons,
        )
        for one in direction.trials()
    ]


def average_trials(trials: Sequence[QueryRanks], ranks: Sequence[int]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the means over trials of the measures of :func:`summarize`, and their population standard deviations."""
    found = [summarize(one, ranks) for one in trials]
    values = {name: [one[name] for one in found] for name in found[0] if name != 'valid_queries'}
    means = {name: float(np.mean(value)) for name, value in values.items()}
    return means, {name: float(np.std(value)) for name, value in values.items()}


def joined_trials(trials: Sequence[QueryRanks]) -> QueryRanks:
    """Join the ranks of all trials, so that each query occurs once per trial, int64 or float64 (trials * Nq,)."""
    return QueryRanks(*map(np.concatenate, zip(*trials, strict=True)))
