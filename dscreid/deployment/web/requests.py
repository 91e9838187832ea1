"""Read what the page of ``dscreid serve`` sends: conditions, settings of a search, uploads and JSON."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException

from dscreid.datasets.tracklet_table import parse_time
from dscreid.deployment.gallery_filters import Filters, parse_threshold
from dscreid.deployment.search import SearchSettings
from dscreid.deployment.web.uploads import Box, parse_box
from dscreid.errors import ConfigError
from dscreid.structures import Modality

_MOST_HITS = 200
_MOST_JSON = 10_000

T = TypeVar('T')


class Upload(NamedTuple):
    """Contents of uploaded files, the person's place in them, and their modality."""

    contents: list[bytes]
    box: Box
    modality: Modality


async def read_json(request: Request) -> dict[str, Any]:
    """Read a small JSON object. Raises HTTPException."""
    body = await request.body()
    try:
        content = await request.json() if len(body) <= _MOST_JSON else None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise HTTPException(422, 'The request is not a small JSON object.')
    return content


async def read_upload(form: FormData) -> Upload | None:
    """Read the files of a form; None without any. Raises ConfigError or DatasetError."""
    contents = [await one.read() for one in form.getlist('files') if isinstance(one, UploadFile)]
    if not contents:
        return None
    modality = _parsed(Modality, text_of(form, 'query_modality') or 'rgb', 'the modality of the query')
    return Upload(contents, parse_box(text_of(form, 'box')), modality)


def settings_of(form: FormData) -> SearchSettings:
    """Read the conditions, the number of answers and the threshold of a search. Raises ConfigError."""
    threshold = text_of(form, 'threshold')
    return SearchSettings(
        filters_of(form),
        number_of(form, 'top', 1, _MOST_HITS, 20),
        _parsed(parse_threshold, threshold, 'the threshold') if threshold else None,
    )


def filters_of(asked: FormData | QueryParams) -> Filters:
    """Read the conditions for tracklets. Raises ConfigError."""
    modality = text_of(asked, 'modality')
    start, end = (
        _parsed(parse_time, text_of(asked, name).replace('Z', '+00:00'), f'the time "{name}"')
        for name in ('from', 'to')
    )
    if start and end and (start.tzinfo is None) == (end.tzinfo is None) and end < start:
        raise ConfigError('the time "to" is before the time "from"')
    return Filters(
        tuple(one for one in asked.getlist('camera') if isinstance(one, str) and one),
        _parsed(Modality, modality, 'the modality') if modality else None,
        start,
        end,
    )


def text_of(asked: Mapping[str, Any], name: str) -> str:
    """Read a text, ``''`` if it is missing."""
    value = asked.get(name, '')
    return value if isinstance(value, str) else ''


def number_of(asked: Mapping[str, Any], name: str, least: int, most: int, default: int) -> int:
    """Read a whole number between bounds. Raises ConfigError."""
    text = text_of(asked, name)
    if not text:
        return default
    if not re.fullmatch(r'[0-9]{1,9}', text) or not least <= int(text) <= most:
        raise ConfigError(f'{name} must be a whole number from {least} to {most}')
    return int(text)


def _parsed(parse: Callable[[str], T], text: str, what: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ConfigError(f'{what} is not valid: {text[:60]!r}') from None
