"""A gallery: tracklets and their features in a folder on disk, added, removed and searched with LanceDB."""

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_filters import Filters, older_than, one_of, quoted
from dscreid.deployment.gallery_rows import METADATA, Entry, as_table, counts_and_times, entry_of, schema_of, zoned_of
from dscreid.deployment.lance_files import system_error, undone_if_incomplete
from dscreid.errors import ConfigError, GalleryError
from dscreid.utils.files import locked

FORMAT = 1
TABLE = 'tracklets'
_LOCK = '.dscreid.lock'
#: Columns of an answer, without picture and feature.
_FACTS = ('tracklet', 'camera', 'modality', 'start_time', 'end_time', 'zoned', 'folder')
#: Columns by which lists are sorted.
_ORDER = ('start_time', 'tracklet')
#: Without an index, a search reads all small parts; so many are joined after adding.
_MOST_PARTS = 64
#: A gallery of fewer tracklets needs no index.
SMALLEST_INDEX = 1_000


@dataclass(frozen=True)
class Hit:
    """A found tracklet, and the inner product of its feature and the query's."""

    entry: Entry
    similarity: float


@dataclass(frozen=True)
class Statistics:
    """Content of a gallery.

    Attributes:
        count: Number of tracklets.
        cameras: Number of tracklets by (camera, modality).
        times: Earliest start and latest end; None if no time is known.
        num_bytes: Size on disk.
        indexed: Number of tracklets in the index; None without an index.
    """

    count: int
    cameras: Mapping[tuple[str, str], int]
    times: tuple[datetime, datetime] | None
    num_bytes: int
    indexed: int | None


