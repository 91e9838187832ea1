"""Settings and overrides that would change nothing are refused (``dscreid.apis.config_files``).

The message names the keys that can be set instead.
"""

from pathlib import Path

import pytest
from mmengine import Config

from dscreid.apis.config import load_config
from dscreid.apis.config_check import keys_that_are_read
from dscreid.apis.config_files import check_overrides
from dscreid.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / 'configs').glob('[!_]*/**/*.py'))


def refused(config, option):
    with pytest.raises(ConfigError, match=r'^--cfg-options ') as error:
        check_overrides(config, {option: 1})
    return str(error.value)


def instead(message):
    """The keys that a message names."""
    return message.partition('set these instead: ')[2].partition(' and ')[0].split(', ')


def value_at(config, place):
    for part in place.split('.'):
        config = config[int(part) if isinstance(config, (list, tuple)) else part]
    return config


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_helpers_of_every_config(path):
    """Whatever is no setting of the run is refused, and what is named in its place exists and holds its value."""
    config = Config.fromfile(path).to_dict()
    helpers = [key for key in config if key not in keys_that_are_read()]
    for key in helpers:
        message = refused(config, key)
        for place in instead(message) if 'instead' in message else ():
            assert place.partition('.')[0] in keys_that_are_read()
            held, value = value_at(config, place), config[key]
            assert value.items() <= held.items() if isinstance(value, dict) else held == value


def test_the_papers_helpers_are_found():
    config = Config.fromfile(next(path for path in CONFIGS if path.stem == 'dsc_bupt2hitsz')).to_dict()
    assert instead(refused(config, 'learning_rate')) == ['optim_wrapper.optimizer.lr']
    assert instead(refused(config, 'max_epochs')) == ['train_cfg.max_epochs']
    assert instead(refused(config, 'train_pipeline.0.rule')) == ['train_dataloader.dataset.pipeline.0.rule']


def inherit(folder, base, text):
    (folder / 'leaf.py').write_text(f'_base_ = {str(base)!r}\n{text}\n')
    return folder / 'leaf.py'


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_config_that_sets_a_helper_of_its_base_anew(path, tmp_path):
    """Whatever an inheriting config sets is a setting, or is refused with keys of the base that exist."""
    config = Config.fromfile(path).to_dict()
    for key in config:
        if key in keys_that_are_read() or key.startswith('_'):
            continue
        with pytest.raises(ConfigError, match=rf"^leaf\.py: '{key}' changes nothing") as error:
            load_config(inherit(tmp_path, path, f'{key} = {config[key]!r}'))
        for place in instead(str(error.value)) if 'instead' in str(error.value) else ():
            value_at(config, place)


@pytest.mark.parametrize(('text', 'message'), [
    ('learning_rate = 1e-3', r"nothing reads the key 'learning_rate'; set these instead: optim_wrapper\.optim"),
    ('lr = _base_.optim_wrapper.optimizer.lr / 2', r"nothing reads the key 'lr'; set these instead: optim_wrapper"),
    ('optim_wraper = dict()', "nothing reads the key 'optim_wraper'; did you mean 'optim_wrapper'"),
    ('num_frame = 3', "nothing reads the key 'num_frame'; did you mean 'num_frames'"),
    ('clustering = dict(epz=0.5)', "no part of this config takes clustering.epz; did you mean 'clustering.eps'"),
    ('clustering = dict(eps=0.5)\ndefault_hooks = dict(cluster=dict(labelers=[dict(type="ClusterLabeler", eps=0.6)]))',
     r'clustering.eps=0.5 changes nothing, .*set these instead: default_hooks\.cluster\.labelers\.0\.eps$'),
])  # fmt: skip
def test_settings_without_effect(tmp_path, text, message):
    base = next(path for path in CONFIGS if path.stem == 'dsc_bupt2hitsz')
    with pytest.raises(ConfigError, match=rf'^leaf\.py: {message}'):
        load_config(inherit(tmp_path, base, text))


def test_helpers_that_are_read(tmp_path):
    base = next(path for path in CONFIGS if path.stem == 'dsc_bupt2hitsz')
    middle = inherit(tmp_path, base, 'rate = 1e-3').rename(tmp_path / 'middle.py')
    path = inherit(tmp_path, middle, 'optim_wrapper = dict(optimizer=dict(lr=_base_.rate))')
    assert load_config(path).optim_wrapper.optimizer.lr == 1e-3
    with pytest.raises(ConfigError, match=r"^middle\.py: nothing reads the key 'rate'"):
        load_config(inherit(tmp_path, middle, ''))


def test_what_is_read_may_be_overridden():
    config = dict(model=dict(a=1), clustering=dict(k1=2))
    options = [
        'model.a',
        'clustering.k1',
        'data_root',
        'on_bad_frame',
        'source',
        'randomness.seed',
        'custom_hooks',
    ]
    check_overrides(config, dict.fromkeys(options, 1))


def test_what_holds_no_value_any_more():
    config = dict(rate=0.1, optim_wrapper=dict(lr=0.2))
    assert refused(config, 'rate').endswith('no part of the config has its value')


def test_long_lists_are_cut():
    config = dict(rate=0.1, custom_hooks=[dict(lr=0.1)] * 9)
    assert refused(config, 'rate').endswith('custom_hooks.5.lr and 3 more')


@pytest.mark.parametrize('key', ['self', 'cfg', 'rte', 'frames.0'])
def test_unknown_keys(key):
    assert f"nothing reads the key '{key.partition('.')[0]}'" in refused(dict(rate=0.1), key)


@pytest.mark.parametrize(('key', 'remedy'), [
    ('work_dir', '--work-dir'), ('resume', '--resume'), ('launcher', '--launcher'), ('experiment_name', '--work-dir'),
])  # fmt: skip
def test_what_a_run_sets_by_itself(key, remedy):
    message = refused(dict(resume=False), key)
    assert 'changes nothing' in message
    assert message.endswith(remedy)
