"""Packages that import their modules late still export every name."""

import importlib
import pkgutil
from pathlib import Path

import pytest

import dscreid

PACKAGES = sorted(
    '.'.join(path.parent.relative_to(Path(dscreid.__file__).parents[1]).parts)
    for path in Path(dscreid.__file__).parent.rglob('__init__.py')
    if 'lazy_exports(' in path.read_text()
)


def test_there_are_lazy_packages():
    assert 'dscreid.apis' in PACKAGES


@pytest.mark.parametrize('name', PACKAGES)
def test_every_export_exists_and_hides_no_module(name):
    package = importlib.import_module(name)
    assert package.__all__ == sorted(set(package.__all__), key=package.__all__.index)
    for export in package.__all__:
        assert getattr(package, export) is not None
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)


def test_modules_are_attributes():
    apis = importlib.import_module('dscreid.apis')
    assert apis.train.run_experiment is apis.run_experiment


def test_an_unknown_name_is_an_attribute_error():
    apis = importlib.import_module('dscreid.apis')
    with pytest.raises(AttributeError, match=r"module 'dscreid.apis' has no attribute 'nothing'"):
        _ = apis.nothing
    assert not hasattr(apis, '__wrapped__')
