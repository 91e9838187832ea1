"""BUPTCampus (Du et al., TIFS 2023): pixel-aligned visible and infrared tracklets under six cameras."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from dscreid.datasets.bupt_index import (
    CAMERAS,
    PAIR,
    Line,
    count_tracklets,
    frames_of,
    parse_lines,
    read_data_paths,
)
from dscreid.datasets.ground_truth import anonymous_rank
from dscreid.datasets.index_files import index_file
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.errors import DatasetError
from dscreid.registry import DATASETS
from dscreid.structures import Modality, Tracklet

LIST_FILES = {
    'train': ('train.txt',),
    'auxiliary': ('train_auxiliary.txt',),
    'train+auxiliary': ('train.txt', 'train_auxiliary.txt'),
    'test': ('query.txt', 'gallery.txt'),
}


class _Entry(NamedTuple):
    tracklet: Tracklet
    line: Line


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

    Published statistics: 1,074 train, 930 auxiliary (one camera each) and 1,076 test identities, 16,826 tracklets,
    1.87 M frames; cameras LS3, G25, CQ1, W4, TSG1, TSG2 (0 to 5). Queries and gallery contain both modalities.

    Each training line describes one visible and one infrared tracklet. All visible tracklets come first, then all
    infrared ones. Within each modality, a labeled split keeps the file order. An unlabeled split sorts by a hash of
    the frame paths, so that the order reveals neither pairs nor identities.

    Person ids must be written in digits if they are used (labeled splits, ground truth). An unlabeled split accepts
    any key. In a test split, -1 means an unknown person; if no key is an id, the split has no identities.

    Args:
        root: Folder of the dataset.
        split: ``'train'``, ``'auxiliary'``, ``'train+auxiliary'`` or ``'test'``.
        fake_ir: Whether visible tracklets read the infrared frames generated from them (``/RGB/`` in a path
            becomes ``/FakeIR/``).
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
        data = read_data_paths(index_file(self.root, 'data_paths.json'))
        if not self.storage.has_folder('DATA'):
            raise DatasetError(f'{self.root / "DATA"}: the image folder is missing; unpack the images there')
        entries = list(self._entries(data))
        entries.sort(key=lambda entry: entry.tracklet.modality is Modality.IR)
        if not self.labelled:
            entries.sort(key=lambda entry: anonymous_rank(entry.tracklet))
        lines = [entry.line for entry in entries]
        pids, is_test = _parse_pids(lines), self.split not in self.TRAIN_SPLITS
        if self.labelled and not (is_test and (pids < 0).all()):
            _require_pids(lines, pids, allow_unknown=is_test)
        wheres = [line.where for line in lines]
        return ParsedIndex([entry.tracklet for entry in entries], pids, wheres, _pair_warnings(entries))

    def _entries(self, data: Mapping[str, Any]) -> Iterator[_Entry]:
        """Yield the tracklets of the split's list files in file order, the visible one of a pair first."""
        for name in LIST_FILES[self.split]:
            for line in self._list_lines(name):
                for modality in Modality:
                    if modality.name not in line.kind.split('/'):
                        continue
                    frames = frames_of(data, line, modality, self.fake_ir and modality is Modality.RGB)
                    camera = CAMERAS.index(line.camera)
                    yield _Entry(Tracklet(frames, modality, camera, is_query=name == 'query.txt'), line)

    def list_lines(self) -> list[Line]:
        """Parse the lines of the split's list files, in file order."""
        return [line for name in LIST_FILES[self.split] for line in self._list_lines(name)]

    def _list_lines(self, name: str) -> list[Line]:
        kinds = (PAIR,) if name.startswith('train') else ('RGB', 'IR')
        return parse_lines(index_file(self.root, name), kinds)

    def census(self) -> dict[str, int]:
        """Count people, tracklets and frames of all splits."""
        people = {
            split: {line.pid for name in LIST_FILES[split] for line in self._list_lines(name) if line.pid != '-1'}
            for split in ('train', 'auxiliary', 'test')
        }
        tracklets, frames = count_tracklets(read_data_paths(index_file(self.root, 'data_paths.json')))
        return {
            **{f'{split} identities': len(pids) for split, pids in people.items()},
            'identities': len(set().union(*people.values())),
            'tracklets': tracklets,
            'frames': frames,
        }


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


def _pair_warnings(entries: list[_Entry]) -> tuple[str, ...]:
    """Warn about training lines whose two tracklets differ in length."""
    lengths: dict[str, set[int]] = {}
    for entry in entries:
        lengths.setdefault(entry.line.where, set()).add(len(entry.tracklet))
    unequal = [where for where, found in lengths.items() if len(found) > 1]
    if not unequal:
        return ()
    return (
        f'{len(unequal)} training lines have a visible and an infrared tracklet of different lengths, which '
        f'the layout calls aligned; first: {unequal[0]}',
    )
