"""A gallery in a folder on disk, stored with LanceDB."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_conditions import Condition
from dscreid.deployment.gallery_lance_rows import as_table, counts_and_times, description_of, quoted, schema_of, sql
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.gallery_storage import FACTS, Storage, describe
from dscreid.deployment.lance_files import system_error, undone_if_incomplete
from dscreid.errors import ConfigError, GalleryError
from dscreid.utils.files import locked

TABLE = 'tracklets'
_LOCK = '.dscreid.lock'
#: Columns by which lists are sorted.
_ORDER = ('start_time', 'tracklet')
#: Without an index, a search reads all small parts; if there are more than this, they are joined after adding.
_MOST_PARTS = 64


class LanceStorage(Storage):
    """Rows in a LanceDB table.

    Each change is one transaction: if the process is killed, all or nothing of it is done. Writers wait for each other;
    searches do not wait.

    Args:
        folder: Folder of the gallery.
        bundle: The model of a new gallery.
        create: Whether to make the gallery if there is none yet; needs the bundle.

    Raises:
        GalleryError: If there is no gallery, or it is damaged.
        ConfigError: If LanceDB is not installed.
    """

    erases_at_once = True

    def __init__(self, folder: str | Path, bundle: Bundle | None = None, create: bool = False) -> None:
        self.folder = Path(folder)
        self._folder = self.folder / f'{TABLE}.lance'
        self.place, self.name = str(folder), self.folder.resolve().name
        _import_lancedb()
        if create and bundle is not None:
            with self.writing():
                if not self._exists():
                    self._database().create_table(TABLE, schema=schema_of(describe(bundle)))
        if not self._exists():
            raise GalleryError(f'{folder}: is not a gallery; create one with dscreid gallery add')
        with self._errors():
            self.table = self._database().open_table(TABLE)
            self.about = description_of(self.table.schema)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait for other processes that write."""
        with locked(self.folder / _LOCK), self._errors():
            try:
                with undone_if_incomplete(self._folder):
                    yield
            except OSError:
                if self._exists():
                    self.table = self._database().open_table(TABLE)  # the old object remembers what was undone
                raise

    def add(self, entries: Sequence[Entry], features: npt.NDArray[np.float32], replace: bool) -> int:
        """Insert rows, all or none, and replace existing ones if asked to; return how many."""
        with self._errors():
            self.table.checkout_latest()
            merge = self.table.merge_insert('tracklet').when_not_matched_insert_all()
            if replace:
                merge = merge.when_matched_update_all()
            result = merge.execute(as_table(self.table.schema, entries, features))
        return result.num_inserted_rows + result.num_updated_rows

    def finish_adding(self) -> None:
        """Join small parts, and bring the index up to date."""
        with self.writing():
            self.table.checkout_latest()
            parts = self.table.stats()['fragment_stats']['num_small_fragments']
            if parts > _MOST_PARTS or self._index() is not None:
                # running searches may still read the old files
                self.table.optimize(cleanup_older_than=timedelta(hours=1))

    def delete(self, condition: Condition) -> int:
        """Delete rows; return how many. Their content stays on the disk."""
        with self._errors():
            self.table.checkout_latest()
            return self.table.delete(sql(condition)).num_deleted_rows

    def rewrite(self, index: bool) -> None:
        """Replace the table by a copy and delete all older files, then make an index or not.

        LanceDB's own deletion hides rows, and its clean-up leaves files of killed writers.
        """
        import pyarrow
        from lancedb.index import IvfFlat

        with self._errors():
            self.table.checkout_latest()
            old = [path for part in ('data', '_deletions', '_indices') for path in (self._folder / part).rglob('*')]
            schema = self.table.schema
            batches = self.table.search().to_batches(batch_size=4096)
            rows = pyarrow.RecordBatchReader.from_batches(schema, (batch.select(schema.names) for batch in batches))
            with undone_if_incomplete(self._folder):
                table = self._database().create_table(TABLE, rows, schema=schema, mode='overwrite')
            self.table = table
            self._clean()
            for path in old:
                if not path.is_dir():
                    path.unlink(missing_ok=True)
            if index:
                with undone_if_incomplete(self._folder):
                    self.table.create_index('feature', config=IvfFlat(distance_type='dot'))

    def count(self, condition: Condition | None = None) -> int:
        """Count rows."""
        with self._errors():
            self.table.checkout_latest()
            return self.table.count_rows(None if condition is None else sql(condition))

    def rows(
        self, condition: Condition | None, columns: Sequence[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Read rows in any order."""
        return self._read(condition, columns, limit).to_pylist()

    def features(self, condition: Condition | None) -> tuple[list[dict[str, Any]], npt.NDArray[np.float32]]:
        """Read rows in any order, and their features, float32 (N, D)."""
        table = self._read(condition, (*FACTS, 'feature'))
        features = table['feature'].combine_chunks().flatten().to_numpy().reshape(len(table), self.about['size'])
        return table.drop_columns('feature').to_pylist(), features

    def page(self, condition: Condition | None, text: str, start: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Count the rows whose names contain a text in any case, and read some in the order of ``by_start``."""
        from lancedb.query import ColumnOrdering

        conditions = [sql(condition)] if condition is not None else []
        if text:
            conditions.append(f'contains(lower(tracklet), lower({quoted(text)}))')
        where = ' AND '.join(f'({one})' for one in conditions)
        order = [ColumnOrdering(column_name=name, ascending=True, nulls_first=False) for name in _ORDER]
        with self._errors():
            self.table.checkout_latest()
            count = self.table.count_rows(where or None)
            query = self.table.search().select(list(FACTS)).order_by(order).offset(start).limit(limit)
            return count, (query.where(where) if where else query).to_arrow().to_pylist()

    def counts_and_times(self) -> tuple[dict[tuple[str, str], int], tuple[datetime, datetime] | None]:
        """Count rows by (camera, modality), sorted; also return the earliest start and the latest end, if known."""
        return counts_and_times(self._read(None, ('camera', 'modality', 'start_time', 'end_time', 'zoned')))

    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, condition: Condition | None, probes: int | None
    ) -> list[tuple[dict[str, Any], float]]:
        """Find the rows of the most similar features, with the inner products, best first; exactly without probes."""
        with self._errors():
            self.table.checkout_latest()
            search = self.table.search(feature, vector_column_name='feature').distance_type('dot').limit(top)
            search = search.select([*FACTS, 'thumbnail', '_distance'])
            if condition is not None:
                search = search.where(sql(condition), prefilter=True)
            search = search.bypass_vector_index() if probes is None else search.nprobes(probes)
            return [(row, 1 - row['_distance']) for row in search.to_arrow().to_pylist()]

    def indexed(self) -> int | None:
        """Count the rows in the index; None without an index."""
        with self._errors():
            self.table.checkout_latest()
            index = self._index()
            return None if index is None else self.table.index_stats(index).num_indexed_rows

    def num_bytes(self) -> int:
        """Measure the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob('*') if path.is_file())

    def _read(self, condition: Condition | None, columns: Sequence[str], limit: int | None = None) -> Any:
        """Read a table of Arrow."""
        with self._errors():
            self.table.checkout_latest()
            query = self.table.search().select(list(columns))
            query = query if limit is None else query.limit(limit)
            return (query if condition is None else query.where(sql(condition))).to_arrow()

    def _clean(self) -> None:
        import warnings

        with warnings.catch_warnings():
            # it warns of running searches, which then say that the gallery changed
            warnings.simplefilter('ignore', UserWarning)
            self.table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def _index(self) -> str | None:
        return next((index.name for index in self.table.list_indices() if index.columns == ['feature']), None)

    def _database(self) -> Any:
        return _import_lancedb().connect(self.place)

    def _exists(self) -> bool:
        # a writer that was killed before its first transaction leaves no manifest
        return any((self._folder / '_versions').glob('*.manifest'))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Replace LanceDB's errors, which have no common class, by one sentence."""
        try:
            yield
        except (RuntimeError, ValueError, OSError) as error:
            text = str(error)
            if (number := system_error(text)) is not None and number != errno.ENOENT:
                raise OSError(number, os.strerror(number), self.place) from error
            if 'lance' not in text.lower():
                raise
            reason = ' '.join(text.split(', /')[0].split())  # without the place in LanceDB's source
            raise GalleryError(
                f'{self.place}: cannot be read or written ({reason}); if another process has just changed it, try '
                'again; otherwise restore the folder, or add the tracklets to a new gallery'
            ) from error


def _import_lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise ConfigError('a gallery needs LanceDB; pip install "dscreid[gallery]"') from None
    return lancedb
