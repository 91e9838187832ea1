"""Open a gallery, in a folder or on a Milvus server."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_lance import LanceStorage
from dscreid.deployment.gallery_milvus import MilvusStorage
from dscreid.deployment.gallery_storage import Storage
from dscreid.errors import ConfigError

#: Environment variable with the password or key of a Milvus server, because other users can see command lines.
TOKEN = 'MILVUS_TOKEN'
_PORT = 19530


class Address(NamedTuple):
    """A gallery on a server: ``http://HOST:PORT`` and the name of a collection."""

    uri: str
    collection: str


def open_gallery(place: str | Path, bundle: Bundle | None = None, create: bool = False) -> Gallery:
    """Open a gallery.

    Args:
        place: Its folder (LanceDB), its address ``http://HOST:19530/NAME`` or ``https://HOST:19530/NAME`` on a Milvus
            server, or a file ``….db`` of milvus-lite, for tests. The environment variable ``MILVUS_TOKEN`` holds the
            server's ``USER:PASSWORD`` or API key.
        bundle: The model, which must be the gallery's; None only to look at tracklets or remove them.
        create: Whether to make the gallery if there is none yet; needs the bundle.

    Raises:
        GalleryError: If there is no gallery, it is damaged or cannot be reached, or it holds features of another model.
        ConfigError: If the address is malformed, or the package that stores the gallery is not installed.
    """
    return Gallery(_open_storage(place, bundle, create), bundle)


def address_of(place: str | Path) -> Address | None:
    """Split the address of a gallery on a server; None for a folder or file.

    Raises:
        ConfigError: If the address is malformed.
    """
    if '://' not in str(place):
        return None
    try:
        parts = urlsplit(str(place))
        port = parts.port or _PORT
    except ValueError as error:
        raise ConfigError(f'{place}: is not an address ({error}); write http://HOST:{_PORT}/NAME') from None
    if parts.password is not None or parts.username is not None:
        raise ConfigError(f'other users can see a password in an address; set the variable {TOKEN} instead')
    name = parts.path.strip('/')
    if parts.scheme not in ('http', 'https') or not parts.hostname or not name or parts.query or parts.fragment:
        raise ConfigError(f'{place}: is not an address of a gallery; write http://HOST:{_PORT}/NAME')
    host = f'[{parts.hostname}]' if ':' in parts.hostname else parts.hostname
    return Address(f'{parts.scheme}://{host}:{port}', name)


def _open_storage(place: str | Path, bundle: Bundle | None, create: bool) -> Storage:
    address = address_of(place)
    if address is not None:
        return MilvusStorage(*address, bundle, create, os.environ.get(TOKEN, ''))
    if str(place).endswith('.db'):
        return MilvusStorage(str(place), 'tracklets', bundle, create)
    return LanceStorage(place, bundle, create)
