"""A gallery: add, remove and search tracklets and their features, wherever they are stored."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_conditions import Condition, Not, OneOf, Zoned, all_of
from dscreid.deployment.gallery_filters import Filters, older_than
from dscreid.deployment.gallery_rows import Entry, Hit, Statistics, by_start, entry_of, zoned_of
from dscreid.deployment.gallery_storage import FACTS, FORMAT, Storage
from dscreid.errors import ConfigError, GalleryError

#: A gallery of fewer tracklets needs no index.
SMALLEST_INDEX = 1_000


class Gallery:
    """Tracklets with the features of one model; ``open_gallery`` opens one.

    Args:
        storage: Where the rows are.
        bundle: The model, which must be the gallery's; None only to look at tracklets or remove them.

    Attributes:
        place: Folder or address of the gallery.
        name: Short name.
        about: ``fingerprint``, ``model``, ``license``, ``training_data`` and feature ``size`` of its bundle.

    Raises:
        GalleryError: If the gallery holds features of another model.
    """

    def __init__(self, storage: Storage, bundle: Bundle | None = None) -> None:
        self.storage, self.place, self.name = storage, storage.place, storage.name
        self.about = storage.about
        if self.about.get('format') != FORMAT:
            raise GalleryError(f'{self.place}: written in a format that this version does not know; update dscreid')
        if bundle is not None and bundle.fingerprint != self.about['fingerprint']:
            raise GalleryError(
                f'{self.place}: holds features of the model {self.about["model"]!r} ({self.about["fingerprint"]}), '
                f'not of {bundle.name!r} ({bundle.fingerprint}); use the bundle of the gallery, or make another one'
            )

    def __len__(self) -> int:
        """Number of tracklets."""
        return self.storage.count()

    def folders(self, names: Sequence[str]) -> dict[str, str]:
        """Return the folders of those named tracklets that the gallery has, by name."""
        found: dict[str, str] = {}
        for start in range(0, len(names), 1_000):
            rows = self.storage.rows(OneOf('tracklet', tuple(names[start : start + 1_000])), ('tracklet', 'folder'))
            found |= {row['tracklet']: row['folder'] for row in rows}
        return found

    def at(self, folder: Path) -> Entry | None:
        """Find the tracklet whose pictures are in a folder; None if there is none, or if several share the folder."""
        rows = self.storage.rows(OneOf('folder', (str(folder.resolve()),)), FACTS, limit=2)
        return entry_of(rows[0]) if len(rows) == 1 else None

    def find(self, name: str) -> tuple[Entry, npt.NDArray[np.float32]] | None:
        """Find a tracklet by its name, with its feature, float32 (D,); None if the gallery lacks it."""
        rows = self.storage.rows(OneOf('tracklet', (name,)), (*FACTS, 'thumbnail', 'feature'))
        return (entry_of(rows[0]), np.array(rows[0]['feature'], np.float32)) if rows else None

    def add(self, entries: Sequence[Entry], features: npt.NDArray[np.float32], replace: bool = False) -> int:
        """Add tracklets.

        Args:
            entries: N tracklets with different names.
            features: float32 (N, D).
            replace: Whether to replace tracklets that the gallery has already; otherwise they stay as they are.

        Returns:
            Number of added or replaced tracklets.

        Raises:
            GalleryError: If some times have a time zone and others, also in the gallery, have none.
        """
        if features.shape != (len(entries), self.about['size']) or not np.isfinite(features).all():
            raise ValueError(f'features must be finite ({len(entries)}, {self.about["size"]}), got {features.shape}')
        if len({entry.tracklet for entry in entries}) != len(entries):
            raise ValueError('tracklets of one call must have different names')
        if not entries:
            return 0
        with self.storage.writing():
            self._check_zones(entries)
            return self.storage.add(entries, features, replace)

    def finish_adding(self) -> None:
        """Bring parts and index up to date after many calls of ``add``."""
        self.storage.finish_adding()

    def remove(self, names: Sequence[str] = (), filters: Filters | None = None) -> int:
        """Remove tracklets by name and filters, and erase their pictures and features.

        Returns:
            Number of removed tracklets.

        Raises:
            ConfigError: If neither names nor filters are given.
        """
        self._check_zone_of(filters)
        named = OneOf('tracklet', tuple(names)) if names else None
        condition = all_of([named, filters.condition() if filters else None])
        if condition is None:
            raise ConfigError('name the tracklets to remove, or give a filter such as --camera')
        return self._remove(condition)

    def prune(self, age: timedelta, now: datetime | None = None) -> int:
        """Remove and erase tracklets that ended longer ago than ``age``; see ``older_than`` for the rules.

        Returns:
            Number of removed tracklets.
        """
        return self._remove(older_than(age, now))

    def compact(self, index: bool | None = None) -> None:
        """Rewrite the gallery without anything that was removed or replaced.

        Args:
            index: Whether to make an index for approximate searches; None to rebuild it if there is one.

        Raises:
            GalleryError: If there are too few tracklets for an index.
        """
        with self.storage.writing():
            count = len(self)
            if index and count < SMALLEST_INDEX:
                raise GalleryError(
                    f'{self.place}: has {count:,} tracklets; an index needs at least {SMALLEST_INDEX:,}, and fewer '
                    'are searched quickly without one'
                )
            wanted = self.storage.indexed() is not None if index is None else index
            self.storage.rewrite(wanted and count >= SMALLEST_INDEX)

    def query(self, filters: Filters | None = None, limit: int | None = None) -> list[Entry]:
        """List tracklets in the order of their start, those without a time last, without thumbnails.

        Args:
            filters: Conditions; None for all.
            limit: Largest number of tracklets; None for all.
        """
        self._check_zone_of(filters)
        rows = self.storage.rows(filters.condition() if filters else None, FACTS)
        return [entry_of(row) for row in sorted(rows, key=by_start)[:limit]]

    def page(
        self, filters: Filters | None = None, text: str = '', start: int = 0, limit: int = 60
    ) -> tuple[int, list[Entry]]:
        """Count the tracklets whose names contain a text, in upper or lower case, and list some in ``query``'s order.

        Args:
            filters: Conditions; None for all.
            text: The text.
            start: Number of tracklets before the first listed one, at least 0.
            limit: Largest number of listed tracklets, at least 1.
        """
        self._check_zone_of(filters)
        count, rows = self.storage.page(filters.condition() if filters else None, text, start, limit)
        return count, [entry_of(row) for row in rows]

    def features(self, filters: Filters | None = None) -> tuple[list[Entry], npt.NDArray[np.float32]]:
        """Read the tracklets that ``query`` lists, in the same order, with their features, float32 (N, D).

        Args:
            filters: Conditions; None for all.
        """
        self._check_zone_of(filters)
        rows, features = self.storage.features(filters.condition() if filters else None)
        order = sorted(range(len(rows)), key=lambda number: by_start(rows[number]))
        return [entry_of(rows[number]) for number in order], features[order]

    def search(
        self,
        features: npt.NDArray[np.float32],
        top: int = 20,
        filters: Filters | None = None,
        leave_out: Sequence[str | None] | None = None,
        probes: int | None = None,
    ) -> list[list[Hit]]:
        """Find the most similar tracklets of each query, best first.

        Args:
            features: float32 (Q, D), features of the gallery's model.
            top: Largest number of answers of a query, at least 1.
            filters: Conditions for answers; None for all.
            leave_out: For each query, the name of a tracklet that is not an answer, or None.
            probes: Number of parts of the index to search; None searches everything exactly.

        Raises:
            GalleryError: If ``probes`` is given and there is no index.
        """
        self._check_zone_of(filters)
        if probes is not None and self.storage.indexed() is None:
            raise GalleryError(f'{self.place}: has no index; make it with dscreid gallery compact --index')
        left_out = [None] * len(features) if leave_out is None else leave_out
        where = filters.condition() if filters else None
        answers = []
        for feature, name in zip(features, left_out, strict=True):
            others = None if name is None else Not(OneOf('tracklet', (name,)))
            found = self.storage.nearest(feature, top, all_of([where, others]), probes)
            answers.append([Hit(entry_of(row), similarity) for row, similarity in found])
        return answers

    def statistics(self) -> Statistics:
        """Count the tracklets."""
        counts, times = self.storage.counts_and_times()
        size, indexed = self.storage.num_bytes(), self.storage.indexed()
        return Statistics(sum(counts.values()), counts, times, size, indexed)

    def _remove(self, condition: Condition) -> int:
        with self.storage.writing():
            removed = self.storage.delete(condition)
        if removed:
            self.compact()
        return removed

    def _check_zones(self, entries: Sequence[Entry]) -> None:
        kinds = {zoned_of(entry) for entry in entries} - {None}
        kinds |= {kind for kind in (True, False) if self.storage.count(Zoned(kind))}
        if len(kinds) > 1:
            raise GalleryError(
                f'{self.place}: times with and without a time zone cannot be compared; write all times of '
                'tracklets.csv in one way, or use two galleries'
            )

    def _check_zone_of(self, filters: Filters | None) -> None:
        if filters is not None and filters.zoned is not None and self.storage.count(Zoned(not filters.zoned)):
            given, has = ('a', 'none') if filters.zoned else ('no', 'one')
            raise ConfigError(f'--from and --to have {given} time zone, but the times of {self.place} have {has}')
