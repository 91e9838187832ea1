"""HITSZ-VCM (Lin et al., CVPR 2022): visible and infrared tracklets of pedestrians under twelve cameras."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dscreid.datasets.hitsz_index import (
    FrameNames,
    describe_foreign_frames,
    find_foreign_frames,
    modality_of,
    parse_frame_names,
    parse_query_rows,
    parse_tracks,
)
from dscreid.datasets.index_files import index_file
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.registry import DATASETS
from dscreid.structures import Tracklet


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

    Published statistics: 500 train and 427 test identities, 251,452 visible and 211,807 infrared frames, mostly 24
    frames per tracklet. The queries of the test split are infrared.

    Args:
        root: Folder of the dataset.
        split: ``'train'`` or ``'test'``.
        foreign_frames: How to handle frames whose names give a different person, modality or camera than their
            tracklet (39 tracklets of the released train index have such frames). ``'keep'`` keeps them, as in the
            official protocol; ``'drop'`` leaves them out; both log a warning. ``'error'`` rejects the index. In an
            unlabeled split, only modality and camera are compared, not the person id.
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
        """Read the split's tracklets (see ``parse_tracks``), its frame names, and the path of the tracklet file.

        Raises:
            DatasetError: If a file is missing or malformed.
        """
        names = parse_frame_names(self._info_file(f'{self.split}_name.txt'))
        path = self._info_file(f'track_{self.split}_info.txt')
        return parse_tracks(path, len(names.paths)), names, path

    def parse_index(self) -> ParsedIndex:
        """Read the split's index files."""
        tracks, names, tracks_file = self.read_tracks()
        if self.labelled and self.split in self.TRAIN_SPLITS:
            _require_pids(tracks, tracks_file)
        is_query = np.zeros(len(tracks), dtype=bool)
        foreign, warnings = self._audit(tracks, names, tracks_file)
        if self.split == 'test':
            query_file = self._info_file('query_IDX.txt')
            rows = parse_query_rows(query_file, len(tracks))
            is_query[rows] = True
            warnings += _repeated_numbers(query_file, rows)
        prefix = self._image_prefix(names)
        tracklets = [
            Tracklet(
                frames=tuple(prefix + names.paths[i] for i in range(start - 1, end) if i not in foreign.get(row, ())),
                modality=modality_of(kind),
                camera=camera,
                is_query=bool(is_query[row]),
            )
            for row, (kind, start, end, _, camera) in enumerate(tracks.tolist())
        ]
        wheres = [f'{tracks_file}:{line}' for line in range(1, len(tracks) + 1)]
        return ParsedIndex(tracklets, tracks[:, 3], wheres, warnings)

    def _audit(
        self, tracks: np.ndarray, names: FrameNames, path: Path
    ) -> tuple[dict[int, frozenset[int]], tuple[str, ...]]:
        """Find foreign frames; return those to leave out, by row, and the warnings."""
        found = find_foreign_frames(tracks, names, compare_persons=self.labelled)
        if not found:
            return {}, ()
        compared = 'another person, modality or camera' if self.labelled else 'another modality or camera'
        phrases = ', '.join(describe_foreign_frames(found, path, names, limit=50))
        fault = f'{len(found)} tracklets hold frames whose names carry {compared}'
        if self.foreign_frames == 'error':
            raise DatasetError(
                f'{path}:{found[0].row + 1}: {fault}: {phrases}; correct the index, or set '
                "foreign_frames='keep' or 'drop'"
            )
        if self.foreign_frames == 'keep':
            return {}, (f'{path}: {fault}, kept, as in the official protocol: {phrases}',)
        dropped = {f.row: frozenset(f.frames.tolist()) for f in found}
        return dropped, (f'{path}: {fault}, left out: {phrases}',)

    def _info_file(self, name: str) -> Path:
        """Path of an index file in the folder with the split's info file, ``ROOT/info`` or ROOT."""
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


def _repeated_numbers(path: Path, rows: np.ndarray) -> tuple[str, ...]:
    """Warn if the query list names a tracklet more than once."""
    numbers, counts = np.unique(rows + 1, return_counts=True)
    again = numbers[counts > 1]
    if not len(again):
        return ()
    more = f' and {len(again) - 5} more' if len(again) > 5 else ''
    shown = ', '.join(map(str, again[:5].tolist())) + more
    return (f'{path}: names {len(again)} tracklets more than once ({shown}); each counts once',)


def _require_pids(tracks: np.ndarray, path: Path) -> None:
    absent = np.flatnonzero(tracks[:, 3] < 0)
    if len(absent):
        raise DatasetError(
            f'{path}:{absent[0] + 1}: no person id (column 4 is {tracks[absent[0], 3]}); a labeled split '
            'needs one in every line; use labelled=False without them'
        )
