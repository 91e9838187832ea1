"""Results of single queries as a table for spreadsheets and data frames."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.errors import ConfigError
from dscreid.evaluation.feature_file import FeatureTable
from dscreid.evaluation.protocols import Direction
from dscreid.evaluation.ranking import QueryRanks
from dscreid.utils.files import replacing


def make_query_table(
    table: FeatureTable, directions: Mapping[str, Direction], ranks: Mapping[str, QueryRanks]
) -> dict[str, list]:
    """Combine the ranks of all directions with the annotations of their queries.

    Returns columns with one row per query and direction: ``direction``, ``query`` (position in the test set), ``pid``,
    ``camera``, ``modality``, ``length``, ``matches``, ``first_hit`` (rank of the first true match, from 1), ``AP`` and
    ``INP`` (both in [0, 1]). Values are None if a query has no true match or its length is unknown.
    """
    rows = np.concatenate([direction.query for direction in directions.values()])
    merged = QueryRanks(*map(np.concatenate, zip(*(ranks[name] for name in directions), strict=True)))

    def measured(values: np.ndarray) -> list:
        return [value if hits else None for value, hits in zip(values.tolist(), merged.matches, strict=True)]

    return {
        'direction': [name for name, direction in directions.items() for _ in direction.query],
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
    """Raise ConfigError if the suffix of a file is unknown, or if it is a Parquet file and pyarrow is not installed."""
    suffix = Path(path).suffix
    if suffix not in ('.csv', '.parquet'):
        raise ConfigError(f'{path}: results of single queries are written as .csv or .parquet files')
    if suffix == '.parquet':
        _pyarrow(path)


def save_query_table(path: str | Path, columns: Mapping[str, list]) -> None:
    """Write the columns of :func:`make_query_table` to a ``.csv`` or ``.parquet`` file, atomically.

    Missing values are empty or null; missing folders are created. Raises as :func:`check_query_file`.
    """
    check_query_file(path)
    with replacing(path) as temporary:
        if Path(path).suffix == '.parquet':
            _write_parquet(temporary, columns)
        else:
            with temporary.open('w', newline='', encoding='utf-8') as file:
                csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])


def _write_parquet(path: Path, columns: Mapping[str, list]) -> None:
    arrow, parquet = _pyarrow(path)
    kinds = dict.fromkeys(('direction', 'modality'), arrow.string())
    kinds |= dict.fromkeys(('AP', 'INP'), arrow.float64())
    schema = arrow.schema([(name, kinds.get(name, arrow.int64())) for name in columns])
    parquet.write_table(arrow.table(dict(columns), schema=schema), path)


def _pyarrow(path: str | Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            f'{path}: Parquet files need pyarrow, which is not installed; install it with '
            'pip install \'pyarrow>=15\' (the extra "tables"), or use a .csv file'
        ) from error
    return pyarrow, pyarrow.parquet