class Gallery:
    """Tracklets with the features of one model.

    Each change is one transaction: a process that is killed leaves it done or not done. Writers wait for each other;
    searches need not wait.

    Args:
        folder: Folder of the gallery.
        bundle: The model, which must be the gallery's; None only to look at tracklets or remove them.
        create: Whether to make the gallery if there is none yet; needs the bundle.

    Attributes:
        folder: Folder of the gallery.
        about: ``fingerprint``, ``model``, ``license``, ``training_data`` and feature ``size`` of its bundle.

    Raises:
        GalleryError: If there is no gallery, it is damaged, or it holds features of another model.
        ConfigError: If LanceDB is not installed.
    """

    def __init__(self, folder: str | Path, bundle: Bundle | None = None, create: bool = False) -> None:
        self.folder = Path(folder)
        _import_lancedb()
        if create and bundle is not None:
            with self._writing():
                if not self._exists():
                    self._create(bundle)
        if not self._exists():
            raise GalleryError(f'{folder}: is no gallery; make one with dscreid gallery add')
        with self._errors():
            self._table = self._database().open_table(TABLE)
            metadata = (self._table.schema.metadata or {}).get(METADATA.encode(), b'{}')
        self.about: dict[str, Any] = json.loads(metadata)
        if self.about.get('format') != FORMAT:
            raise GalleryError(f'{folder}: written in a format that this version does not know; update dscreid')
        if bundle is not None and bundle.fingerprint != self.about['fingerprint']:
            raise GalleryError(
                f'{folder}: holds features of the model {self.about["model"]!r} ({self.about["fingerprint"]}), not of '
                f'{bundle.name!r} ({bundle.fingerprint}); use that bundle, or make another gallery'
            )

    def __len__(self) -> int:
        """Number of tracklets."""
        with self._errors():
            self._table.checkout_latest()
            return self._table.count_rows()

    def folders(self, names: Sequence[str]) -> dict[str, str]:
        """Find out which of the named tracklets the gallery has, with their folders."""
        found: dict[str, str] = {}
        for start in range(0, len(names), 1_000):
            rows = self._rows(one_of('tracklet', names[start : start + 1_000]), ('tracklet', 'folder'))
            found |= {row['tracklet']: row['folder'] for row in rows}
        return found

    def at(self, folder: Path) -> Entry | None:
        """Find the tracklet whose pictures are in a folder; None without one, or if several share it."""
        rows = self._rows(one_of('folder', [str(folder.resolve())]), _FACTS, limit=2)
        return entry_of(rows[0]) if len(rows) == 1 else None

    def find(self, name: str) -> tuple[Entry, npt.NDArray[np.float32]] | None:
        """Find a tracklet by its name, with its feature, float32 (D,); None if the gallery lacks it."""
        rows = self._rows(one_of('tracklet', [name]), (*_FACTS, 'thumbnail', 'feature'))
        return (entry_of(rows[0]), np.array(rows[0]['feature'], np.float32)) if rows else None

    def add(self, entries: Sequence[Entry], features: npt.NDArray[np.float32], replace: bool = False) -> int:
        """Add tracklets, all or none.

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
        with self._writing():
            self._table.checkout_latest()
            self._check_zones(entries)
            merge = self._table.merge_insert('tracklet').when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            result = merge.execute(as_table(self._table.schema, entries, features))
        return result.num_inserted_rows + result.num_updated_rows

    def finish_adding(self) -> None:
        """Join small parts and bring the index up to date after many calls of ``add``."""
        with self._writing():
            self._table.checkout_latest()
            parts = self._table.stats()['fragment_stats']['num_small_fragments']
            if parts > _MOST_PARTS or self._index() is not None:
                # running searches may still read the old files
                self._table.optimize(cleanup_older_than=timedelta(hours=1))

    def remove(self, names: Sequence[str] = (), filters: Filters | None = None) -> int:
        """Remove tracklets by name and filters, and erase their pictures and features from the disk.

        Returns:
            Number of removed tracklets.

        Raises:
            ConfigError: If neither names nor filters are given.
        """
        self._check_zone_of(filters)
        conditions = [one_of('tracklet', names)] if names else []
        if filters is not None and (where := filters.where()):
            conditions.append(where)
        if not conditions:
            raise ConfigError('name the tracklets to remove, or give a filter such as --camera')
        return self._delete(' AND '.join(f'({condition})' for condition in conditions))

    def prune(self, age: timedelta, now: datetime | None = None) -> int:
        """Remove and erase tracklets that ended longer ago; see ``older_than`` for the rules.

        Returns:
            Number of removed tracklets.
        """
        return self._delete(older_than(age, now))

    def compact(self, index: bool | None = None) -> None:
        """Write the gallery anew, without anything that was removed or replaced.

        Args:
            index: Whether to make an index for approximate searches; None to make it anew if there is one.

        Raises:
            GalleryError: If there are too few tracklets for an index.
        """
        with self._writing():
            self._table.checkout_latest()
            had_index = self._index() is not None
            count = self._table.count_rows()
            if index and count < SMALLEST_INDEX:
                raise GalleryError(
                    f'{self.folder}: has {count:,} tracklets; an index needs at least {SMALLEST_INDEX:,}, and fewer '
                    'are searched quickly without'
                )
            self._rewrite()
            if (had_index if index is None else index) and count >= SMALLEST_INDEX:
                self._make_index()

    def query(self, filters: Filters | None = None, limit: int | None = None) -> list[Entry]:
        """List tracklets in the order of their start, those without a time last, without thumbnails.

        Args:
            filters: Conditions; None for all.
            limit: Largest number of tracklets; None for all.
        """
        self._check_zone_of(filters)
        rows = self._rows(filters.where() if filters else '', _FACTS)
        return [entry_of(row) for row in sorted(rows, key=_by_start)[:limit]]

    def features(self, filters: Filters | None = None) -> tuple[list[Entry], npt.NDArray[np.float32]]:
        """Read the tracklets that ``query`` lists, in the same order, with their features, float32 (N, D).

        Args:
            filters: Conditions; None for all.
        """
        self._check_zone_of(filters)
        table = self._read(filters.where() if filters else '', (*_FACTS, 'feature'))
        rows = table.drop_columns('feature').to_pylist()
        order = sorted(range(len(rows)), key=lambda number: _by_start(rows[number]))
        features = table['feature'].combine_chunks().flatten().to_numpy().reshape(len(rows), self.about['size'])
        return [entry_of(rows[number]) for number in order], features[order]

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
        from lancedb.query import ColumnOrdering

        self._check_zone_of(filters)
        conditions = [filters.where()] if filters else []
        if text:
            conditions.append(f'contains(lower(tracklet), lower({quoted(text)}))')
        where = ' AND '.join(filter(None, conditions))
        order = [ColumnOrdering(column_name=name, ascending=True, nulls_first=False) for name in _ORDER]
        with self._errors():
            self._table.checkout_latest()
            count = self._table.count_rows(where or None)
            query = self._table.search().select(list(_FACTS)).order_by(order).offset(start).limit(limit)
            rows = (query.where(where) if where else query).to_arrow().to_pylist()
        return count, [entry_of(row) for row in rows]

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
        with self._errors():
            self._table.checkout_latest()
            index = self._index()
        if probes is not None and index is None:
            raise GalleryError(f'{self.folder}: has no index; make it with dscreid gallery compact --index')
        left_out = [None] * len(features) if leave_out is None else leave_out
        where = filters.where() if filters else ''
        answers = []
        for feature, name in zip(features, left_out, strict=True):
            conditions = [where] if where else []
            if name is not None:
                conditions.append(f'NOT {one_of("tracklet", [name])}')
            rows = self._nearest(feature, top, ' AND '.join(conditions), probes)
            answers.append([Hit(entry_of(row), 1 - row['_distance']) for row in rows])
        return answers

    def statistics(self) -> Statistics:
        """Count the tracklets and measure the folder."""
        with self._errors():
            self._table.checkout_latest()
            columns = ['camera', 'modality', 'start_time', 'end_time', 'zoned']
            counts, times = counts_and_times(self._table.search().select(columns).to_arrow())
            index = self._index()
            indexed = None if index is None else self._table.index_stats(index).num_indexed_rows
        sizes = [path.stat().st_size for path in self.folder.rglob('*') if path.is_file()]
        return Statistics(sum(counts.values()), counts, times, sum(sizes), indexed)

    def _nearest(self, feature: npt.NDArray[np.float32], top: int, where: str, probes: int | None) -> list[Any]:
        search = self._table.search(feature, vector_column_name='feature').distance_type('dot').limit(top)
        search = search.select([*_FACTS, 'thumbnail', '_distance'])
        if where:
            search = search.where(where, prefilter=True)
        search = search.bypass_vector_index() if probes is None else search.nprobes(probes)
        with self._errors():
            return search.to_arrow().to_pylist()

    def _rows(self, where: str, columns: Sequence[str], limit: int | None = None) -> list[dict[str, Any]]:
        return self._read(where, columns, limit).to_pylist()

    def _read(self, where: str, columns: Sequence[str], limit: int | None = None) -> Any:
        with self._errors():
            self._table.checkout_latest()
            query = self._table.search().select(list(columns))
            query = query if limit is None else query.limit(limit)
            return (query.where(where) if where else query).to_arrow()

    def _check_zones(self, entries: Sequence[Entry]) -> None:
        kinds = {zoned_of(entry) for entry in entries} - {None}
        kinds |= {kind for kind in (True, False) if self._table.count_rows(f'zoned IS {str(kind).upper()}')}
        if len(kinds) > 1:
            raise GalleryError(
                f'{self.folder}: times with and without a time zone cannot be compared; write all times of '
                'tracklets.csv in one way, or use two galleries'
            )

    def _check_zone_of(self, filters: Filters | None) -> None:
        if filters is None or filters.zoned is None:
            return
        with self._errors():
            self._table.checkout_latest()
            other = self._table.count_rows(f'zoned IS {str(not filters.zoned).upper()}')
        if other:
            given, has = ('a', 'none') if filters.zoned else ('no', 'one')
            raise ConfigError(f'--from and --to have {given} time zone, but the times of {self.folder} have {has}')

    def _delete(self, where: str) -> int:
        with self._writing():
            self._table.checkout_latest()
            removed = self._table.delete(where).num_deleted_rows
        if removed:
            self.compact()
        return removed

    def _rewrite(self) -> None:
        """Replace the table by a copy and delete all older files.

        LanceDB's own deletion hides rows, and its clean-up leaves files of killed writers.
        """
        import pyarrow

        folder = self.folder / f'{TABLE}.lance'
        old = [path for part in ('data', '_deletions', '_indices') for path in (folder / part).rglob('*')]
        schema = self._table.schema
        batches = self._table.search().to_batches(batch_size=4096)
        rows = pyarrow.RecordBatchReader.from_batches(schema, (batch.select(schema.names) for batch in batches))
        with undone_if_incomplete(folder):
            table = self._database().create_table(TABLE, rows, schema=schema, mode='overwrite')
        self._table = table
        self._clean()
        for path in old:
            if not path.is_dir():
                path.unlink(missing_ok=True)

    def _clean(self) -> None:
        import warnings

        with warnings.catch_warnings():
            # it warns of running searches, which then say that the gallery changed
            warnings.simplefilter('ignore', UserWarning)
            self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def _make_index(self) -> None:
        from lancedb.index import IvfFlat

        with undone_if_incomplete(self.folder / f'{TABLE}.lance'):
            self._table.create_index('feature', config=IvfFlat(distance_type='dot'))

    def _index(self) -> str | None:
        return next((index.name for index in self._table.list_indices() if index.columns == ['feature']), None)

    def _create(self, bundle: Bundle) -> None:
        about = {
            'format': FORMAT,
            'fingerprint': bundle.fingerprint,
            'model': bundle.name,
            'license': bundle.license,
            'training_data': bundle.training_data,
            'size': bundle.feature['size'],
        }
        self._database().create_table(TABLE, schema=schema_of(about))

    def _database(self) -> Any:
        return _import_lancedb().connect(str(self.folder))

    def _exists(self) -> bool:
        # a writer that was killed before its first transaction leaves no manifest
        return any((self.folder / f'{TABLE}.lance' / '_versions').glob('*.manifest'))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Wait for other processes that write."""
        with locked(self.folder / _LOCK), self._errors():
            try:
                with undone_if_incomplete(self.folder / f'{TABLE}.lance'):
                    yield
            except OSError:
                if self._exists():
                    self._table = self._database().open_table(TABLE)  # this one remembers what was undone
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Replace LanceDB's errors, which have no common class, by one sentence."""
        try:
            yield
        except (RuntimeError, ValueError, OSError) as error:
            text = str(error)
            if (number := system_error(text)) is not None and number != errno.ENOENT:
                raise OSError(number, os.strerror(number), str(self.folder)) from error
            if 'lance' not in text.lower():
                raise
            reason = ' '.join(text.split(', /')[0].split())  # without the place in LanceDB's source
            raise GalleryError(
                f'{self.folder}: cannot be read or written ({reason}); if another process changed it just now, try '
                'again; otherwise restore the folder, or add the tracklets to a new one'
            ) from error


def _by_start(row: Mapping[str, Any]) -> tuple[bool, datetime, str]:
    """Sort key: start, those without a time last, then name."""
    return row['start_time'] is None, row['start_time'] or datetime.min, row['tracklet']


def _import_lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise ConfigError('a gallery needs LanceDB; pip install "dscreid[gallery]"') from None
    return lancedb
