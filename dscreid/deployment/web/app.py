"""The application of ``dscreid serve``: one page, and what it asks for."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from dscreid.deployment.gallery import Gallery
from dscreid.deployment.inferencer import TrackletInferencer
from dscreid.deployment.web.guard import COOKIE, Access, Guard
from dscreid.deployment.web.requests import filters_of, number_of, read_json, read_upload, settings_of, text_of
from dscreid.deployment.web.service import Service
from dscreid.deployment.web.uploads import MAX_BYTES, MAX_FILES
from dscreid.errors import DscreidError
from dscreid.visualization.pictures import data_uri

_PAGE = Path(__file__).with_name('page.html')


def make_app(
    gallery: Gallery, inferencer: TrackletInferencer, token: str | None = None, marks: Path | None = None
) -> FastAPI:
    """Make the application.

    Args:
        gallery: The gallery, opened with the inferencer's bundle.
        inferencer: Computes the features of uploads.
        token: Token that users must give; None only for a server that listens only to this machine.
        marks: File of the marks; None for that of ``marks_file``.
    """
    app = FastAPI(title='dscreid', docs_url=None, redoc_url=None, openapi_url=None)
    service, access = Service(gallery, inferencer, marks), Access(token)
    page = _PAGE.read_text(encoding='utf-8')
    app.add_middleware(Guard, access=access, policy=content_policy(page), max_bytes=MAX_BYTES)
    app.add_exception_handler(DscreidError, _failed)
    app.add_exception_handler(HTTPException, _refused)
    for router in (_page_routes(page), _access_routes(access), _list_routes(service, access), _query_routes(service)):
        app.include_router(router)
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
        "media-src blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({'error': ' '.join(str(error).split())}, 400)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({'error': str(error.detail)}, error.status_code)


def _page_routes(page: str) -> APIRouter:
    router = APIRouter()

    @router.get('/', response_class=HTMLResponse)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page)

    return router


def _access_routes(access: Access) -> APIRouter:
    router = APIRouter(prefix='/api')

    @router.post('/login')
    async def login(request: Request) -> Response:
        given = (await read_json(request)).get('token')
        if access.needs_token and not (isinstance(given, str) and access.knows(given)):
            await asyncio.sleep(0.5)  # guessing is slow
            raise HTTPException(401, 'The token is wrong.')
        response = Response(status_code=204)
        secure = request.url.scheme == 'https'
        response.set_cookie(COOKIE, access.session, httponly=True, samesite='strict', secure=secure)
        return response

    @router.post('/logout')
    async def logout() -> Response:
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite='strict')
        return response

    return router


def _list_routes(service: Service, access: Access) -> APIRouter:
    """Routes that read: the gallery, its tracklets and their pictures."""
    router = APIRouter(prefix='/api')

    @router.get('/about')
    def about() -> dict[str, Any]:
        return {**service.about(), 'token': access.needs_token}

    @router.get('/tracklets')
    def tracklets(request: Request) -> dict[str, Any]:
        asked = request.query_params
        return service.tracklets(filters_of(asked), text_of(asked, 'text'), number_of(asked, 'start', 0, 10**9, 0))

    @router.get('/moving-picture')
    def moving_picture(tracklet: str) -> Response:
        jpeg = service.moving_picture(tracklet)
        if jpeg is None:
            raise HTTPException(404, 'There is no picture of this tracklet.')
        return Response(jpeg, media_type='image/jpeg')

    return router


def _query_routes(service: Service) -> APIRouter:
    """Routes that search, and mark answers."""
    router = APIRouter(prefix='/api')

    @router.post('/search')
    async def search(request: Request) -> dict[str, Any]:
        async with request.form(max_files=MAX_FILES, max_fields=1_000) as form:
            settings, name = settings_of(form), text_of(form, 'tracklet')
            upload = await read_upload(form)
        if upload is None:
            query = await run_in_threadpool(service.tracklet, name)
            return await run_in_threadpool(service.search, query, settings)
        query, jpeg = await run_in_threadpool(service.upload, *upload)
        answer = await run_in_threadpool(service.search, query, settings)
        return {**answer, 'picture': data_uri(jpeg)}

    @router.post('/marks')
    async def mark(request: Request) -> Response:
        content = await read_json(request)
        query, answer, same = (content.get(name) for name in ('query', 'tracklet', 'same'))
        if not (isinstance(query, str) and isinstance(answer, str) and isinstance(same, bool | None)):
            raise HTTPException(422, 'A mark needs query, tracklet and same: true, false or null.')
        await run_in_threadpool(service.mark, query, answer, same)
        return Response(status_code=204)

    return router
