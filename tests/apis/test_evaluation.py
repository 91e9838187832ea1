"""What an evaluation extracts and measures, from configs alone; whole runs are in tests/test_targets_without_ids.py.

Covers ``dscreid.apis.test``.
"""

import pytest
from mmengine import Config

from dscreid.apis import load_config
from dscreid.apis.test import (
    Evaluation,
    complete_test_loop,
    disable_incomplete_loops,
    why_no_evaluation,
)
from dscreid.engine.extraction import extraction_loader

KEYS = ('cfg', 'dataloader', 'evaluator')


def loops():
    return Config({f'{loop}_{key}': dict(loop=loop) for loop in ('val', 'test') for key in KEYS})


@pytest.mark.parametrize('key', KEYS)
@pytest.mark.parametrize('loop', ['val', 'test'])
def test_a_loop_of_which_a_key_is_none_is_off(loop, key):
    for change in (lambda config, name: config.update({name: None}), lambda config, name: config.pop(name)):
        config = loops()
        change(config._cfg_dict, f'{loop}_{key}')
        disable_incomplete_loops(config)
        other = 'test' if loop == 'val' else 'val'
        assert [config[f'{loop}_{name}'] for name in KEYS] == [None] * 3
        assert [config[f'{other}_{name}'] for name in KEYS] == [dict(loop=other)] * 3


def test_whole_loops_stay():
    config = loops()
    disable_incomplete_loops(config)
    assert config.to_dict() == loops().to_dict()


def test_a_whole_test_loop_is_measured_as_it_is(tiny_runs):
    config = load_config(tiny_runs.adapt)
    before = config.to_dict()
    assert complete_test_loop(config) is None
    assert config.to_dict() == before
    assert complete_test_loop(config, 'bupt_campus') is None
    assert config.test_evaluator.protocol == 'bupt_campus'


def test_without_a_test_set_the_clustered_tracklets_are_extracted(tiny_runs):
    config = load_config(tiny_runs.adapt, {'test_dataloader': None})
    assert 'no test set' in complete_test_loop(config, 'hitsz_vcm')
    assert config.test_dataloader == extraction_loader(config)
    assert config.test_evaluator == dict(type='ReIDMetric', protocol=None)
    source = load_config(tiny_runs.source, {'test_dataloader': None})
    assert 'no test set' in complete_test_loop(source)
    assert source.test_dataloader is None


@pytest.mark.parametrize('options', [{'test_evaluator': None}, {'test_evaluator.protocol': None}])
def test_without_a_protocol_the_test_set_is_extracted(tiny_runs, options):
    config = load_config(tiny_runs.adapt, options)
    loader = config.test_dataloader.to_dict()
    assert 'no evaluation protocol' in complete_test_loop(config)
    assert config.test_dataloader == loader
    assert config.test_evaluator.protocol is None
    assert complete_test_loop(config, 'hitsz_vcm') is None


def test_the_reason_is_known_before_a_run(tiny_runs):
    assert why_no_evaluation(load_config(tiny_runs.adapt)) is None
    hidden = load_config(tiny_runs.adapt, {'test_dataloader.dataset.labelled': False})
    assert why_no_evaluation(hidden).endswith('it is read with labelled=False')
    missing = load_config(tiny_runs.adapt, {'test_dataloader': None})
    assert why_no_evaluation(missing) == 'the config has no test set (test_dataloader is None)'
    assert missing.test_dataloader is None


def test_what_is_printed_and_recorded():
    measured = Evaluation({'rgb2ir/mAP': 0.25}, 'a.pth', None, 'f.safetensors', '3 tracklets')
    assert measured == measured.record() == {'rgb2ir/mAP': 0.25}
    lines = str(measured).splitlines()
    assert lines[:2] == ['checkpoint: a.pth', 'features: f.safetensors (3 tracklets)']
    assert lines[-1].split() == ['rgb2ir', '25.0']
    unmeasured = Evaluation({}, 'a.pth', 'there is no moon')
    assert unmeasured == {}
    assert unmeasured.record() == {'evaluated': False, 'reason': 'there is no moon'}
    assert str(unmeasured).splitlines() == ['checkpoint: a.pth', 'no evaluation: there is no moon']
