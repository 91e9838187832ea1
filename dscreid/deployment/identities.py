"""Write identities: a table of the tracklets, and the boxes of each video with identities as ids."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.gallery_rows import Entry
from dscreid.errors import ConfigError, DatasetError
from dscreid.tracks.conversion_record import (
    ConvertedVideo,
    identity_of,
    read_boxes,
    read_conversion,
    read_tracklet_of_row,
)
from dscreid.tracks.mot import write_mot
from dscreid.tracks.rewrite import rewrite_tracks
from dscreid.tracks.track_file import TrackFile
from dscreid.utils.files import check_outputs, replacing

COLUMNS = ('tracklet', 'camera', 'modality', 'identity')
#: Formats of the boxes: that of each video's tracks, or MOTChallenge results.
TRACKS_FORMATS = ('original', 'mot')


class WrittenTracks(NamedTuple):
    """Numbers of videos, of boxes in their tracks, and of boxes written."""

    videos: int
    boxes: int
    written: int


def write_identities(path: Path, rows: Sequence[TrackletRow], identities: Sequence[int]) -> None:
    """Write tracklet, camera, modality and identity of each tracklet as CSV."""
    with replacing(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        for row, identity in zip(rows, identities, strict=True):
            writer.writerow([row.tracklet, row.camera, row.modality.value, identity])


def names_in_folder(entries: Iterable[Entry], root: Path) -> dict[str, str]:
    """Find the tracklets of a gallery that are in a folder of ``dscreid tracks``.

    Returns:
        Name in the folder, by name in the gallery.

    Raises:
        DatasetError: If there are none.
    """
    videos = converted_videos(root)
    names = {
        str((root / cells['folder']).resolve()): cells['tracklet'] for video in videos for cells in video.tracklets
    }
    found = {entry.tracklet: names[entry.folder] for entry in entries if entry.folder in names}
    if not found:
        raise DatasetError(f'{root}: has none of the tracklets; name the folder that was added to the gallery')
    return found


def converted_videos(root: Path) -> list[ConvertedVideo]:
    """Read the records of the videos that a folder was made of. Raises DatasetError if there are none."""
    videos = list(read_conversion(root).values())
    if not videos:
        raise DatasetError(f'{root}: was not written by dscreid tracks, so the boxes of its tracklets are unknown')
    return videos


def check_tracks(root: Path, out: Path, tracks_format: str) -> None:
    """Check, before long work, that :func:`write_tracks` can write; see there."""
    videos = converted_videos(root)
    if tracks_format == 'original':
        for video in videos:
            _check_original(video)
            read_tracklet_of_row(root, video)
    originals = [_original(video) for video in videos]
    outputs = [_output(out, video, tracks_format) for video in videos]
    check_outputs([path for path in outputs if not path.is_dir()], [path for path in originals if path.is_file()])
    for path in outputs:
        if path.is_dir() and path.resolve() in {original.resolve() for original in originals}:
            raise ConfigError(f'{path}: cannot be written, it is read by the same command; name another folder')


def write_tracks(root: Path, identities: Mapping[str, int], out: Path, tracks_format: str) -> WrittenTracks:
    """Write the tracks of each video with identities as ids.

    In the original format, all rows of a tracklet's track from its first to its last box get the identity, even boxes
    that a rule left out, but only one in each frame. As MOTChallenge results, boxes are written unless a rule other
    than the rate left them out. All other boxes are left out.

    Args:
        root: Folder that ``dscreid tracks`` wrote.
        identities: Identity of each tracklet, by name; those of other tracklets are left out.
        out: Folder to write; the files are ``CAMERA_MODALITY/VIDEO``, with the suffix of the original.
        tracks_format: One of ``TRACKS_FORMATS``.

    Raises:
        DatasetError: If ``root`` is another folder, its records are damaged, or a tracker's output is missing or has
            changed.
        ConfigError: If a file would replace the tracker's output, or a folder has other files.
    """
    videos = converted_videos(root)
    written = 0
    for video in videos:
        of_tracklet = np.array([identities.get(cells['tracklet'], -1) for cells in video.tracklets], dtype=np.int64)
        path = _output(out, video, tracks_format)
        if tracks_format == 'mot':
            boxes = read_boxes(root, video)
            ids = of_tracklet[boxes.track]
            write_mot(path, replace(boxes, track=ids).take(ids >= 0))
        else:
            ids = _of_rows(of_tracklet, read_tracklet_of_row(root, video))
            _check_original(video)
            rewrite_tracks(_track_file(video), video.made_from['format'], ids, path)
        written += int((ids >= 0).sum())
    return WrittenTracks(len(videos), sum(video.num_boxes for video in videos), written)


def _of_rows(of_tracklet: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Find the identity of each row from that of its tracklet, -1 for none."""
    return np.append(of_tracklet, -1)[rows]


def _original(video: ConvertedVideo) -> Path:
    return Path(video.made_from['tracks'][0])


def _output(out: Path, video: ConvertedVideo, tracks_format: str) -> Path:
    suffix = '.txt' if tracks_format == 'mot' else _original(video).suffix
    return out / f'{video.name}{suffix}'


def _check_original(video: ConvertedVideo) -> None:
    """Raise DatasetError if the tracker's output is missing or not what was converted."""
    path, other = _original(video), 'or write another format with --tracks-format mot'
    if not path.exists():
        raise DatasetError(f'{path}: the tracks of {video.name} are missing; restore them, {other}')
    if identity_of(path) != video.made_from['tracks']:
        raise DatasetError(f'{path}: has changed since {video.name} was converted; convert it again, {other}')


def _track_file(video: ConvertedVideo) -> TrackFile:
    """Describe the tracker's output as far as is needed to write it again."""
    columns = dict(video.made_from['columns'])
    return TrackFile(_original(video), (0, 0), 0, None, columns, Path(video.made_from['video'][0]).name)
