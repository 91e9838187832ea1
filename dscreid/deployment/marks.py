"""Marks of answers as right or wrong: labeled pairs in a JSON-lines file next to a gallery."""

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_places import Address, address_of
from dscreid.errors import GalleryError
from dscreid.structures import Modality
from dscreid.utils.files import is_partial, locked, replacing

#: Prefix of the names of uploads.
UPLOAD = 'upload-'
#: POSIX locks do not protect threads from each other.
_THREADS = threading.Lock()


@dataclass(frozen=True)
class Mark:
    """A labeled pair of a query and an answer.

    Attributes:
        query: Name of a tracklet, or of an upload: ``upload-`` and a hash.
        tracklet: Name of the answer.
        same: Whether both are the same person; None withdraws an earlier mark.
        similarity: Inner product of their features.
        modalities: Modality of query and answer, ``'rgb-rgb'``, ``'rgb-ir'`` or ``'ir-ir'``.
        model: Fingerprint of the bundle.
        time: When the mark was made, ISO 8601 in UTC.
    """

    query: str
    tracklet: str
    same: bool | None
    similarity: float
    modalities: str
    model: str
    time: str


def make_mark(
    query: tuple[str, Modality], answer: tuple[str, Modality], same: bool | None, similarity: float, model: str
) -> Mark:
    """Make a mark with the current time, from names and modalities."""
    one, other = query[1], answer[1]
    pair = f'{one.value}-{other.value}' if one is other else 'rgb-ir'
    now = datetime.now(timezone.utc).isoformat(timespec='seconds')
    return Mark(query[0], answer[0], same, round(similarity, 6), pair, model, now)


def marks_file(gallery: str | Path) -> Path:
    """Return the file of a gallery's marks: ``NAME.marks.jsonl`` next to its folder.

    For a gallery on a server, it is ``HOST-PORT-NAME.marks.jsonl`` in the current folder.
    """
    address = address_of(gallery)
    folder = Path(gallery).resolve() if address is None else Path.cwd() / _file_name(address)
    return folder.with_name(f'{folder.name}.marks.jsonl')


def _file_name(address: Address) -> str:
    return re.sub(r'[^\w.-]+', '-', f'{address.uri.partition("://")[2]}-{address.collection}')


def append_mark(path: Path, mark: Mark) -> None:
    """Append a mark and wait until it is on the disk, after removing a partial line left by an interrupted writer."""
    with _writing(path), path.open('a+b') as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b'\n') + 1)
        file.write(_line(mark))
        file.flush()
        os.fsync(file.fileno())


def erase_missing(path: Path, gallery: Gallery) -> int:
    """Erase the marks of tracklets that the gallery no longer has, including answers to uploads.

    The file is replaced atomically: a killed process leaves it unchanged.

    Returns:
        Number of erased lines.

    Raises:
        GalleryError: If a line is malformed; names file and line.
    """
    if not path.is_file():
        return 0
    with _writing(path):
        for partial in path.parent.glob(f'.{path.name}.*'):  # of killed processes
            if is_partial(partial):
                partial.unlink()
        marks = read_marks(path)
        present = gallery.folders(sorted({name for mark in marks for name in (mark.query, mark.tracklet)})).keys()
        kept = [
            mark
            for mark in marks
            if mark.tracklet in present and (mark.query in present or mark.query.startswith(UPLOAD))
        ]
        if len(kept) < len(marks):
            with replacing(path) as temporary:
                temporary.write_bytes(b''.join(map(_line, kept)))
    return len(marks) - len(kept)


def read_marks(path: Path) -> list[Mark]:
    """Read all marks in the order in which they were made; an empty list if there is no file.

    An incomplete last line, left by an interrupted writer, is ignored.

    Raises:
        GalleryError: If a line is malformed; names file and line.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b'\n')[:-1]
    return [_parse(line, f'{path}:{number}') for number, line in enumerate(lines, 1)]


def labeled_pairs(path: Path, model: str | None = None) -> list[Mark]:
    """Read the valid marks: the last one of each pair, unless it was withdrawn.

    A pair has the same mark in both directions.

    Args:
        path: See ``marks_file``.
        model: Fingerprint of the bundle whose marks are read; None for those of all models.
    """
    last: dict[frozenset[str], Mark] = {}
    for mark in read_marks(path):
        if model in (None, mark.model):
            pair = frozenset((mark.query, mark.tracklet))
            last.pop(pair, None)  # the order is that of the last marks
            last[pair] = mark
    return [mark for mark in last.values() if mark.same is not None]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Wait for other threads and processes that write."""
    with _THREADS, locked(path.with_name(f'.{path.name}.lock')):
        yield


def _line(mark: Mark) -> bytes:
    return (json.dumps(asdict(mark), ensure_ascii=False) + '\n').encode()


def _parse(line: bytes, where: str) -> Mark:
    try:
        values: dict[str, Any] = json.loads(line)
        mark = Mark(**values)
        types = {'same': bool | None, 'similarity': float | int}
        for one in fields(Mark):
            if not isinstance(getattr(mark, one.name), types.get(one.name, str)):
                raise ValueError(f'{one.name} is {getattr(mark, one.name)!r}')
        if mark.modalities not in ('rgb-rgb', 'rgb-ir', 'ir-ir'):
            raise ValueError(f'modalities is {mark.modalities!r}')
    except (ValueError, TypeError) as error:
        raise GalleryError(f'{where}: is not a mark of dscreid serve ({error}); remove the line') from None
    return mark
