"""Who may talk to the server: token, addresses, size of requests, and the headers of answers."""

import hashlib
import hmac
import ipaddress
import json
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dscreid.errors import ConfigError

COOKIE = 'dscreid_session'
LEAST_TOKEN = 16
#: Paths that need no token.
_OPEN = ('/', '/api/login')


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this host."""
    try:
        return ipaddress.ip_address(host.strip('[]')).is_loopback
    except ValueError:
        return host == 'localhost'


def check_access(host: str, token: str | None) -> None:
    """Refuse servers that others can reach without a good token. Raises ConfigError."""
    if token is None and not is_loopback(host):
        raise ConfigError(
            f'{host} can be reached by others, so a token is needed; make one with: python -c "import secrets; '
            'print(secrets.token_urlsafe())" and give it as DSCREID_TOKEN or --token'
        )
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ConfigError(f'a token needs at least {LEAST_TOKEN} printable ASCII characters; make a longer one')


class Access:
    """Compares tokens and cookies in constant time.

    Args:
        token: The token; None lets everyone in who asks for an address of this machine.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        # the cookie does not contain the token, and ends with the process
        self.session = hmac.new(secrets.token_bytes(32), (token or '').encode(), hashlib.sha256).hexdigest()

    @property
    def needs_token(self) -> bool:
        """Whether there is a token."""
        return self._token is not None

    def knows(self, token: str) -> bool:
        """Whether a token is the right one."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def admits(self, headers: dict[str, str]) -> bool:
        """Whether a request has the token or the cookie."""
        if self._token is None:
            return True
        kind, _, token = headers.get('authorization', '').partition(' ')
        if kind.lower() == 'bearer' and self.knows(token.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get('cookie', '')).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self.session.encode())


class Guard:
    """ASGI middleware that refuses requests before the application sees them, and adds headers to all answers.

    Args:
        app: The application.
        access: Who may send requests.
        policy: The content security policy.
        max_bytes: Largest body of a request.
    """

    def __init__(self, app: ASGIApp, access: Access, policy: str, max_bytes: int) -> None:
        self._app, self._access, self._max_bytes = app, access, max_bytes
        self._headers = [
            (b'content-security-policy', policy.encode()),
            (b'x-content-type-options', b'nosniff'),
            (b'x-frame-options', b'DENY'),
            (b'referrer-policy', b'no-referrer'),
            (b'cross-origin-opener-policy', b'same-origin'),
            (b'cross-origin-resource-policy', b'same-origin'),
            (b'permissions-policy', b'camera=(), microphone=(), geolocation=()'),
            (b'cache-control', b'no-store'),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        headers = {name.decode('latin-1'): value.decode('latin-1') for name, value in scope['headers']}

        async def with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [*message.get('headers', ()), *self._headers]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(with_headers, *refusal)
            return
        await self._app(scope, self._counted(receive), with_headers)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and sentence for a request that is refused."""
        host = headers.get('host', '')
        if not self._access.needs_token and not is_loopback(_name(host)):
            # another site may have set its own host name to the address of this machine
            return 421, 'Without a token, only addresses of this machine are answered, such as http://127.0.0.1.'
        origin = headers.get('origin')
        if origin is not None and scope['method'] != 'GET' and origin.partition('://')[2] != host:
            return 403, 'The request comes from another site.'
        if scope['path'] not in _OPEN and not self._access.admits(headers):
            return 401, 'Give the token first.'
        length = headers.get('content-length', '0')
        if not (length.isascii() and length.isdigit()):
            return 400, 'The request has no valid length.'
        return (413, self._too_large) if int(length) > self._max_bytes else None

    @property
    def _too_large(self) -> str:
        return f'More than {self._max_bytes // 10**6} MB are not accepted; choose fewer or smaller files.'

    def _counted(self, receive: Receive) -> Receive:
        """Stop bodies that are longer than their announced length."""
        total = 0

        async def counted() -> Any:
            nonlocal total
            message = await receive()
            total += len(message.get('body', b''))
            if total > self._max_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return counted


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({'error': text}).encode()
    headers = [(b'content-type', b'application/json'), (b'content-length', str(len(body)).encode())]
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})


def _name(host: str) -> str:
    """Drop the port of a Host header."""
    return host.partition(']')[0] if host.startswith('[') else host.partition(':')[0]
