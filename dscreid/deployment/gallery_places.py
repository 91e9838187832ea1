"""Open a gallery, wherever it is."""

from pathlib import Path

from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_lance import LanceStorage


def open_gallery(place: str | Path, bundle: Bundle | None = None, create: bool = False) -> Gallery:
    """Open a gallery.

    Args:
        place: Its folder.
        bundle: The model, which must be the gallery's; None only to look at tracklets or remove them.
        create: Whether to make the gallery if there is none yet; needs the bundle.

    Raises:
        GalleryError: If there is no gallery, it is damaged, or it holds features of another model.
        ConfigError: If what stores it is not installed.
    """
    return Gallery(LanceStorage(place, bundle, create), bundle)
