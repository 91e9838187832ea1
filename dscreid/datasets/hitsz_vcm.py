"""HITSZ-VCM (Lin et al., CVPR 2022): visible and infrared tracklets of pedestrians under twelve cameras."""

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dscreid.datasets.index_files import RESTORE, index_file, parse_integer, parse_lines, shortened
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.registry import DATASETS
from dscreid.structures import Modality, Tracklet

FRAME_NAME = re.compile(r'(\d{4})M([12])D(\d{1,9})T(\d{1,9})F([^/\\\x00-\x1f\x7f]+)', re.ASCII)


class FrameNames(NamedTuple):
    """Frames of a name file: paths below the parent of the person folders, and the numbers in each name, int64 (n,)."""

    paths: list[str]
    persons: np.ndarray
    kinds: np.ndarray  # 1 for infrared, 2 for visible
    cameras: np.ndarray
    tracks: np.ndarray


@DATASETS.register_module()
class HITSZVCM(TrackletDataset):
    """HITSZ-VCM in its original layout.

    .. code-block:: text

        ROOT/
          info/                      (or the five files directly under ROOT)
            train_name.txt           one frame name per line
            track_train_info.txt     one tracklet per line: m start end pid camid
            test_name.txt  track_test_info.txt
            query_IDX.txt            1-based line numbers of the queries in track_test_info.txt
          Train/0001/rgb/D1/...      (or ROOT/data/0001/..., or ROOT/0001/...)
          Train/0001/ir/D2/...
          Test/...

    The queries of the test split are infrared.

    Args:
        root: Folder of the dataset.
        split: ``'train'`` or ``'test'``.
        foreign_frames: What to do with frames whose names give another person (only in a labeled split), modality or
            camera than their tracklet, as in 39 tracklets of the released train index: ``'keep'`` (as in the official
            protocol) or ``'drop'``, both with a warning, or ``'error'``.
        **kwargs: See ``TrackletDataset``. The official protocol uses ``min_seq_len=12``, the default here.
    """

    NAME = 'hitsz_vcm'
    MIN_SEQ_LEN = 12
    LAYOUT = (
        'info/{train_name,track_train_info,test_name,track_test_info,query_IDX}.txt and images in '
        'Train/0001/rgb/D1/ and Test/..., data/0001/... or 0001/...'
    )
    INDEX_FILES = tuple(
        f'{folder}{name}.txt'
        for folder in ('info/', '')
        for name in ('train_name', 'track_train_info', 'test_name', 'track_test_info', 'query_IDX')
    )
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = {
        'train identities': 500,
        'test identities': 427,
        'identities': 927,
        'visible frames': 251_452,
        'infrared frames': 211_807,
    }

    def __init__(self, root: str | Path, split: str, foreign_frames: str = 'keep', **kwargs: Any) -> None:
        if foreign_frames not in ('keep', 'drop', 'error'):
            raise ConfigError(f"foreign_frames must be 'keep', 'drop' or 'error', got {foreign_frames!r}")
        self.foreign_frames = foreign_frames
        super().__init__(root, split, **kwargs)

    def read_tracks(self) -> tuple[np.ndarray, FrameNames, Path]:
        """Read the split's tracklets (see ``parse_tracks``), its frame names, and the path of the tracklet file."""
        names = parse_frame_names(self._info_file(f'{self.split}_name.txt'))
        path = self._info_file(f'track_{self.split}_info.txt')
        return parse_tracks(path, len(names.paths)), names, path

    def parse_index(self) -> ParsedIndex:
        """Read the split's index files."""
        tracks, names, path = self.read_tracks()
        if self.labelled and self.split in self.TRAIN_SPLITS:
            _require_pids(tracks, path)
        dropped, warnings = self._check_foreign(tracks, names, path)
        queries: list[int] = []
        if self.split == 'test':
            queries = parse_query_rows(self._info_file('query_IDX.txt'), len(tracks))
        is_query = np.isin(np.arange(len(tracks)), queries).tolist()
        prefix = self._image_prefix(names)
        tracklets = [
            Tracklet(
                frames=tuple(prefix + names.paths[i] for i in range(start - 1, end) if i not in dropped.get(row, ())),
                modality=Modality.IR if kind == 1 else Modality.RGB,
                camera=camera,
                is_query=is_query[row],
            )
            for row, (kind, start, end, _, camera) in enumerate(tracks.tolist())
        ]
        wheres = [f'{path}:{line}' for line in range(1, len(tracks) + 1)]
        return ParsedIndex(tracklets, tracks[:, 3], wheres, warnings)

    def _check_foreign(
        self, tracks: np.ndarray, names: FrameNames, path: Path
    ) -> tuple[dict[int, list[int]], tuple[str, ...]]:
        """Find foreign frames; return those to leave out, by row, and the warnings."""
        found = _find_foreign(tracks, names, compare_persons=self.labelled)
        if not found:
            return {}, ()
        lines = [
            f'{path.name}:{row + 1} ({len(frames)} of {tracks[row, 2] - tracks[row, 1] + 1} frames, '
            f'first {names.paths[frames[0]]})'
            for row, frames in found.items()
        ]
        phrases = shortened(lines, 50)
        compared = 'another person, modality or camera' if self.labelled else 'another modality or camera'
        fault = f'{len(found)} tracklets hold frames whose names carry {compared}'
        if self.foreign_frames == 'error':
            raise DatasetError(f'{path}:{min(found) + 1}: {fault}: {phrases}; correct the index or set foreign_frames')
        if self.foreign_frames == 'keep':
            return {}, (f'{path}: {fault}, kept, as in the official protocol: {phrases}',)
        return found, (f'{path}: {fault}, left out: {phrases}',)

    def _info_file(self, name: str) -> Path:
        wanted = f'track_{self.split}_info.txt'
        folders = ('info/', '')
        for folder in folders:
            if (self.root / folder / wanted).is_file():
                return index_file(self.root, folder + name)
        tried = ' and '.join(str(self.root / folder / wanted) for folder in folders)
        raise MissingFileError(f'{self.root}: index file {wanted} is missing (tried {tried}); expected: {self.LAYOUT}')

    def _image_prefix(self, names: FrameNames) -> str:
        """Find the parent of the person folders below ROOT: ``'Train/'`` or ``'Test/'``, ``'data/'``, or ``''``."""
        probes = [names.paths[i] for i in np.linspace(0, len(names.paths) - 1, 16).astype(int)]
        people = {path.split('/')[0] for path in probes}
        prefixes = (f'{self.split.capitalize()}/', 'data/', '')
        for prefix in prefixes:
            if any(self.storage.has_folder(prefix + person) for person in people):
                return prefix
        tried = ', '.join(str(self.root / prefix / min(people)) for prefix in prefixes)
        raise MissingFileError(
            f'{self.root}: no folder with images of split {self.split!r} was found (tried {tried}); '
            'unpack the image archive there'
        )

    def census(self) -> dict[str, int]:
        """Count people and frames of all splits."""
        tracks = {split: parse_tracks(self._info_file(f'track_{split}_info.txt')) for split in self.SPLITS}
        everything = np.concatenate(list(tracks.values()))
        lengths = everything[:, 2] - everything[:, 1] + 1
        counts = {
            'visible frames': int(lengths[everything[:, 0] == 2].sum()),
            'infrared frames': int(lengths[everything[:, 0] == 1].sum()),
        }
        known = {split: t[t[:, 3] >= 0, 3] for split, t in tracks.items()}  # negative ids are unknown persons
        if not any(map(len, known.values())):
            return counts
        identities = {f'{split} identities': len(np.unique(pids)) for split, pids in known.items()}
        return {**counts, **identities, 'identities': sum(identities.values())}


