"""Walks to render, and what a layout says about the places of their files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from dscreid.structures import Modality

FILE_NAME = '{:04d}.jpg'


class Split(IntEnum):
    """Part of a world. The value is part of the seeds."""

    TRAIN = 0
    AUXILIARY = 1
    TEST = 2


@dataclass(frozen=True)
class PlannedWalk:
    """One walk to render: a tracklet, or a pixel-aligned pair of tracklets."""

    split: Split  #: part of the world
    #: number of the person within the split, starting at 0. Together with ``split``, the seed of the identity.
    person: int
    pid: int  #: person id in the files, starting at 1
    key: int  #: seed of the walk, unique among the walks of the person; the pieces of a cut walk share it
    camera: int  #: camera number, starting at 0
    frames: int  #: number of frames
    folders: dict[Modality, str]  #: folder of the frames for each modality to render, relative to the root
    first: int = 1  #: number of the first frame's file
    tracklet: int = 1  #: tracklet number in the files
    file_name: str = FILE_NAME  #: name of a file, a format of its number
    begin: int = 0  #: first frame of the walk that belongs to this tracklet
    length: int | None = None  #: number of frames of the whole walk. None: this tracklet is all of it.

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities to render."""
        return tuple(self.folders)

    def files(self, modality: Modality) -> list[str]:
        """Return the paths of the frames relative to the root, in temporal order."""
        return [f'{self.folders[modality]}/{self.file_name.format(self.first + n)}' for n in range(self.frames)]

    def fake_files(self) -> list[str]:
        """Return the paths of the FakeIR frames that belong to the visible frames."""
        return [file.replace('/RGB/', '/FakeIR/') for file in self.files(Modality.RGB)]


class FilePlace(NamedTuple):
    """Where the frames of a walk lie."""

    folder: str  #: relative to the root
    name: str = FILE_NAME  #: name of a file, a format of its number


@dataclass(frozen=True)
class UnpairedLayout:
    """A layout in which visible and infrared walks are independent."""

    place: Callable[[Split, Modality, int, int], FilePlace]  #: place of a walk by split, modality, person id and camera
    index: Callable[[list[PlannedWalk]], dict[str, str]]  #: index files, text by path, of the walks of all people
    cameras: Mapping[Modality, Sequence[int]] | None = None  #: cameras of each modality, from 0; None: the spec's


def lines_of(lines: list[str]) -> str:
    """Join the lines of a text file."""
    return ''.join(f'{line}\n' for line in lines)
