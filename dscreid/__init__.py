"""Dynamic-static collaboration for unsupervised domain adaptive video-based visible-infrared person re-ID."""

from dscreid.utils.account import complete_account
from dscreid.version import __version__

complete_account()  # before any library asks

__all__ = ['__version__']
