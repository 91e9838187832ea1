"""A gallery on a Milvus server."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_conditions import Condition, OneOf
from dscreid.deployment.gallery_milvus_client import connect, errors
from dscreid.deployment.gallery_milvus_rows import as_milvus, expression, of_milvus, schema_of
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.gallery_storage import FACTS, Storage, describe
from dscreid.errors import ConfigError, GalleryError

#: Key of the description among the collection's properties.
_METADATA = 'dscreid'
#: Tracklets of one request; with the largest thumbnails it has 20 MB, and Milvus accepts 64 MB.
PER_REQUEST = 256
#: Largest number of answers of a search, and of parts of an index.
MOST_ANSWERS, _MOST_PARTS = 16_384, 65_536
#: Seconds to wait for an answer, and for an index or a flush.
_ANSWER, _LONG = 60, 3_600


class MilvusStorage(Storage):
    """Rows in a Milvus collection; the primary key is the name of the tracklet, so each exists only once.

    A request of ``PER_REQUEST`` tracklets is atomic; a longer addition or removal that is killed may be incomplete.
    Writers do not wait for each other: if two add the same tracklet, the later one counts, and a mix of times with and
    without a time zone is only noticed if one adds after the other. Removed tracklets are no longer found; the server
    erases them from its storage later, when it compacts and collects garbage. Milvus does not report the size on disk.

    Args:
        uri: ``http://HOST:PORT`` or ``https://HOST:PORT`` of the server, or a file ``….db`` of milvus-lite.
        collection: Name of the collection.
        bundle: The model of a new gallery.
        create: Whether to create the gallery if there is none yet; needs the bundle.
        token: ``USER:PASSWORD`` or an API key; ``''`` for a server without authentication.

    Raises:
        GalleryError: If there is no gallery, the server cannot be reached, or it refuses the token.
        ConfigError: If pymilvus is not installed, or the collection cannot have this name.
    """

    erases_at_once = False

    def __init__(
        self, uri: str, collection: str, bundle: Bundle | None = None, create: bool = False, token: str = ''
    ) -> None:
        self.place = uri if uri.endswith('.db') else f'{uri}/{collection}'
        self.name = collection
        if re.fullmatch('[A-Za-z_][A-Za-z0-9_]{0,254}', collection) is None:
            raise ConfigError(
                f'{self.place}: {collection!r} cannot be the name of a gallery on a Milvus server; use letters, digits '
                'and underscores, and no digit at the start'
            )
        self._client = connect(uri, token, self.place)
        if create and bundle is not None and not self._call('has_collection'):
            self._create(describe(bundle))
        if not self._call('has_collection'):
            raise GalleryError(f'{self.place}: is not a gallery; create one with dscreid gallery add')
        about = self._call('describe_collection').get('properties', {}).get(_METADATA)
        if about is None:
            raise GalleryError(f'{self.place}: is not a gallery but another collection; choose another name')
        self.about = json.loads(about)
        if self._index() is None:  # the process that created it was killed before it made the index
            self._make_index(0)
        self._call('load_collection', timeout=_LONG)

    def writing(self) -> AbstractContextManager[None]:
        """Do nothing, because the server orders the changes of all writers."""
        return nullcontext()

    def add(self, entries: Sequence[Entry], features: npt.NDArray[np.float32], replace: bool) -> int:
        """Insert rows, and replace existing ones if asked to; return how many."""
        known: set[str] = set()
        for part in _parts([entry.tracklet for entry in entries]) if not replace else ():
            known |= {row['tracklet'] for row in self.rows(OneOf('tracklet', tuple(part)), ('tracklet',))}
        rows = [
            as_milvus(entry, feature)
            for entry, feature in zip(entries, features, strict=True)
            if entry.tracklet not in known
        ]
        for part in _parts(rows):
            self._call('upsert', data=part)
        return len(rows)

    def finish_adding(self) -> None:
        """Write added rows to the server's storage, where they become part of the index."""
        self._call('flush', timeout=_LONG)

    def delete(self, condition: Condition) -> int:
        """Delete rows; return how many."""
        rows = self.rows(condition, ('tracklet',))
        for part in _parts([row['tracklet'] for row in rows]):
            self._call('delete', filter=expression(OneOf('tracklet', tuple(part))))
        return len(rows)

    def rewrite(self, index: bool) -> None:
        """Let the server erase deleted and replaced rows, and build an index, or drop it.

        An index is rebuilt if the gallery has grown fourfold. Until it is ready, searches fail.
        """
        self._call('flush', timeout=_LONG)
        self._call('compact')
        wanted = _num_parts(self.count()) if index else 0
        parts, _ = self._index() or (0, 0)
        if not _is_close(parts, wanted):
            self._call('release_collection')
            self._call('drop_index', index_name='feature')
            self._make_index(wanted)
            self._call('load_collection', timeout=_LONG)

    def count(self, condition: Condition | None = None) -> int:
        """Count rows."""
        (row,) = self._call('query', filter=expression(condition), output_fields=['count(*)'])
        return row['count(*)']

    def rows(
        self, condition: Condition | None, columns: Sequence[str], limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Read rows in any order."""
        options: dict[str, Any] = {'filter': expression(condition), 'output_fields': list(columns)}
        if limit is not None:
            return [of_milvus(row, columns) for row in self._call('query', limit=limit, **options)]
        rows: list[dict[str, Any]] = []
        iterator = self._call('query_iterator', batch_size=PER_REQUEST if 'thumbnail' in columns else 4_096, **options)
        with errors(self.place):
            while part := iterator.next():
                rows += [of_milvus(row, columns) for row in part]
            iterator.close()
        return rows

    def nearest(
        self, feature: npt.NDArray[np.float32], top: int, condition: Condition | None, probes: int | None
    ) -> list[tuple[dict[str, Any], float]]:
        """Find the rows of the most similar features, with the inner products, best first; exactly without probes.

        With an index, an exact search probes all parts.

        Raises:
            GalleryError: If ``top`` is larger than ``MOST_ANSWERS``.
        """
        if top > MOST_ANSWERS:
            raise GalleryError(f'{self.place}: Milvus finds at most {MOST_ANSWERS:,} tracklets; ask for fewer')
        parts, _ = self._index() or (0, 0)
        columns = (*FACTS, 'thumbnail')
        params = {'nprobe': min(probes or parts, parts)} if parts else {}
        (hits,) = self._call(
            'search', data=[np.asarray(feature, np.float32)], anns_field='feature', limit=top,
            filter=expression(condition), output_fields=list(columns), search_params={'params': params},
        )  # fmt: skip
        return [(of_milvus(hit['entity'], columns), hit['distance']) for hit in hits]

    def indexed(self) -> int | None:
        """Count the rows in the index; None without an index."""
        parts, rows = self._index() or (0, 0)
        return rows if parts else None

    def num_bytes(self) -> None:
        """Return None, because Milvus does not report it."""

    def _create(self, about: dict[str, Any]) -> None:
        schema, properties = schema_of(about['size']), {_METADATA: json.dumps(about)}
        try:
            self._call('create_collection', schema=schema, consistency_level='Strong', properties=properties)
        except GalleryError:
            if not self._call('has_collection'):  # unless another process has just created it
                raise

    def _index(self) -> tuple[int, int] | None:
        """Return the numbers of parts (0 if it compares all rows) and of rows of the index; None without an index."""
        found = self._call('describe_index', index_name='feature')
        if not found:
            return None
        parts = {**found, **found.get('params', {})}.get('nlist', _MOST_PARTS)
        return 0 if found['index_type'] == 'FLAT' else int(parts), int(found['indexed_rows'])

    def _make_index(self, parts: int) -> None:
        """Create an index with ``parts`` parts; 0 for the one that compares all rows, which every collection needs."""
        kind: dict[str, Any] = {'index_type': 'FLAT'}
        if parts:
            kind = {'index_type': 'IVF_FLAT', 'params': {'params': {'nlist': parts}}}
        params = self._client.prepare_index_params()
        params.add_index('feature', index_name='feature', metric_type='IP', **kind)
        self._call('create_index', index_params=params, timeout=_LONG)

    def _call(self, method: str, timeout: float = _ANSWER, **options: Any) -> Any:
        """Call a method of the client for the collection."""
        with errors(self.place):
            return getattr(self._client, method)(self.name, timeout=timeout, **options)


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Split into requests."""
    for start in range(0, len(items), PER_REQUEST):
        yield items[start : start + PER_REQUEST]


def _num_parts(count: int) -> int:
    """Choose the number of parts of an index, 4 √n as Milvus' documentation advises."""
    return min(max(round(4 * math.sqrt(count)), 1), _MOST_PARTS)


def _is_close(parts: int, wanted: int) -> bool:
    return max(parts, wanted) <= 2 * min(parts, wanted)
