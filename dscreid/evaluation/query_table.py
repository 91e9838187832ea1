"""Results of single queries as a table for spreadsheets and data frames."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.errors import ConfigError
from dscreid.evaluation.feature_file import FeatureTable
from dscreid.evaluation.protocols import Direction
from dscreid.evaluation.ranking import QueryRanks
from dscreid.utils.files import replacing

SUFFIXES = ('.csv', '.parquet')


@dataclass(frozen=True)
class QueryTable:
    """Results of single queries; arrays with one row per query and direction.

    Attributes:
        direction: str, ``'rgb2ir'``, …
        query: int64, position of the tracklet in the test set.
        pid: int64, person id.
        camera: int64, camera id.
        modality: str, ``'rgb'`` or ``'ir'``.
        length: int64, number of frames of the tracklet; None if unknown.
        ranks: Ranks of the query's true matches.
    """

    direction: np.ndarray
    query: np.ndarray
    pid: np.ndarray
    camera: np.ndarray
    modality: np.ndarray
    length: np.ndarray | None
    ranks: QueryRanks

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.query)

    def columns(self) -> dict[str, list]:
        """Columns to write, by name. Values are None if a query has no true match or its length is unknown.

        The columns are ``direction``, ``query``, ``pid``, ``camera``, ``modality``, ``length``, ``matches``,
        ``first_hit`` (rank of the first true match, from 1), ``AP`` and ``INP`` (both in [0, 1]).
        """
        names = ('direction', 'query', 'pid', 'camera', 'modality')
        columns: dict[str, list] = {name: getattr(self, name).tolist() for name in names}
        columns['length'] = [None] * len(self) if self.length is None else self.length.tolist()
        columns['matches'] = self.ranks.matches.tolist()
        measured = {
            'first_hit': self.ranks.first,
            'AP': self.ranks.average_precision,
            'INP': self.ranks.inverse_penalty,
        }
        for name, values in measured.items():
            pairs = zip(values.tolist(), columns['matches'], strict=True)
            columns[name] = [value if matches else None for value, matches in pairs]
        return columns


def make_query_table(
    table: FeatureTable, directions: Mapping[str, Direction], ranks: Mapping[str, QueryRanks]
) -> QueryTable:
    """Combine the ranks of all directions with the annotations of their queries.

    Args:
        table: Features and annotations of the test set.
        directions: Directions of a protocol.
        ranks: Ranks of the queries of each direction.

    Returns:
        Table with one direction after another; the queries of a direction keep the order of the test set.
    """
    rows = np.concatenate([direction.query for direction in directions.values()])
    counts = [len(direction.query) for direction in directions.values()]
    return QueryTable(
        direction=np.repeat(list(directions), counts),
        query=table.index[rows],
        pid=table.pid[rows],
        camera=table.camera[rows],
        modality=np.array(table.modalities)[rows],
        length=None if table.length is None else table.length[rows],
        ranks=QueryRanks(*map(np.concatenate, zip(*(ranks[name] for name in directions), strict=True))),
    )


def check_query_file(path: str | Path) -> None:
    """Check early whether :func:`save_query_table` can write a file.

    Raises:
        ConfigError: If the suffix is unknown, or if the file is a Parquet file and pyarrow is not installed.
    """
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise ConfigError(f'{path}: results of single queries are written as {" or ".join(SUFFIXES)} files')
    if suffix == '.parquet':
        _pyarrow(path)


def save_query_table(path: str | Path, table: QueryTable) -> None:
    """Write a table to a file. An existing file is replaced atomically.

    Args:
        path: ``.csv`` (missing values are empty) or ``.parquet`` (missing values are null); missing folders are
            created.
        table: Table to write; see :meth:`QueryTable.columns` for the columns.

    Raises:
        ConfigError: As in :func:`check_query_file`.
    """
    check_query_file(path)
    write = _write_parquet if Path(path).suffix == '.parquet' else _write_csv
    with replacing(path) as temporary:
        write(temporary, table.columns())


def _write_csv(path: Path, columns: dict[str, list]) -> None:
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(_rows(columns))


def _rows(columns: dict[str, list]) -> Iterator[tuple]:
    return zip(*columns.values(), strict=True)


def _write_parquet(path: Path, columns: dict[str, list]) -> None:
    arrow, parquet = _pyarrow(path)
    kinds = {'direction': arrow.string(), 'modality': arrow.string()}
    kinds |= {'AP': arrow.float64(), 'INP': arrow.float64()}
    schema = arrow.schema([(name, kinds.get(name, arrow.int64())) for name in columns])
    parquet.write_table(arrow.table(columns, schema=schema), path)


def _pyarrow(path: str | Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(
            f'{path}: Parquet files need pyarrow, which is not installed; install it with pip install '
            '\'pyarrow>=15\' (the extra "tables"), or name a .csv file'
        ) from error
    return pyarrow, pyarrow.parquet
