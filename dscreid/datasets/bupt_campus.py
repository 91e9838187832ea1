"""BUPTCampus (Du et al., TIFS 2023): pixel-aligned visible and infrared tracklets under six cameras."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dscreid.datasets.index_files import RESTORE, check_paths, index_file, parse_lines, read_json
from dscreid.datasets.records import anonymous_rank
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.errors import DatasetError
from dscreid.registry import DATASETS
from dscreid.structures import Modality, Tracklet

CAMERAS = ('LS3', 'G25', 'CQ1', 'W4', 'TSG1', 'TSG2')
LIST_FILES = {
    'train': ('train.txt',),
    'auxiliary': ('train_auxiliary.txt',),
    'train+auxiliary': ('train.txt', 'train_auxiliary.txt'),
    'test': ('query.txt', 'gallery.txt'),
}


class Line(NamedTuple):
    """One line of a list file as written, with its ``file:line``; ``kind`` is RGB, IR or RGB/IR."""

    where: str
    pid: str
    kind: str
    camera: str
    tracklet: str


@DATASETS.register_module()
class BUPTCampus(TrackletDataset):
    """BUPTCampus in its original layout.

    .. code-block:: text

        ROOT/
          DATA/...               images
          data_paths.json        {pid: {"RGB"|"IR"|"FakeIR": {camera: {tracklet_id: [path in DATA, ...]}}}}
          train.txt              pid RGB/IR camera tracklet_id   (one pixel-aligned pair per line)
          train_auxiliary.txt    the same
          query.txt              pid RGB|IR camera tracklet_id
          gallery.txt            the same

    Cameras are numbered as in ``CAMERAS``. Queries and gallery contain both modalities. All visible tracklets come
    first, then all infrared ones: in a labeled split in file order, in an unlabeled one by a hash of the frame paths,
    so that the order reveals neither pairs nor identities.

    Person ids must be written in digits if they are used (labeled splits, ground truth). An unlabeled split accepts
    any key. In a test split, -1 means an unknown person; if no key is an id, the split has no identities.

    Args:
        root: Folder of the dataset.
        split: ``'train'``, ``'auxiliary'``, ``'train+auxiliary'`` or ``'test'``.
        fake_ir: Whether visible tracklets read the infrared frames generated from them (``/FakeIR/``).
        **kwargs: See ``TrackletDataset``.
    """

    NAME = 'bupt_campus'
    SPLITS = tuple(LIST_FILES)
    TRAIN_SPLITS = ('train', 'auxiliary', 'train+auxiliary')
    LAYOUT = 'DATA/, data_paths.json, train.txt, train_auxiliary.txt, query.txt and gallery.txt'
    INDEX_FILES = ('data_paths.json', 'train.txt', 'train_auxiliary.txt', 'query.txt', 'gallery.txt')
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = {
        'train identities': 1_074,
        'auxiliary identities': 930,
        'test identities': 1_076,
        'identities': 3_080,
        'tracklets': 16_826,
        'frames': (1_865_000, 1_875_000),  # published as 1.87 M
    }

    def __init__(self, root: str | Path, split: str, fake_ir: bool = False, **kwargs: Any) -> None:
        self.fake_ir = fake_ir
        super().__init__(root, split, **kwargs)

    def parse_index(self) -> ParsedIndex:
        """Read the split's index files."""
        entries = sorted(self.entries(), key=lambda entry: entry[0].modality is Modality.IR)
        if not self.labelled:
            entries.sort(key=lambda entry: anonymous_rank(entry[0]))
        tracklets, lines = map(list, zip(*entries, strict=True))
        pids, is_test = _parse_pids(lines), self.split not in self.TRAIN_SPLITS
        if self.labelled and not (is_test and (pids < 0).all()):
            _require_pids(lines, pids, allow_unknown=is_test)
        return ParsedIndex(tracklets, pids, [line.where for line in lines])

    def entries(self) -> Iterator[tuple[Tracklet, Line]]:
        """Yield the tracklets of the split's list files in file order, the visible one of a pair first."""
        data = self._read_data_paths()
        if not self.storage.has_folder('DATA'):
            raise DatasetError(f'{self.root / "DATA"}: the image folder is missing; unpack the images there')
        for name in LIST_FILES[self.split]:
            for line in self._read_lines(name):
                for modality in Modality:
                    if modality.name not in line.kind.split('/'):
                        continue
                    frames = _frames_of(data, line, modality)
                    if self.fake_ir and modality is Modality.RGB:
                        frames = [_fake(frame, line.where) for frame in frames]
                    camera = CAMERAS.index(line.camera)
                    yield Tracklet(tuple(frames), modality, camera, is_query=name == 'query.txt'), line

    def census(self) -> dict[str, int]:
        """Count people, tracklets and frames of all splits."""
        people = {
            split: {line.pid for name in LIST_FILES[split] for line in self._read_lines(name) if line.pid != '-1'}
            for split in ('train', 'auxiliary', 'test')
        }
        lengths = [
            len(paths)
            for person in _values(self._read_data_paths(), dict)
            for modality in ('RGB', 'IR')
            for tracklets in _values(person.get(modality), dict)
            for paths in _values(tracklets, list)
        ]
        return {
            **{f'{split} identities': len(pids) for split, pids in people.items()},
            'identities': len(set().union(*people.values())),
            'tracklets': len(lengths),
            'frames': sum(lengths),
        }

    def _read_lines(self, name: str) -> list[Line]:
        kinds = ('RGB/IR',) if name.startswith('train') else ('RGB', 'IR')
        path = index_file(self.root, name)
        lines = parse_lines(path, lambda text: _parse_line(text, kinds))
        return [Line(f'{path}:{number}', *fields) for number, fields in enumerate(lines, start=1)]

    def _read_data_paths(self) -> dict[str, Any]:
        """Read ``data_paths.json``; the inner levels are checked when they are used."""
        path = index_file(self.root, 'data_paths.json')
        data = read_json(path)
        if not isinstance(data, dict) or not data:
            raise DatasetError(f'{path}:1: expected a JSON object with person ids as keys; {RESTORE}')
        return data


