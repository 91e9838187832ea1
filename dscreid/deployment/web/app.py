"""The application of ``dscreid serve``: one page, and what it asks for."""

import asyncio
import base64
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException

from dscreid.datasets.tracklet_table import parse_time
from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_filters import Filters, parse_threshold
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.inferencer import TrackletInferencer
from dscreid.deployment.marks import append_mark, labeled_pairs, make_mark, marks_file
from dscreid.deployment.search import SearchSettings, nothing_text, rate_text, search_features, time_text
from dscreid.deployment.web.guard import COOKIE, Access, Guard
from dscreid.deployment.web.strips import strip, strip_of
from dscreid.deployment.web.uploads import MAX_BYTES, MAX_FILES, Box, parse_box, query_frames
from dscreid.errors import ConfigError, DatasetError, DscreidError
from dscreid.structures import Modality
from dscreid.visualization.pictures import data_uri

_PAGE = Path(__file__).with_name('page.html')
_MOST_HITS = 200
#: Tracklets of one part of the list to pick from.
_PER_LIST = 60
#: Uploads whose features are remembered, so that their answers can be marked.
_REMEMBERED = 256
_MOST_JSON = 10_000

T = TypeVar('T')


class Query(NamedTuple):
    """What is searched for.

    Attributes:
        name: Name of a tracklet, or ``upload-`` and a hash.
        feature: float32 (D,).
        modality: Visible or infrared.
    """

    name: str
    feature: npt.NDArray[np.float32]
    modality: Modality


class Service:
    """Answers the page's questions; safe to use from several threads.

    Args:
        gallery: The gallery, opened with the inferencer's bundle.
        inferencer: Computes the features of uploads.
        marks: File of the marks; None for that of ``marks_file``.
    """

    def __init__(self, gallery: Gallery, inferencer: TrackletInferencer, marks: Path | None = None) -> None:
        self.gallery, self.inferencer = gallery, inferencer
        self.marks = marks_file(gallery.place) if marks is None else marks
        self._uploads: OrderedDict[str, Query] = OrderedDict()
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """Describe the gallery, and what can be chosen."""
        found = self.gallery.statistics()
        calibration = self.inferencer.bundle.calibration or {}
        return {
            'gallery': self.gallery.name,
            'count': found.count,
            'model': self.gallery.about['model'],
            'cameras': sorted({camera for camera, _ in found.cameras}),
            'times': time_text(*found.times) if found.times else '',
            'zoned': bool(found.times and found.times[0].tzinfo),
            'rates': sorted({line['rate'] for line in calibration.get('thresholds', ())}, reverse=True),
            'max_files': MAX_FILES,
            'max_bytes': MAX_BYTES,
        }

    def tracklets(self, filters: Filters, text: str, start: int) -> dict[str, Any]:
        """List tracklets to pick from, whose names contain a text."""
        entries = [one for one in self.gallery.query(filters) if text.lower() in one.tracklet.lower()]
        return {'count': len(entries), 'tracklets': [_facts(one) for one in entries[start : start + _PER_LIST]]}

    def moving_picture(self, name: str) -> bytes | None:
        """Make the moving picture of a tracklet; None if there is none."""
        found = self.gallery.find(name)
        return None if found is None else strip_of(self.gallery, found[0])

    def tracklet(self, name: str) -> Query:
        """Find a query in the gallery. Raises DatasetError."""
        found = self.gallery.find(name)
        if found is None:
            raise DatasetError('the gallery does not have this tracklet any more; choose another one')
        entry, feature = found
        return Query(name, feature, entry.modality)

    def upload(self, contents: Sequence[bytes], box: Box, modality: Modality) -> tuple[Query, bytes]:
        """Compute the feature of an upload, and its moving picture.

        Raises:
            DatasetError: See ``query_frames``.
        """
        frames = query_frames(contents, box)
        with self._lock:
            (feature,) = self.inferencer([frames], [modality], progress=False)
        digest = hashlib.sha256(feature.tobytes() + modality.value.encode()).hexdigest()
        query = Query(f'upload-{digest[:16]}', feature, modality)
        with self._lock:
            self._uploads[query.name] = query
            self._uploads.move_to_end(query.name)
            while len(self._uploads) > _REMEMBERED:
                self._uploads.popitem(last=False)
        return query, strip(frames)

    def search(self, query: Query, settings: SearchSettings) -> dict[str, Any]:
        """Find tracklets, best first."""
        bundle = self.inferencer.bundle
        (hits,) = search_features(self.gallery, bundle, query.feature[None], [query.modality], [query.name], settings)
        marks = self._marks_of(query)
        return {
            'query': query.name,
            'modality': query.modality.value,
            'nothing': '' if hits else nothing_text(settings),
            'hits': [
                {
                    **_facts(hit.entry),
                    'similarity': f'{hit.similarity:.3f}',
                    'rate': rate_text(hit.similarity, bundle, query.modality, hit.entry.modality),
                    'mark': marks.get(hit.entry.tracklet),
                }
                for hit in hits
            ],
        }

    def mark(self, query: str, answer: str, same: bool | None) -> None:
        """Keep a mark. Raises DatasetError if the query or the answer is gone."""
        with self._lock:
            asked = self._uploads.get(query)
        if asked is None and query.startswith('upload-') and self.gallery.find(query) is None:
            raise DatasetError('the server has forgotten this upload; search again, then mark')
        asked = asked or self.tracklet(query)
        found = self.tracklet(answer)
        if asked.name == found.name:
            raise DatasetError('a tracklet cannot be marked as an answer to itself')
        similarity = float(asked.feature @ found.feature)
        model = self.inferencer.bundle.fingerprint
        pair = (asked.name, asked.modality), (found.name, found.modality)
        append_mark(self.marks, make_mark(*pair, same, similarity, model))

    def _marks_of(self, query: Query) -> dict[str, bool | None]:
        pairs = labeled_pairs(self.marks, self.inferencer.bundle.fingerprint)
        found = {one.tracklet: one.same for one in pairs if one.query == query.name}
        return found | {one.query: one.same for one in pairs if one.tracklet == query.name}


