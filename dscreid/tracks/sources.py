"""``sources.csv``: which video and tracks belong to which camera."""

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dscreid.datasets.tracklet_table import parse_time
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality
from dscreid.tracks.tables import read_text

COLUMNS = ('video', 'tracks', 'camera', 'modality', 'start_time', 'fps', 'format', 'first_frame')
_REQUIRED = COLUMNS[:4]


@dataclass(frozen=True)
class Source:
    """A video with its tracks.

    Attributes:
        video: Video file, or folder of frames.
        tracks: Output of the tracker, a file or folder.
        camera: Name of the camera.
        modality: Visible or infrared.
        start_time: Time of the first frame; None if unknown.
        fps: Frames per second; None to read them from the video.
        format: Format of the tracks; None to detect it.
        first_frame: Number of the first frame in the tracks, 0 or 1; None if the format decides.
        where: ``file:line`` for messages.
    """

    video: Path
    tracks: Path
    camera: str
    modality: Modality
    start_time: datetime | None = None
    fps: float | None = None
    format: str | None = None
    first_frame: int | None = None
    where: str = ''

    @property
    def folder(self) -> str:
        """Name of the camera's folder in the data set."""
        return f'{self.camera}_{self.modality.value}'


def read_sources(path: Path) -> list[Source]:
    """Read the list; relative paths start at its folder.

    Raises:
        DatasetError: If it is missing or malformed, or two lines are one camera at the same time; names file and line.
    """
    text = read_text(path)
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = reader.fieldnames or []
    missing, unknown = set(_REQUIRED) - set(names), set(names) - set(COLUMNS)
    if missing or unknown:
        what = f'the column {min(missing)} is missing' if missing else f'unknown column {min(unknown)!r}'
        raise DatasetError(f'{path}:1: {what}; known are {", ".join(COLUMNS)}')
    sources: list[Source] = []
    for cells in reader:
        where = f'{path}:{reader.line_num}'
        if None in cells:
            raise DatasetError(f'{where}: more cells than columns; put quotes around a cell with a comma')
        try:
            sources.append(_parse({name: (cells.get(name) or '').strip() for name in COLUMNS}, path.parent, where))
        except (ValueError, ConfigError) as error:
            raise DatasetError(f'{where}: {error}') from None
    if not sources:
        raise DatasetError(f'{path}: names no video; add a line for each one')
    _check_cameras(sources)
    return sources


def _parse(cells: dict[str, str], folder: Path, where: str) -> Source:
    """Parse one line; raises ValueError."""
    for name in _REQUIRED:
        if not cells[name]:
            raise ValueError(f'the column {name} is empty')
    if cells['modality'] not in tuple(Modality):
        raise ValueError(f'the modality is {cells["modality"]!r}; write rgb or ir')
    camera = cells['camera']
    if '/' in camera or '\\' in camera or camera.startswith('.') or not camera.isprintable():
        raise ValueError(f'camera {camera!r} cannot be the name of a folder; use letters, digits, "-" and "_"')
    if cells['first_frame'] not in ('', '0', '1'):
        raise ValueError(f'first_frame is {cells["first_frame"]!r}; write 0 or 1, or leave it empty')
    try:
        fps = float(cells['fps']) if cells['fps'] else None
    except ValueError:
        fps = -1.0
    if fps is not None and not 0 < fps < 1000:
        raise ValueError(f'fps is {cells["fps"]!r}; write frames per second, or leave it empty for those of the video')
    return Source(
        video=folder / cells['video'],
        tracks=folder / cells['tracks'],
        camera=camera,
        modality=Modality(cells['modality']),
        start_time=parse_time(cells['start_time']),
        fps=fps,
        format=cells['format'] or None,
        first_frame=int(cells['first_frame']) if cells['first_frame'] else None,
        where=where,
    )


def _check_cameras(sources: list[Source]) -> None:
    """Refuse a video that is listed twice, and two videos of one camera without different start times."""
    first: dict[object, Source] = {}
    for source in sources:
        for key in ((source.video, source.tracks), (source.folder, source.start_time)):
            earlier = first.setdefault(key, source)
            if earlier is source:
                continue
            if key[0] == source.video:
                raise DatasetError(f'{source.where}: video and tracks are also in {earlier.where}; remove one line')
            raise DatasetError(
                f'{source.where}: camera {source.camera!r} ({source.modality.value}) is also in {earlier.where}; if it '
                'is one camera, give both videos a start_time; otherwise rename one'
            )
