"""Kinds of the values at the top level of a config (``dscreid.apis.config_check``)."""

import copy
from pathlib import Path

import pytest
from mmengine import Config

from dscreid.apis.config_check import check_values
from dscreid.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / 'configs'
DICT, OPTIONAL = r'dict\(\.\.\.\)', r'dict\(\.\.\.\) or None'
WRONG = [
    ('model', None, DICT),
    ('model', 3, DICT),
    ('model', [dict(type='AdaptiveReID')], DICT),
    ('source', 'source/stp_bupt.py', OPTIONAL),
    ('train_dataloader', 3, OPTIONAL),
    ('train_cfg', 'abc', OPTIONAL),
    ('train_cfg.max_epochs', 0, 'a whole number of at least 1'),
    ('train_cfg.max_epochs', 2.0, 'a whole number of at least 1'),
    ('train_cfg.val_interval', True, 'a whole number of at least 1'),
    ('optim_wrapper', 'Adam', OPTIONAL),
    ('optim_wrapper.optimizer', 'Adam', OPTIONAL),
    ('param_scheduler', [dict(type='LinearLR'), 3], r'dict\(\.\.\.\), a list of them or None'),
    ('test_evaluator', 'hitsz_vcm', OPTIONAL),
    ('default_hooks', None, DICT),
    ('default_hooks.cluster', 3, OPTIONAL),
    ('custom_hooks', dict(type='MemoryUpdateHook'), r'a list of dict\(\.\.\.\) or None'),
    ('env_cfg', None, DICT),
    ('env_cfg.dist_cfg', 'nccl', DICT),
    ('env_cfg.cudnn_benchmark', 1, 'True or False'),
    ('randomness', 1, DICT),
    ('randomness.seed', -1, 'a whole number from 0 to 4294967295 or None'),
    ('randomness.seed', 2**32, 'a whole number from 0 to 4294967295 or None'),
    ('randomness.deterministic', 'maybe', 'True or False'),
    ('val_dataloader.num_workers', -1, 'a whole number of at least 0'),
    ('test_dataloader.batch_size', None, 'a whole number of at least 1'),
    ('train_dataloader.persistent_workers', 'no', 'True or False'),
    ('val_dataloader.sampler', 'SequentialSampler', DICT),
    ('source.checkpoint', 3, 'a path or None'),
    ('env_cfg.mp_cfg.mp_start_method', 'thread', 'one of fork, spawn, forkserver'),
    ('log_level', 'LOUD', 'DEBUG, INFO, WARNING, ERROR, CRITICAL or a number'),
    ('log_level', -1, 'DEBUG, INFO, WARNING, ERROR, CRITICAL or a number'),
]


@pytest.fixture(scope='module')
def config():
    return Config.fromfile(CONFIGS / 'dsc' / 'dsc_bupt2hitsz.py').to_dict()


@pytest.mark.parametrize(('key', 'value', 'words'), WRONG, ids=[f'{w[0]}={w[1]}' for w in WRONG])
def test_wrong_values_are_named(config, key, value, words):
    changed = copy.deepcopy(config)
    *parents, last = key.split('.')
    holder = changed
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[last] = value
    with pytest.raises(ConfigError, match=rf'^dsc\.py: {key.replace(".", "[.]")} must be {words}, got '):
        check_values(changed, 'dsc.py')


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=lambda path: path.stem)
def test_shipped_configs_pass(path):
    check_values(Config.fromfile(path).to_dict())


def test_what_may_be_left_out():
    check_values({})
    nothing = dict.fromkeys(('source', 'train_cfg', 'train_dataloader', 'param_scheduler', 'custom_hooks'))
    check_values(dict(nothing, default_hooks=dict(guard=None), randomness=dict(seed=None)))


def test_long_values_are_cut():
    with pytest.raises(ConfigError) as caught:
        check_values(dict(model=list(range(1000))))
    assert str(caught.value).endswith('...')
    assert len(str(caught.value)) < 120
