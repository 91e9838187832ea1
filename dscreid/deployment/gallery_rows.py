"""Rows of a gallery: tracklets as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dscreid.deployment.gallery_filters import as_stored, is_zoned
from dscreid.structures import Modality


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


@dataclass(frozen=True)
class Hit:
    """A found tracklet, and the inner product of its feature and the query's."""

    entry: Entry
    similarity: float


@dataclass(frozen=True)
class Statistics:
    """Content of a gallery.

    Attributes:
        count: Number of tracklets.
        cameras: Number of tracklets by (camera, modality).
        times: Earliest start and latest end; None if no time is known.
        num_bytes: Size on disk; None if it is unknown.
        indexed: Number of tracklets in the index; None without an index.
    """

    count: int
    cameras: Mapping[tuple[str, str], int]
    times: tuple[datetime, datetime] | None
    num_bytes: int | None
    indexed: int | None


def entry_of(row: Mapping[str, Any]) -> Entry:
    """Make an entry from the columns that were read."""

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


def row_of(entry: Entry) -> dict[str, Any]:
    """Make all columns except the feature for an entry that is added now."""
    return {
        **vars(entry),
        'modality': entry.modality.value,
        'start_time': entry.start_time and as_stored(entry.start_time),
        'end_time': entry.end_time and as_stored(entry.end_time),
        'zoned': zoned_of(entry),
        'added': as_stored(datetime.now(timezone.utc)),
    }


def zoned_of(entry: Entry) -> bool | None:
    """Whether a tracklet's times have a time zone; None without times."""
    time = entry.start_time or entry.end_time
    return None if time is None else is_zoned(time)


def by_start(row: Mapping[str, Any]) -> tuple[bool, datetime, str]:
    """Sort key: start, those without a time last, then name."""
    return row['start_time'] is None, row['start_time'] or datetime.min, row['tracklet']
