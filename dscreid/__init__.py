"""Dynamic-static collaboration for unsupervised domain adaptive video-based visible-infrared person re-ID."""

import os
import pkgutil

from dscreid.utils.startup import complete_account, let_threads_sleep, restore_find_loader
from dscreid.version import __version__

complete_account()  # before any library asks for the user's name or home folder
let_threads_sleep(os.environ)  # before any module of the package imports PyTorch
restore_find_loader(pkgutil)

try:  # before MMEngine and mmcv, which import it too
    import cv2  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'OpenCV cannot be imported ({error}); install the wheel that needs no system libraries: pip uninstall --yes '
        'opencv-python opencv-python-headless && pip install --force-reinstall --no-deps '
        '"opencv-python-headless>=4.8,<5"'
    ) from None

__all__ = ['__version__']
