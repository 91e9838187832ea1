"""Dynamic-static collaboration for unsupervised domain adaptive video-based visible-infrared person re-ID."""

import os

from dscreid.threads import let_threads_sleep
from dscreid.version import __version__

let_threads_sleep(os.environ)  # before any module of the package imports PyTorch

__all__ = ['__version__']
