"""Rows and conditions of a gallery as LanceDB stores them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.gallery_conditions import All, Compared, Condition, Either, Not, OneOf, Zoned
from dscreid.deployment.gallery_rows import Entry, row_of

#: Key of the description in the table's metadata.
_METADATA = 'dscreid'


def schema_of(about: Mapping[str, Any]) -> Any:
    """Make the table's schema; ``about`` becomes its description."""
    import pyarrow as pa

    time = pa.timestamp('us')
    fields = [
        ('tracklet', pa.string()),
        ('camera', pa.string()),
        ('modality', pa.string()),
        ('start_time', time),
        ('end_time', time),
        ('zoned', pa.bool_()),  # whether the times are UTC; null without times
        ('added', time),  # UTC
        ('folder', pa.string()),
        ('thumbnail', pa.binary()),
        ('feature', pa.list_(pa.float32(), about['size'])),
    ]
    return pa.schema(fields, metadata={_METADATA: json.dumps(about)})


def as_table(schema: Any, entries: Sequence[Entry], features: npt.NDArray[np.float32]) -> Any:
    """Make a table of N tracklets and their features, float32 (N, D)."""
    import pyarrow as pa

    rows = [row_of(entry) for entry in entries]
    columns = {name: [row[name] for row in rows] for name in schema.names if name != 'feature'}
    values = pa.array(np.ascontiguousarray(features, np.float32).ravel())
    columns['feature'] = pa.FixedSizeListArray.from_arrays(values, features.shape[1])
    return pa.table(columns, schema=schema)


def description_of(schema: Any) -> dict[str, Any]:
    """Read the description of a table."""
    return json.loads((schema.metadata or {}).get(_METADATA.encode(), b'{}'))


def counts_and_times(table: Any) -> tuple[dict[tuple[str, str], int], tuple[datetime, datetime] | None]:
    """Count tracklets by (camera, modality), sorted; also return the earliest start and the latest end, if known."""
    import pyarrow.compute as pc

    groups = table.group_by(['camera', 'modality']).aggregate([([], 'count_all')]).to_pylist()
    counts = {(group['camera'], group['modality']): group['count_all'] for group in groups}
    zone = timezone.utc if pc.any(table['zoned']).as_py() else None
    start = pc.min(table['start_time']).as_py()
    end = pc.max(pc.coalesce(table['end_time'], table['start_time'])).as_py()
    times = None if start is None else (start.replace(tzinfo=zone), end.replace(tzinfo=zone))
    return dict(sorted(counts.items())), times


def sql(condition: Condition) -> str:
    """Write a condition as SQL."""
    match condition:
        case OneOf(column, values):
            return f'{column} IN ({", ".join(map(quoted, values))})'
        case Compared(columns, relation, time):
            return f"coalesce({', '.join(columns)}) {relation} timestamp '{time.isoformat(' ', 'microseconds')}'"
        case Zoned(value):
            return f'zoned IS {"NULL" if value is None else str(value).upper()}'
        case Not(inner):
            return f'NOT ({sql(inner)})'
        case All(parts):
            return ' AND '.join(f'({sql(part)})' for part in parts)
        case Either(parts):
            return ' OR '.join(f'({sql(part)})' for part in parts)


def quoted(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"
