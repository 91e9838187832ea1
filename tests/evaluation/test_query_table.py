"""Results of single queries, in memory and in files."""

import csv

import numpy as np
import pytest

from dscreid.errors import ConfigError
from dscreid.evaluation import Direction, FeatureTable, QueryRanks, make_query_table, save_query_table

COLUMNS = [
    'direction', 'trial', 'query', 'pid', 'camera', 'modality', 'length', 'matches', 'first_hit', 'AP', 'INP',
]  # fmt: skip


def _table(lengths=True):
    """Two queries in each of two directions, of which ir2rgb has two trials; some have no match."""
    features = FeatureTable(
        feature=np.zeros((4, 2), np.float32),
        pid=np.array([10, 11, 12, 13]),
        camera=np.array([1, 2, 3, 4]),
        modality=np.array([0, 1, 0, 1]),
        is_query=np.array([False, True, False, True]),
        index=np.array([5, 6, 7, 8]),
        length=np.array([20, 30, 40, 50]) if lengths else None,
    )
    directions = {
        'rgb2ir': Direction(np.array([0, 2]), np.array([1, 3]), True),
        'ir2rgb': Direction(np.array([1, 3]), np.array([0, 2]), True),
    }
    ranks = {
        'rgb2ir': [QueryRanks(np.array([2, 0]), np.array([1, 0]), np.array([0.75, np.nan]), np.array([0.5, np.nan]))],
        'ir2rgb': [
            QueryRanks(np.array([1, 1]), np.array([3, 1]), np.array([1 / 3, 1]), np.array([1 / 3, 1])),
            QueryRanks(np.array([0, 2]), np.array([0, 2]), np.array([np.nan, 0.5]), np.array([np.nan, 0.5])),
        ],
    }
    return make_query_table(features, directions, ranks)


EXPECTED = [
    ('rgb2ir', 0, 5, 10, 1, 'rgb', 20, 2, 1, 0.75, 0.5),
    ('rgb2ir', 0, 7, 12, 3, 'rgb', 40, 0, None, None, None),
    ('ir2rgb', 0, 6, 11, 2, 'ir', 30, 1, 3, 1 / 3, 1 / 3),
    ('ir2rgb', 0, 8, 13, 4, 'ir', 50, 1, 1, 1.0, 1.0),
    ('ir2rgb', 1, 6, 11, 2, 'ir', 30, 0, None, None, None),
    ('ir2rgb', 1, 8, 13, 4, 'ir', 50, 2, 2, 0.5, 0.5),
]


def test_columns():
    columns = _table()
    assert list(columns) == COLUMNS
    assert list(zip(*columns.values(), strict=True)) == EXPECTED
    assert _table(lengths=False)['length'] == [None] * 6


def test_csv(tmp_path):
    path = tmp_path / 'new' / 'queries.csv'
    save_query_table(path, _table())
    with path.open(newline='') as file:
        header, *rows = csv.reader(file)
    assert header == COLUMNS
    assert rows == [['' if value is None else str(value) for value in row] for row in EXPECTED]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('name', ['queries', 'queries.json', 'queries.parquet'])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r'written as \.csv files'):
        save_query_table(tmp_path / name, _table())
