"""Results of single queries as a table for spreadsheets and data frames."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dscreid.errors import ConfigError
from dscreid.evaluation.feature_file import FeatureTable
from dscreid.evaluation.protocols import Direction
from dscreid.evaluation.ranking import QueryRanks
from dscreid.evaluation.trials import joined_trials
from dscreid.utils.files import replacing


def make_query_table(
    table: FeatureTable, directions: Mapping[str, Direction], ranks: Mapping[str, Sequence[QueryRanks]]
) -> dict[str, list]:
    """Combine the ranks of all directions with the annotations of their queries.

    Returns columns with one row per query, direction and trial: ``direction``, ``trial`` (from 0), ``query`` (position
    in the test set), ``pid``, ``camera``, ``modality``, ``length``, ``matches``, ``first_hit`` (``QueryRanks.first``),
    ``AP`` and ``INP`` (both in [0, 1]). Values are None if a query has no true match or its length is unknown.
    """
    tasks = [(name, trial, one) for name in directions for trial, one in enumerate(ranks[name])]
    rows = np.concatenate([directions[name].query for name, _, _ in tasks])
    merged = joined_trials([one for _, _, one in tasks])

    def measured(values: np.ndarray) -> list:
        return [value if hits else None for value, hits in zip(values.tolist(), merged.matches, strict=True)]

    return {
        'direction': [name for name, _, one in tasks for _ in one.matches],
        'trial': [trial for _, trial, one in tasks for _ in one.matches],
        'query': table.index[rows].tolist(),
        'pid': table.pid[rows].tolist(),
        'camera': table.camera[rows].tolist(),
        'modality': np.array(table.modalities)[rows].tolist(),
        'length': [None] * len(rows) if table.length is None else table.length[rows].tolist(),
        'matches': merged.matches.tolist(),
        'first_hit': measured(merged.first),
        'AP': measured(merged.average_precision),
        'INP': measured(merged.inverse_penalty),
    }


def check_query_file(path: str | Path) -> None:
    """Raise ConfigError if the file is not named ``.csv``."""
    if Path(path).suffix != '.csv':
        raise ConfigError(f'{path}: results of single queries are written as .csv files')


def save_query_table(path: str | Path, columns: Mapping[str, list]) -> None:
    """Write the columns of :func:`make_query_table` to a CSV file, atomically; missing values are empty."""
    check_query_file(path)
    with replacing(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
