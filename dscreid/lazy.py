"""Lazy imports for packages: a module is imported when one of its names is first used (PEP 562).

``--help`` and ``import dscreid.evaluation`` then do not import torch, which takes seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_exports(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Export names of a package's modules without importing the modules.

    Assign the result to ``__getattr__, __dir__, __all__`` in ``__init__.py``. The modules are also attributes of the
    package: after ``from dscreid import apis``, the expression ``apis.train.run_experiment`` imports what it needs.

    Args:
        package: ``__name__`` of the package.
        modules: Name of a module in the package, or full name of another → names to export. An exported name must not
            be that of a module of the package, because the order of imports would decide which of the two is found.

    Returns:
        The package's ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    origin = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name in origin:
            module = origin[name]
            return getattr(import_module(module if module.startswith('dscreid.') else f'{package}.{module}'), name)
        if not name.startswith('_') and find_spec(f'{package}.{name}') is not None:
            return import_module(f'{package}.{name}')
        raise AttributeError(f'module {package!r} has no attribute {name!r}')

    return get, lambda: sorted(origin), sorted(origin)
