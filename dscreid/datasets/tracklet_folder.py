"""Tracklets from cameras of your own: a folder for each tracklet, or a table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from dscreid.datasets.index_files import index_file
from dscreid.datasets.records import anonymous_rank
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.datasets.tracklet_table import TABLE_NAMES, TrackletRow, find_table, parse_time, read_table
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATASETS
from dscreid.structures import Modality, Tracklet
from dscreid.utils.natural_order import natural_key

_CAMERA_FOLDER = re.compile(r'(?P<camera>.+)_(?P<modality>rgb|ir)')


@DATASETS.register_module()
class TrackletFolder(TrackletDataset):
    """Tracklets from cameras of your own, with or without person ids.

    .. code-block:: text

        ROOT/
          gate_rgb/0001/000.jpg ...    CAMERA_rgb or CAMERA_ir / TRACKLET / pictures in temporal order
          gate_ir/0007/000.jpg ...

    or, with persons, times or pictures elsewhere below the root, a table ``tracklets.csv`` or ``tracklets.parquet``:

    .. code-block:: text

        tracklet,camera,modality,folder,start_time,person
        a17,gate,rgb,crops/a17,2026-03-01T08:30:00,anna

    See :class:`~dscreid.datasets.tracklet_table.TrackletRow` for all columns. Cameras and persons are numbered in the
    order of their names. In either layout, ``ROOT/train`` and ``ROOT/test``, or the column ``split``, separate the
    splits, or ``test_from`` divides them by time; without a division, both splits contain all tracklets. ``train+test``
    is their union. All tracklets are possible queries; choose the protocol ``cross_modal``, ``other_cameras`` or
    ``all_to_all``.

    Args:
        test_from: Time such as ``2026-03-05T00:00``, with a time zone if the table's times have one. Tracklets that
            start then or later are the test split. All others, also those without a time, are the training split.
        **settings: Arguments of ``TrackletDataset``.

    Attributes:
        camera_names: Names of the cameras by number.
        known_splits: Names of the splits that the tracklets of the folder belong to; '' if one belongs to both.
    """

    NAME = 'tracklet_folder'
    SPLITS = ('train', 'test', 'train+test')
    LAYOUT = 'tracklets.csv, or a folder CAMERA_rgb or CAMERA_ir for each camera with a folder for each tracklet'
    INDEX_FILES = tuple(f'{folder}{name}' for folder in ('', 'train/', 'test/') for name in TABLE_NAMES)
    DIVIDED_BY = ('test_from',)

    common_settings = MappingProxyType({**TrackletDataset.common_settings, 'test_from': 'test_from'})

    def __init__(self, root: str | Path, split: str, *, test_from: str | None = None, **settings: Any) -> None:
        try:
            self.test_from = None if test_from is None else parse_time(str(test_from) or 'an empty text')
        except ValueError as error:
            raise ConfigError(f'TrackletFolder: test_from: {error}') from None
        self.persons_recur = self.test_from is not None
        super().__init__(root, split, **settings)

    def parse_index(self) -> ParsedIndex:
        """Read the table, or list the folders."""
        by_folder = _by_folder(self.storage.list_frames())
        everything = [row for split in self._folders(by_folder) for row in self._rows(split, by_folder)]
        if self.test_from is not None:
            everything = self._divided(everything, self.test_from)
        self.camera_names = sorted({row.camera for row in everything}, key=natural_key)
        persons = {name: i for i, name in enumerate(sorted({row.person for row in everything} - {''}, key=natural_key))}
        self.known_splits = {row.split for row in everything}
        self.splits_overlap = '' in self.known_splits
        rows = [row for row in everything if row.split in ('', *self.split.split('+'))]
        tracklets = [self._tracklet(row, by_folder) for row in rows]
        self._row_of_record: dict[tuple, TrackletRow] = {}
        for tracklet, row in zip(tracklets, rows, strict=True):
            known = row if self.labelled else replace(row, person='', where='')
            self._row_of_record.setdefault(_key(tracklet), known)
        order = list(range(len(rows)))
        if not self.labelled:
            order.sort(key=lambda i: anonymous_rank(tracklets[i]))
        pids = np.array([persons.get(rows[i].person, -1) for i in order], dtype=np.int64)
        if self.labelled and self.split in self.TRAIN_SPLITS and (pids < 0).any():
            row = rows[order[int(np.argmax(pids < 0))]]
            raise DatasetError(
                f'{row.where}: no person is named; a labeled training split needs one for each tracklet, in the column '
                'person of tracklets.csv; use labelled=False without them'
            )
        return ParsedIndex([tracklets[i] for i in order], pids, [rows[i].where for i in order])

    @property
    def rows(self) -> list[TrackletRow]:
        """The table's rows of ``tracklets``; without persons if the split is unlabeled."""
        return [self._row_of_record[_key(tracklet)] for tracklet in self.tracklets]

    def _folders(self, by_folder: Iterable[str]) -> list[str]:
        """List ``['train', 'test']`` if the root is divided so, else ``['']``."""
        divided = [split for split in self.disjoint_splits() if find_table(Path(index_file(self.root, split)))]
        first = {folder.partition('/')[0] for folder in by_folder}
        divided += [split for split in self.disjoint_splits() if split in first and split not in divided]
        if divided and not find_table(self.root):
            return divided
        return ['']

    def _rows(self, folder: str, by_folder: Mapping[str, Sequence[str]]) -> list[TrackletRow]:
        """Read the rows below a folder of the root."""
        root = index_file(self.root, folder) if folder else self.root
        prefix = f'{folder}/' if folder else ''
        table = find_table(root)
        if table is None:
            return [self._row_of(path, folder) for path in by_folder if path.startswith(prefix) and path != folder]
        moved = []
        for row in read_table(index_file(self.root, f'{prefix}{table.name}')):
            frames = tuple(f'{prefix}{frame}' for frame in row.frames)
            inside = f'{prefix}{row.folder}' if row.folder else ''
            moved.append(replace(row, folder=inside, frames=frames, split=folder or row.split))
        return moved

    def _divided(self, rows: list[TrackletRow], time: datetime) -> list[TrackletRow]:
        """Divide the splits by the times at which tracklets start."""
        remedy = 'leave out test_from, or correct it'
        if any(row.split for row in rows):
            raise DatasetError(f'{self.root}: is already divided into train and test; leave out test_from')
        if all(row.start_time is None for row in rows):
            raise DatasetError(f'{self.root}: no tracklet has a start_time in {TABLE_NAMES[0]}, which test_from needs')
        zones = {row.start_time.tzinfo is None for row in rows if row.start_time}
        if zones - {time.tzinfo is None}:
            kind = 'without' if time.tzinfo is None else 'with'
            raise DatasetError(f'{self.root}: test_from is {kind} a time zone, unlike times of the table; {remedy}')
        tested = [row.start_time is not None and row.start_time >= time for row in rows]
        if not any(tested) or all(tested):
            count = 'all tracklets start' if any(tested) else 'no tracklet starts'
            raise DatasetError(f'{self.root}: {count} at test_from={time.isoformat()} or later; {remedy}')
        return [replace(row, split='test' if late else 'train') for row, late in zip(rows, tested, strict=True)]

    def _row_of(self, path: str, split: str) -> TrackletRow:
        """Describe a folder of pictures by its path."""
        parts = path.split('/')[1 if split else 0 :]
        camera = _CAMERA_FOLDER.fullmatch(parts[0])
        if len(parts) != 2 or camera is None:
            raise DatasetError(
                f'{self.root / path}: not CAMERA_rgb/TRACKLET or CAMERA_ir/TRACKLET; rename the folder, or list the '
                'tracklets in tracklets.csv'
            )
        where = str(self.root / path)
        return TrackletRow(
            '/'.join(parts), camera['camera'], Modality(camera['modality']), path, split=split, where=where
        )

    def _tracklet(self, row: TrackletRow, by_folder: Mapping[str, Sequence[str]]) -> Tracklet:
        frames = row.frames or tuple(by_folder.get(row.folder, ()))
        if not frames:
            raise DatasetError(
                f'{row.where}: folder {row.folder!r} has no picture; correct the path or remove the line'
            )
        is_query = self.split not in self.TRAIN_SPLITS
        return Tracklet(frames, row.modality, self.camera_names.index(row.camera), is_query=is_query)


def _key(tracklet: Tracklet) -> tuple[tuple[str, ...], Modality, int]:
    return tracklet.frames, tracklet.modality, tracklet.camera


def _by_folder(frames: Iterable[str]) -> dict[str, list[str]]:
    """Group the paths of pictures by folder, in natural order, without hidden ones."""
    grouped: dict[str, list[str]] = {}
    for frame in sorted(frames, key=natural_key):
        if not any(part.startswith('.') for part in frame.split('/')):
            grouped.setdefault(frame.rpartition('/')[0], []).append(frame)
    return grouped