def _values(mapping: Any, kind: type) -> list[Any]:
    return [value for value in mapping.values() if isinstance(value, kind)] if isinstance(mapping, dict) else []


def _parse_line(text: str, kinds: tuple[str, ...]) -> list[str]:
    fields = text.split()
    if len(fields) != 4:
        raise ValueError(f'expected four fields "pid modality camera tracklet_id", got {text[:80]!r}; {RESTORE}')
    _, kind, camera, _ = fields
    if kind not in kinds:
        raise ValueError(f'modality must be {" or ".join(kinds)} here, got {kind[:40]!r}; correct the line')
    if camera not in CAMERAS:
        raise ValueError(f'unknown camera {camera[:40]!r}, expected one of {", ".join(CAMERAS)}; correct the line')
    return fields


def _frames_of(data: Mapping[str, Any], line: Line, modality: Modality) -> list[str]:
    """Look up the frames of one modality of a line, as paths relative to the dataset's root."""
    keys = (line.pid, modality.name, line.camera, line.tracklet)
    entry: Any = data
    for key in keys:
        entry = entry.get(key) if isinstance(entry, dict) else None
    named = ' '.join(keys)
    if not isinstance(entry, list) or not entry or not all(isinstance(path, str) for path in entry):
        fault = 'is not listed' if entry is None else 'is no list of frame paths'
        raise DatasetError(
            f'{line.where}: tracklet {named!r} {fault} in data_paths.json; take both files from the same archive'
        )
    check_paths(entry, f'{line.where}: tracklet {named!r} of data_paths.json')
    return ['DATA/' + path for path in entry]


def _fake(frame: str, where: str) -> str:
    if '/RGB/' not in frame:
        raise DatasetError(f'{where}: visible frame {frame!r} has no /RGB/ folder to replace; use fake_ir=False')
    return frame.replace('/RGB/', '/FakeIR/')


def _parse_pids(lines: list[Line]) -> np.ndarray:
    """Parse person ids, int64; -1 if an id is not all digits or an earlier line spells it differently."""
    pids: list[int] = []
    spelling: dict[int, str] = {}
    for line in lines:
        is_number = line.pid.isascii() and line.pid.isdigit() and len(line.pid) <= 18
        usable = is_number and spelling.setdefault(int(line.pid), line.pid) == line.pid
        pids.append(int(line.pid) if usable else -1)
    return np.array(pids, dtype=np.int64)


def _require_pids(lines: list[Line], pids: np.ndarray, allow_unknown: bool) -> None:
    """Raise an error for a line without a person id, except -1 (unknown person) if ``allow_unknown``."""
    for line, pid in zip(lines, pids, strict=True):
        if pid < 0 and not (allow_unknown and line.pid == '-1'):
            raise DatasetError(
                f'{line.where}: person id {line.pid[:40]!r} is not a number of its own; a labeled split '
                'needs ids in digits, each written in one way'
            )
