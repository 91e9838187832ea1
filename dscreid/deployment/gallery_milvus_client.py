"""The connection of a gallery to a Milvus server, and its errors as sentences."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dscreid.errors import ConfigError, GalleryError

#: Seconds to wait for a connection.
_CONNECT = 10
#: Code of pymilvus' errors without a connection, also if the server is not ready.
_NO_CONNECTION = 2
#: pymilvus asks every ten seconds whether a silent server is alive; by default, gRPC servers end such connections.
_GRPC = {'grpc.keepalive_time_ms': 300_000, 'grpc.keepalive_permit_without_calls': False}


def connect(uri: str, token: str, place: str) -> Any:
    """Connect to a server, or open a file of milvus-lite.

    Args:
        uri: ``http://HOST:PORT``, ``https://HOST:PORT`` or a file ``….db``.
        token: ``USER:PASSWORD`` or an API key; ``''`` for a server without authentication.
        place: Name of the gallery in messages.

    Raises:
        GalleryError: If the server cannot be reached, or refuses the token.
        ConfigError: If pymilvus is not installed.
    """
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise ConfigError('a gallery on a Milvus server needs pymilvus; pip install "dscreid[milvus]"') from None
    for name in ('pymilvus', 'milvus_lite'):
        # they log each error that they raise, with a traceback
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with errors(place):
        return MilvusClient(uri, token=token, timeout=_CONNECT, grpc_options=_GRPC)


@contextmanager
def errors(place: str) -> Iterator[None]:
    """Replace errors of pymilvus, and those of gRPC that it passes on, by one sentence."""
    import grpc
    from pymilvus import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        raise GalleryError(f'{place}: {_reason(error)}') from error


def _reason(error: BaseException) -> str:
    import grpc

    causes = list(_causes(error))
    codes = {one.code() if isinstance(one, grpc.RpcError) else getattr(one, 'code', None) for one in causes}
    if codes & {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return 'the server refuses the token; set the variable MILVUS_TOKEN to USER:PASSWORD, or to an API key'
    if codes & {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, _NO_CONNECTION}:
        return 'the server cannot be reached; start it, or check the host and the port'
    text = str(error.details() if isinstance(error, grpc.RpcError) else getattr(error, 'message', error))
    reason = ' '.join(text.split())
    return f'the Milvus server cannot do this ({reason}); if an index is being made, wait until it is ready'


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and its causes; some of pymilvus are their own cause."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and not any(cause is one for one in seen):
        seen.append(cause)
        yield cause
        cause = cause.__cause__ if cause.__cause__ is not cause else cause.__context__