def make_app(
    gallery: Gallery, inferencer: TrackletInferencer, token: str | None = None, marks: Path | None = None
) -> FastAPI:
    """Make the application.

    Args:
        gallery: The gallery, opened with the inferencer's bundle.
        inferencer: Computes the features of uploads.
        token: What a user must know; None only for a server that listens to this machine alone.
        marks: File of the marks; None for that of ``marks_file``.
    """
    app = FastAPI(title='dscreid', docs_url=None, redoc_url=None, openapi_url=None)
    service, access = Service(gallery, inferencer, marks), Access(token)
    page = _PAGE.read_text(encoding='utf-8')
    app.add_middleware(Guard, access=access, policy=content_policy(page), max_bytes=MAX_BYTES)

    @app.exception_handler(DscreidError)
    async def failed(request: Request, error: DscreidError) -> JSONResponse:
        return JSONResponse({'error': ' '.join(str(error).split())}, 400)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({'error': str(error.detail)}, error.status_code)

    @app.get('/', response_class=HTMLResponse)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.post('/api/login')
    async def login(request: Request) -> Response:
        given = (await _json(request)).get('token')
        if access.needs_token and not (isinstance(given, str) and access.knows(given)):
            await asyncio.sleep(0.5)  # guessing is slow
            raise HTTPException(401, 'The token is wrong.')
        response = Response(status_code=204)
        secure = request.url.scheme == 'https'
        response.set_cookie(COOKIE, access.session, httponly=True, samesite='strict', secure=secure)
        return response

    @app.post('/api/logout')
    async def logout() -> Response:
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite='strict')
        return response

    @app.get('/api/about')
    def about() -> dict[str, Any]:
        return {**service.about(), 'token': access.needs_token}

    @app.get('/api/tracklets')
    def tracklets(request: Request) -> dict[str, Any]:
        asked = request.query_params
        return service.tracklets(_filters(asked), asked.get('text', ''), _number(asked, 'start', 0, 10**9))

    @app.get('/api/moving-picture')
    def moving_picture(tracklet: str) -> Response:
        jpeg = service.moving_picture(tracklet)
        if jpeg is None:
            raise HTTPException(404, 'There is no picture of this tracklet.')
        return Response(jpeg, media_type='image/jpeg')

    @app.post('/api/search')
    async def search(request: Request) -> dict[str, Any]:
        async with request.form(max_files=MAX_FILES, max_fields=40) as form:
            settings = _settings(form)
            contents = [await one.read() for one in form.getlist('files') if isinstance(one, UploadFile) and one.size]
            if not contents:
                query = await run_in_threadpool(service.tracklet, _text(form, 'tracklet'))
                return await run_in_threadpool(service.search, query, settings)
            modality = _parsed(Modality, _text(form, 'query_modality') or 'rgb', 'the modality of the query')
            box = parse_box(_text(form, 'box'))
            query, jpeg = await run_in_threadpool(service.upload, contents, box, modality)
            answer = await run_in_threadpool(service.search, query, settings)
            return {**answer, 'picture': data_uri(jpeg)}

    @app.post('/api/marks')
    async def mark(request: Request) -> Response:
        content = await _json(request)
        query, answer, same = (content.get(name) for name in ('query', 'tracklet', 'same'))
        if not (isinstance(query, str) and isinstance(answer, str) and isinstance(same, bool | None)):
            raise HTTPException(422, 'A mark needs query, tracklet and same: true, false or null.')
        await run_in_threadpool(service.mark, query, answer, same)
        return Response(status_code=204)

    return app


