"""What MMEngine needs of a newer Python."""

import json
import pkgutil
from types import SimpleNamespace

from mmengine.utils.dl_utils import mmcv_full_available

from dscreid.utils.compatibility import restore_find_loader


def test_find_loader_is_restored_where_it_was_removed():
    module = SimpleNamespace()
    restore_find_loader(module)
    assert module.find_loader('json').name == json.__name__
    assert module.find_loader('json.no_such_module') is None


def test_find_loader_of_python_is_kept():
    module = SimpleNamespace(find_loader=len)
    restore_find_loader(module)
    assert module.find_loader is len


def test_mmengine_finds_that_mmcv_lite_has_no_compiled_operators():
    assert hasattr(pkgutil, 'find_loader')
    assert not mmcv_full_available()
