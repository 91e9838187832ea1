"""Rows of a gallery's table: tracklets as LanceDB stores them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.gallery_filters import as_stored, is_zoned
from dscreid.structures import Modality

#: Key of the description in the table's metadata.
METADATA = 'dscreid'


@dataclass(frozen=True)
class Entry:
    """A tracklet of a gallery.

    Attributes:
        tracklet: Unique name.
        camera: Name of the camera.
        modality: Visible or infrared.
        folder: Absolute path of the folder with its pictures.
        start_time: Time of the first frame; None if unknown.
        end_time: Time of the last frame; None if unknown.
        thumbnail: A picture of the person, as the content of a JPEG file; None without one.
    """

    tracklet: str
    camera: str
    modality: Modality
    folder: str = ''
    start_time: datetime | None = None
    end_time: datetime | None = None
    thumbnail: bytes | None = None


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
    return pa.schema(fields, metadata={METADATA: json.dumps(about)})


def as_table(schema: Any, entries: Sequence[Entry], features: npt.NDArray[np.float32]) -> Any:
    """Make a table of N tracklets and their features, float32 (N, D)."""
    import pyarrow as pa

    added = as_stored(datetime.now(timezone.utc))
    columns: dict[str, Any] = {
        'tracklet': [entry.tracklet for entry in entries],
        'camera': [entry.camera for entry in entries],
        'modality': [entry.modality.value for entry in entries],
        'start_time': [as_stored(entry.start_time) for entry in entries],
        'end_time': [as_stored(entry.end_time) for entry in entries],
        'zoned': [zoned_of(entry) for entry in entries],
        'added': [added] * len(entries),
        'folder': [entry.folder for entry in entries],
        'thumbnail': [entry.thumbnail for entry in entries],
        'feature': pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(features, np.float32).ravel()), features.shape[1]
        ),
    }
    return pa.table(columns, schema=schema)


def entry_of(row: Mapping[str, Any]) -> Entry:
    """Make an entry of the columns that were read."""

    def time(name: str) -> datetime | None:
        value = row[name]
        return value.replace(tzinfo=timezone.utc) if value is not None and row['zoned'] else value

    return Entry(
        tracklet=row.get('tracklet', ''),
        camera=row['camera'],
        modality=Modality(row['modality']),
        folder=row.get('folder', ''),
        start_time=time('start_time'),
        end_time=time('end_time'),
        thumbnail=row.get('thumbnail'),
    )


def counts_and_times(table: Any) -> tuple[dict[tuple[str, str], int], tuple[datetime, datetime] | None]:
    """Count tracklets by (camera, modality), sorted, and find the earliest start and the latest end; None without."""
    import pyarrow.compute as pc

    groups = table.group_by(['camera', 'modality']).aggregate([([], 'count_all')]).to_pylist()
    counts = {(group['camera'], group['modality']): group['count_all'] for group in groups}
    zone = timezone.utc if pc.any(table['zoned']).as_py() else None
    start = pc.min(table['start_time']).as_py()
    end = pc.max(pc.coalesce(table['end_time'], table['start_time'])).as_py()
    times = None if start is None else (start.replace(tzinfo=zone), end.replace(tzinfo=zone))
    return dict(sorted(counts.items())), times


def zoned_of(entry: Entry) -> bool | None:
    """Whether a tracklet's times have a time zone; None without times."""
    time = entry.start_time or entry.end_time
    return None if time is None else is_zoned(time)
