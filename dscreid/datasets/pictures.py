"""Base class of image data sets, whose pictures are tracklets of one frame, and readers of their index files."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dscreid.datasets.bad_frames import OnBadFrame
from dscreid.datasets.index_files import RESTORE, check_paths, index_file, parse_integer, parse_lines, read_lines
from dscreid.datasets.records import anonymous_rank
from dscreid.datasets.tracklet_dataset import ParsedIndex, TrackletDataset
from dscreid.errors import DatasetError
from dscreid.structures import Modality, Tracklet


class Picture(NamedTuple):
    """One picture of an index."""

    frame: str  #: path below the root
    modality: Modality
    camera: int  #: number given by the owners, 0 if unknown
    pid: int
    where: str  #: ``file:line`` of the index that names the picture or its person


class PictureDataset(TrackletDataset):
    """Pictures of one split, each a tracklet of one frame. A subclass implements ``pictures_of``.

    A labeled split is ordered by person, camera and path, on which drawn galleries depend. Infrared test pictures are
    queries. Unless ``on_bad_frame`` handles bad frames, a picture that is missing or has no bytes is an error when the
    data set is created, before anything is trained or evaluated.
    """

    single_frames = True

    @abstractmethod
    def pictures_of(self, split: str) -> list[Picture]:
        """Read the pictures of a split from the index; raises DatasetError, with file and line."""

    def parse_index(self) -> ParsedIndex:
        """Read the split's pictures and check their files."""
        pictures = sorted(self.pictures_of(self.split), key=lambda one: (one.pid, one.camera, one.frame))
        if self.on_bad_frame is OnBadFrame.ERROR:
            self._check_files(pictures)
        is_test = self.split not in self.TRAIN_SPLITS
        entries = [
            (Tracklet((one.frame,), one.modality, one.camera, is_query=is_test and one.modality is Modality.IR), one)
            for one in pictures
        ]
        if not self.labelled:
            entries.sort(key=lambda entry: anonymous_rank(entry[0]))
        pids = np.array([one.pid for _, one in entries], dtype=np.int64)
        unknown = [one for one in pictures if one.camera == 0]
        warning = f'{self.root}: the names of {len(unknown)} pictures of split {self.split!r} tell no camera, such as'
        return ParsedIndex(
            [tracklet for tracklet, _ in entries],
            pids,
            [one.where for _, one in entries],
            (f'{warning} {unknown[0].frame}; their camera is 0',) if unknown else (),
        )

    def _check_files(self, pictures: Iterable[Picture]) -> None:
        known = set(self.storage.list_frames())
        for one in pictures:
            is_missing = one.frame not in known
            if is_missing or self.storage.is_empty(one.frame):
                fault = 'is missing' if is_missing else 'has no bytes'
                raise DatasetError(
                    f'{one.where}: picture {self.root / one.frame} {fault}; {self.storage.remedy}, or set the '
                    "dataset's on_bad_frame"
                )

    def census(self) -> dict[str, int]:
        """Count persons and pictures of all splits."""
        counts = {'pictures': 0}
        for split in self.SPLITS:
            pictures = self.pictures_of(split)
            infrared = sum(one.modality is Modality.IR for one in pictures)
            counts[f'{split} identities'] = len({one.pid for one in pictures})
            counts[f'{split} visible pictures'] = len(pictures) - infrared
            counts[f'{split} infrared pictures'] = infrared
            counts['pictures'] += len(pictures)
        return counts

    def in_folders(self, ids_files: Iterable[str], folders: Mapping[str, tuple[Modality, int]]) -> list[Picture]:
        """List the pictures in ``FOLDER/<4-digit id>/`` of all persons of some id files.

        ``folders`` maps paths below the root to modality and camera. Raises DatasetError if a folder is missing, a
        person has no picture, or two files list the same person.
        """
        persons: dict[str, tuple[int, Path]] = {}
        for path in (index_file(self.root, name) for name in ids_files):
            for pid in parse_ids(path):
                other = persons.setdefault(f'{pid:04d}', (pid, path))[1]
                if other is not path:
                    raise DatasetError(f'{path}:1: person {pid} is also in {other}; {RESTORE}')
        for folder in folders:
            if not self.storage.has_folder(folder):
                raise DatasetError(
                    f'{self.root / folder}: the folder of this camera is missing; unpack the dataset archive again'
                )
        pictures = []
        for frame in self.storage.list_frames():
            folder, person, name = f'//{frame}'.rsplit('/', 2)
            folder = folder.removeprefix('//')
            if folder in folders and person in persons and not name.startswith('.'):
                pid, path = persons[person]
                pictures.append(Picture(frame, *folders[folder], pid, f'{path}:1'))
        found = {one.pid for one in pictures}
        for pid, path in persons.values():
            if pid not in found:
                raise DatasetError(
                    f'{path}:1: person {pid} has no picture in {", ".join(folders)}; unpack the dataset archive again'
                )
        return pictures

    def in_lists(self, lists: Mapping[str, Modality], camera_of: Callable[[str, Modality], int]) -> list[Picture]:
        """List the pictures of index files with lines ``path label``; the label is the person.

        ``lists`` maps index files to the modality of their pictures. ``camera_of`` maps path and modality to a camera.
        """
        pictures = []
        for name, modality in lists.items():
            path = index_file(self.root, name)
            for number, (frame, label) in enumerate(parse_lines(path, parse_labeled_path), start=1):
                where = f'{path}:{number}'
                check_paths([frame], where)
                pictures.append(Picture(frame, modality, camera_of(frame, modality), label, where))
        return pictures


def parse_ids(path: Path) -> list[int]:
    """Read a file with one line of comma-separated person ids, each once; raises DatasetError."""
    lines = read_lines(path)
    if len(lines) > 1:
        raise DatasetError(f'{path}:2: expected one line of comma-separated person ids; {RESTORE}')
    pids: list[int] = []
    for place, field in enumerate(lines[0].split(','), start=1):
        try:
            pid = parse_integer(field.strip())
        except ValueError:
            hint = 'remove the comma' if not field.strip() else RESTORE
            raise DatasetError(f'{path}:1: entry {place}, {field[:40]!r}, is no person id; {hint}') from None
        if not 0 <= pid <= 9999 or pid in pids:
            fault = 'is listed twice' if pid in pids else 'has no folder of four digits'
            raise DatasetError(f'{path}:1: person {pid} {fault}; {RESTORE}')
        pids.append(pid)
    return pids


def parse_labeled_path(line: str) -> tuple[str, int]:
    """Parse ``path label``; raises ValueError."""
    frame, _, label = line.rpartition(' ')
    try:
        number = parse_integer(label)
    except ValueError:
        number = -1
    if not frame or number < 0:
        raise ValueError(f'expected "path label", got {line[:80]!r}; {RESTORE}')
    return frame.strip(), number
