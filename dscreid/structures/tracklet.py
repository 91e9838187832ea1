"""A tracklet: a sequence of person crops from one camera, in one modality."""

from dataclasses import dataclass
from enum import Enum


class Modality(str, Enum):
    """Spectrum of a tracklet; its values are the names used in configs, logs and results."""

    RGB = 'rgb'
    IR = 'ir'

    @property
    def other(self) -> 'Modality':
        """The opposite modality."""
        return Modality.IR if self is Modality.RGB else Modality.RGB


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One record of a dataset's index.

    Attributes:
        frames: Image paths in temporal order, relative to the dataset's root, with ``/`` as separator.
        modality: Visible or infrared.
        camera: Original camera number of the dataset.
        pid: Original person id of the dataset; ``None`` in an unlabeled split or if the person is unknown.
        is_query: Whether the official protocol lists the tracklet as a query (only in test splits).
    """

    frames: tuple[str, ...]
    modality: Modality
    camera: int
    pid: int | None = None
    is_query: bool = False

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)
