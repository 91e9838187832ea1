"""Dynamic-static collaboration for unsupervised domain adaptive video-based visible-infrared person re-ID."""

from dscreid.version import __version__

__all__ = ['__version__']
