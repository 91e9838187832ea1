"""The laboratory: synthetic worlds, table reproduction, doctor, demo and studies. No other package imports it."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__, {})
