"""Workarounds for libraries that are older than the Python version in use."""

from importlib.abc import Loader
from importlib.util import find_spec
from typing import Any


def restore_find_loader(module: Any) -> None:
    """Restore ``pkgutil.find_loader`` in its module; Python 3.14 removed it, and MMEngine 0.10.7 needs it."""
    if not hasattr(module, 'find_loader'):
        module.find_loader = _find_loader


def _find_loader(name: str) -> Loader | None:
    spec = find_spec(name)
    return None if spec is None else spec.loader