def parse_frame_names(path: Path) -> FrameNames:
    """Parse ``train_name.txt`` or ``test_name.txt``, with one name ``PPPPM{m}D{cam}T{track}F{picture}`` per line.

    ``0001M1D3T2F14.jpg`` is the file ``0001/ir/D3/14.jpg``.
    """
    parsed = parse_lines(path, _parse_frame_name)
    return FrameNames([frame for frame, _ in parsed], *np.array([numbers for _, numbers in parsed], dtype=np.int64).T)


def _parse_frame_name(name: str) -> tuple[str, tuple[int, ...]]:
    match = FRAME_NAME.fullmatch(name)
    if match is None or match[5] in ('.', '..'):
        raise ValueError(f'{name[:80]!r} is not a frame name such as 0001M1D3T2F14.jpg (M1: infrared, M2: visible)')
    person, kind, camera, track, picture = match.groups()
    folder = 'ir' if kind == '1' else 'rgb'
    return f'{person}/{folder}/D{camera}/{picture}', (int(person), int(kind), int(camera), int(track))


def parse_tracks(path: Path, num_names: int | None = None) -> np.ndarray:
    """Parse ``track_train_info.txt`` or ``track_test_info.txt``, int64 (N, 5): ``m start end pid camid``.

    ``start`` and ``end`` are 1-based, inclusive lines of the name file, which has ``num_names`` (None: unknown).
    """
    return np.array(parse_lines(path, lambda line: _parse_track(line, num_names)), dtype=np.int64)


def _parse_track(line: str, num_names: int | None) -> list[int]:
    try:
        kind, start, end, _, _ = track = [parse_integer(field) for field in line.split()]
    except ValueError:
        raise ValueError(f'expected five integers "m start end pid camid", got {line[:80]!r}; {RESTORE}') from None
    if kind not in (1, 2):
        raise ValueError(f'm must be 1 (infrared) or 2 (visible), got {kind}; correct the line')
    if start < 1 or end < start or (num_names is not None and end > num_names):
        limit = '' if num_names is None else f' of {num_names:,} lines'
        raise ValueError(
            f'frames {start} to {end} are not in the name file{limit}; take both files from the same archive'
        )
    return track


def parse_query_rows(path: Path, num_tracks: int) -> list[int]:
    """Parse ``query_IDX.txt``, with 1-based line numbers of ``track_test_info.txt``, to zero-based rows."""
    rows = parse_lines(path, lambda line: [_parse_query(field, num_tracks) for field in line.split()])
    return list(chain.from_iterable(rows))


def _parse_query(field: str, num_tracks: int) -> int:
    number = int(field) if field.isascii() and field.isdigit() and len(field) <= 18 else 0
    if not 1 <= number <= num_tracks:
        raise ValueError(f'expected line numbers from 1 to {num_tracks:,} of track_test_info.txt, got {field[:40]!r}')
    return number - 1


def _find_foreign(tracks: np.ndarray, names: FrameNames, compare_persons: bool) -> dict[int, list[int]]:
    """Rows of ``tracks`` with frames whose names differ in modality, camera or known person: positions in ``names``."""
    found = {}
    for row, (kind, start, end, pid, camera) in enumerate(tracks.tolist()):
        span = slice(start - 1, end)
        foreign = (names.kinds[span] != kind) | (names.cameras[span] != camera)
        if compare_persons and pid >= 0:
            foreign |= names.persons[span] != pid
        if foreign.any():
            found[row] = (start - 1 + np.flatnonzero(foreign)).tolist()
    return found


def _require_pids(tracks: np.ndarray, path: Path) -> None:
    absent = np.flatnonzero(tracks[:, 3] < 0)
    if len(absent):
        raise DatasetError(f'{path}:{absent[0] + 1}: no person id in column 4; use labelled=False without ids')
