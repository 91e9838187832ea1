"""Add the tracklets of a folder to a gallery."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dscreid.datasets import TrackletFolder
from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.frames import TrackletOfDataset
from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.inferencer import TrackletInferencer
from dscreid.errors import GalleryError
from dscreid.utils.progress import track
from dscreid.visualization.pictures import TrackletPictures


class Added(NamedTuple):
    """Result of :func:`add_folder`: number of added tracklets, and of those that were there before."""

    added: int
    known: int


def add_folder(
    gallery: Gallery,
    dataset: TrackletFolder,
    inferencer: TrackletInferencer,
    thumbnails: bool = True,
    replace: bool = False,
    per_transaction: int = 256,
) -> Added:
    """Add tracklets to a gallery. If the process is killed, a second call adds the rest.

    Args:
        gallery: The gallery, with the inferencer's bundle.
        dataset: The tracklets; their names must be unique.
        inferencer: Computes the features.
        thumbnails: Whether to store a picture of each tracklet.
        replace: Whether to replace tracklets that are already in the gallery.
        per_transaction: Number of tracklets added at once.

    Raises:
        GalleryError: If a name occurs twice, or the gallery has a tracklet of that name from another folder and
            ``replace`` is false.
    """
    entries = [_entry(dataset, index, row) for index, row in enumerate(dataset.rows)]
    _check_names(entries)
    known = gallery.folders([entry.tracklet for entry in entries])
    if not replace:
        _check_folders(gallery, entries, known)
    rows = [row for row, entry in enumerate(entries) if replace or entry.tracklet not in known]
    pictures = TrackletPictures(dataset) if thumbnails else None
    added = 0
    chunks = [rows[start : start + per_transaction] for start in range(0, len(rows), per_transaction)]
    for chunk in track(chunks, f'features, {per_transaction} tracklets each'):
        items = [TrackletOfDataset(dataset, row) for row in chunk]
        features = inferencer(items, [entries[row].modality for row in chunk], progress=False)
        complete = [_with_picture(entries[row], pictures, row) for row in chunk]
        added += gallery.add(complete, features, replace)
    if added:
        gallery.finish_adding()
    return Added(added, len(entries) - len(rows))


def _entry(dataset: TrackletFolder, index: int, row: TrackletRow) -> Entry:
    inside = row.folder or _common_folder(dataset.tracklets[index].frames)
    folder = str((dataset.root / inside).resolve())
    return Entry(row.tracklet, row.camera, row.modality, folder, row.start_time, row.end_time)


def _with_picture(entry: Entry, pictures: TrackletPictures | None, index: int) -> Entry:
    if pictures is None:
        return entry
    return Entry(**{**vars(entry), 'thumbnail': pictures.jpeg(index)})


def _common_folder(frames: Sequence[str]) -> str:
    """Find the innermost folder that contains all frames."""
    parents = [PurePosixPath(frame).parent for frame in frames]
    candidates = [parents[0], *parents[0].parents]
    return str(next(one for one in candidates if all(parent.is_relative_to(one) for parent in parents)))


def _check_names(entries: Sequence[Entry]) -> None:
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.tracklet, entry)
        if other is not entry:
            raise GalleryError(
                f'tracklet {entry.tracklet!r} is in {other.folder} and in {entry.folder}; rename one of them'
            )


def _check_folders(gallery: Gallery, entries: Sequence[Entry], known: dict[str, str]) -> None:
    for entry in entries:
        if known.get(entry.tracklet, entry.folder) != entry.folder:
            raise GalleryError(
                f'{gallery.place}: has a tracklet {entry.tracklet!r} from {known[entry.tracklet]}, not from '
                f'{entry.folder}; rename it, or replace it with --replace'
            )


def rows_of(entries: Sequence[Entry]) -> list[TrackletRow]:
    """Describe tracklets of a gallery as lines of a table, without pictures and persons."""
    return [
        TrackletRow(one.tracklet, one.camera, one.modality, one.folder, (), one.start_time, one.end_time)
        for one in entries
    ]


def open_folder(folder: str | Path, on_bad_frame: str = 'error') -> TrackletFolder:
    """Read all tracklets of a folder, of both splits and without persons."""
    return TrackletFolder(folder, 'train+test', labelled=False, on_bad_frame=on_bad_frame)
