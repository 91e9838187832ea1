"""Interface of the places that store the rows of a gallery."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_conditions import Condition
from dscreid.deployment.gallery_rows import Entry, by_start, entry_of

FORMAT = 1
#: Columns of an answer, without picture and feature.
FACTS = ('tracklet', 'camera', 'modality', 'start_time', 'end_time', 'zoned', 'folder')


class Storage(ABC):
    """Rows of a gallery.

    A row is a dict of the requested columns: those of ``Entry``, with times as ``as_stored`` makes them, and ``zoned``
    and ``feature``. A condition of None is always met. Errors of the storage are raised as ``GalleryError``.

    Attributes:
        place: Folder or address, as messages name it.
        name: Short name.
        about: What ``describe`` returned when the gallery was made.
        erases_at_once: Whether removed rows are gone from the disk when ``rewrite`` returns.
    """

    place: str
    name: str
    about: dict[str, Any]
    erases_at_once: bool

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Wait for other writers if the storage cannot isolate their changes."""

    @abstractmethod
    def add(self, entries: Sequence[Entry], features: npt.NDArray[np.float32], replace: bool) -> int:
        """Insert rows, and replace existing ones if asked to; return how many."""

    @abstractmethod
    def finish_adding(self) -> None:
        """Bring parts and index up to date after many calls of ``add``."""

    @abstractmethod
    def delete(self, condition: Condition) -> int:
        """Delete rows; return how many."""

    @abstractmethod
    def rewrite(self, index: bool) -> None:
        """Erase what was deleted or replaced, and make an index or drop it."""

    @abstractmethod
    def count(self, condition: Condition | None = None) -> int:
        """Count rows."""

    @abstractmethod
    def rows(
        self, condition: Condition | None, columns: Sequence[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Read rows in any order."""

    @abstractmethod
    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, condition: Condition | None, probes: int | None
    ) -> list[tuple[dict[str, Any], float]]:
        """Find the rows of the most similar features, with the inner products, best first; exactly without probes."""

    @abstractmethod
    def indexed(self) -> int | None:
        """Count the rows in the index; None without an index."""

    @abstractmethod
    def num_bytes(self) -> int | None:
        """Measure the size on disk; None if it is unknown."""

    # Storages that can do the following without reading all rows override it.

    def features(self, condition: Condition | None) -> tuple[list[dict[str, Any]], npt.NDArray[np.float32]]:
        """Read rows in any order, and their features, float32 (N, D)."""
        rows = self.rows(condition, (*FACTS, 'feature'))
        features = np.array([row.pop('feature') for row in rows], np.float32)
        return rows, features.reshape(len(rows), self.about['size'])

    def page(self, condition: Condition | None, text: str, start: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Count the rows whose names contain a text in any case, and read some in the order of ``by_start``."""
        rows = [row for row in self.rows(condition, FACTS) if text.lower() in row['tracklet'].lower()]
        return len(rows), sorted(rows, key=by_start)[start : start + limit]

    def counts_and_times(self) -> tuple[dict[tuple[str, str], int], tuple[datetime, datetime] | None]:
        """Count rows by (camera, modality), sorted; also return the earliest start and the latest end, if known."""
        entries = [entry_of(row) for row in self.rows(None, ('camera', 'modality', 'start_time', 'end_time', 'zoned'))]
        counts = Counter((entry.camera, entry.modality.value) for entry in entries)
        starts = [entry.start_time for entry in entries if entry.start_time is not None]
        ends = [time for entry in entries if (time := entry.end_time or entry.start_time) is not None]
        return dict(sorted(counts.items())), (min(starts), max(ends)) if starts else None


def describe(bundle: Bundle) -> dict[str, Any]:
    """Describe the model of a new gallery."""
    return {
        'format': FORMAT,
        'fingerprint': bundle.fingerprint,
        'model': bundle.name,
        'license': bundle.license,
        'training_data': bundle.training_data,
        'size': bundle.feature['size'],
    }