def content_policy(page: str) -> str:
    """Write a policy that allows the page's own script and style, and pictures; nothing from elsewhere."""
    hashes = {
        tag: ' '.join(
            f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
            for content in re.findall(rf'<{tag}>(.*?)</{tag}>', page, re.DOTALL)
        )
        for tag in ('script', 'style')
    }
    return (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; img-src 'self' data: blob:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


async def _json(request: Request) -> dict[str, Any]:
    """Read a small JSON object."""
    body = await request.body()
    try:
        content = await request.json() if len(body) <= _MOST_JSON else None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise HTTPException(422, 'The request is not a small JSON object.')
    return content


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        'tracklet': entry.tracklet,
        'camera': entry.camera,
        'modality': entry.modality.value,
        'time': time_text(entry.start_time, entry.end_time),
    }


def _settings(form: FormData) -> SearchSettings:
    threshold = _text(form, 'threshold')
    return SearchSettings(
        _filters(form),
        _number(form, 'top', 1, _MOST_HITS, 20),
        _parsed(parse_threshold, threshold, 'the threshold') if threshold else None,
    )


def _filters(asked: FormData | QueryParams) -> Filters:
    modality = _text(asked, 'modality')
    return Filters(
        tuple(one for one in asked.getlist('camera') if isinstance(one, str) and one),
        _parsed(Modality, modality, 'the modality') if modality else None,
        _parsed(parse_time, _text(asked, 'from').replace('Z', '+00:00'), 'the first time'),
        _parsed(parse_time, _text(asked, 'to').replace('Z', '+00:00'), 'the last time'),
    )


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name, '')
    return value if isinstance(value, str) else ''


def _number(asked: Mapping[str, Any], name: str, least: int, most: int, default: int | None = None) -> int:
    text = _text(asked, name)
    if not text:
        return least if default is None else default
    if not re.fullmatch(r'[0-9]{1,9}', text) or not least <= int(text) <= most:
        raise ConfigError(f'{name} must be a whole number from {least} to {most}')
    return int(text)


def _parsed(parse: Callable[[str], T], text: str, what: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ConfigError(f'{what} is not valid: {text[:60]!r}') from None
