"""Dynamic-static collaboration for unsupervised domain adaptive video-based visible-infrared person re-ID."""

try:  # first of all, since MMEngine and mmcv import it too
    import cv2  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'OpenCV cannot be imported ({error}); install the wheel that needs no system libraries: pip uninstall --yes '
        'opencv-python opencv-python-headless && pip install --force-reinstall --no-deps '
        '"opencv-python-headless>=4.8,<5"'
    ) from None

from dscreid.version import __version__

__all__ = ['__version__']
