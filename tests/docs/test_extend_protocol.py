"""The tutorial on protocols runs: its class is found by its config and measures what the page says."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from dscreid.apis.test import evaluations_of, plan
from dscreid.apis.train import RunOptions, prepare
from dscreid.evaluation import protocol_directions
from dscreid.registry import METRICS, PROTOCOLS

PAGE = Path(__file__).parents[2] / 'docs' / 'extend' / 'protocol.md'


@pytest.fixture
def my_evaluation(tiny_runs, tmp_path, monkeypatch):
    """The page's module and config as files; the config inherits from a tiny experiment."""
    module, config = re.findall(r'^```python\n(.*?)^```', PAGE.read_text(encoding='utf-8'), flags=re.M | re.S)
    (tmp_path / 'own_protocol.py').write_text(module)
    base = "'configs/dsc/dsc_bupt2hitsz.py'"
    assert base in config
    path = tmp_path / 'my_evaluation.py'
    path.write_text(config.replace(base, repr(str(tiny_runs.adapt))))
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop('own_protocol', None)
    PROTOCOLS.module_dict.pop('infrared_to_all', None)


def test_the_config_evaluates_with_the_protocol_of_the_page(my_evaluation):
    config = prepare(my_evaluation, RunOptions())
    ((dataset, protocol),) = evaluations_of(config)
    assert protocol == 'infrared_to_all'
    found = plan(dataset, protocol)
    assert set(found.directions) == {'ir2all'}
    size = found.directions['ir2all']
    assert size.queries + size.gallery == len(dataset)
    assert METRICS.build(config.test_evaluator).protocol == protocol


def test_the_class_of_the_page_splits_a_test_set(my_evaluation):
    prepare(my_evaluation, RunOptions())
    (direction,) = protocol_directions('infrared_to_all', ['ir', 'rgb', 'ir'], [True, False, False]).values()
    np.testing.assert_array_equal(direction.query, [0])
    np.testing.assert_array_equal(direction.gallery, [1, 2])
    assert direction.drop_same_camera
