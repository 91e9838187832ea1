"""Rows and conditions of a gallery as Milvus stores them."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from dscreid.deployment.gallery_conditions import All, Compared, Condition, Either, Not, OneOf, Zoned
from dscreid.deployment.gallery_rows import Entry, row_of
from dscreid.errors import GalleryError

#: Maximum number of bytes of each text. That of the thumbnail, which is base64, is the most that Milvus allows.
_LENGTHS = {'tracklet': 4_096, 'camera': 4_096, 'modality': 16, 'folder': 16_384, 'thumbnail': 65_535}
_EPOCH, _UNIT = datetime(1970, 1, 1), timedelta(microseconds=1)


def schema_of(size: int) -> Any:
    """Make the schema of a collection for features of ``size`` numbers."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for name, length in _LENGTHS.items():
        options = {'is_primary': name == 'tracklet', 'nullable': name == 'thumbnail'}
        schema.add_field(name, DataType.VARCHAR, max_length=length, **options)
    for name in ('start_time', 'end_time'):
        schema.add_field(name, DataType.INT64, nullable=True)  # microseconds since 1970
    schema.add_field('zoned', DataType.BOOL, nullable=True)  # whether the times are UTC; null without times
    schema.add_field('added', DataType.INT64)
    schema.add_field('feature', DataType.FLOAT_VECTOR, dim=size)
    return schema


def as_milvus(entry: Entry, feature: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Convert a tracklet to a row of Milvus.

    Raises:
        GalleryError: If a text or the thumbnail is too long.
    """
    row = row_of(entry)
    for name in ('start_time', 'end_time', 'added'):
        row[name] = None if row[name] is None else _number(row[name])
    if entry.thumbnail is not None:
        row['thumbnail'] = base64.b64encode(entry.thumbnail).decode('ascii')
    row['tracklet'] = _key(entry.tracklet)
    for name, most in _LENGTHS.items():
        if row[name] is not None and (length := len(row[name].encode())) > most:
            kind = ' as base64' if name == 'thumbnail' else ''
            raise GalleryError(
                f'tracklet {entry.tracklet!r}: {name} has {length:,} bytes{kind}, but Milvus stores at most {most:,}; '
                'make it shorter, or keep the gallery in a folder'
            )
    return {**row, 'feature': np.asarray(feature, np.float32)}


def of_milvus(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Convert some columns of what Milvus returned to a row of a gallery."""
    found = {name: row[name] for name in columns}
    for name in found.keys() & {'start_time', 'end_time', 'added'}:
        found[name] = None if found[name] is None else _EPOCH + found[name] * _UNIT
    if found.get('thumbnail') is not None:
        found['thumbnail'] = base64.b64decode(found['thumbnail'])
    if 'tracklet' in found:
        found['tracklet'] = unquote(found['tracklet'])
    return found


def expression(condition: Condition | None) -> str:
    """Write a condition in Milvus' language, ``''`` without any."""
    match condition:
        case None:
            return ''
        case OneOf(column, values):
            texts = [_literal(_key(value) if column == 'tracklet' else value) for value in values]
            return f'{column} in [{", ".join(texts)}]'
        case Compared(columns, relation, time):
            cases = [f'{column} {relation} {_number(time)}' for column in columns]
            unknown = [f'{column} is null and ' for column in columns]
            return ' or '.join(f'({"".join(unknown[:place])}{case})' for place, case in enumerate(cases))
        case Zoned(value):
            return 'zoned is null' if value is None else f'zoned == {str(value).lower()}'
        case Not(inner):
            return f'not ({expression(inner)})'
        case All(parts):
            return ' and '.join(f'({expression(part)})' for part in parts)
        case Either(parts):
            return ' or '.join(f'({expression(part)})' for part in parts)


def _key(name: str) -> str:
    # pymilvus' iterator writes the last primary key into an expression without escaping it
    return quote(name)


def _literal(text: str) -> str:
    """Quote a text, and escape the characters for which Milvus needs it."""
    for character, escape in (('\\', '\\\\'), ('"', '\\"'), ('\n', '\\n'), ('\r', '\\r')):
        text = text.replace(character, escape)
    return f'"{text}"'


def _number(time: datetime) -> int:
    return (time - _EPOCH) // _UNIT
