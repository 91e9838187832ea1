import pytest
import torch
from mmengine import Config

from dscreid.apis.config import config_hash, config_name, fit_to_machine, load_config, require_keys
from dscreid.errors import ConfigError


def write(folder, text, name='a.py'):
    (folder / name).write_text(text)
    return folder / name


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match='no such config'):
        load_config(tmp_path / 'a.py')


@pytest.mark.parametrize('text', ['a = (', 'raise ValueError("two\\nlines")', "_base_ = 'gone.py'", 'a = b'])
def test_a_file_that_is_no_config(tmp_path, text):
    with pytest.raises(ConfigError, match=r'a\.py: cannot be read as a config: .+') as error:
        load_config(write(tmp_path, text))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['baselines/gur', 'dsc/agreement'])
def test_a_direction_for_which_a_method_has_no_settings_is_named(name):
    with pytest.raises(ConfigError, match=r"no settings for the direction 'own'; choose another .*, or add"):
        load_config(f'{name}_own')


def test_helpers_are_left_out_and_unread_ones_refused(tmp_path):
    text = 'import os\nfrom pathlib import Path\nclass A: pass\nrate = 0.1\noptim_wrapper = dict(lr=rate)\n_note = 1'
    assert load_config(write(tmp_path, text)).to_dict() == {'optim_wrapper': {'lr': 0.1}}
    with pytest.raises(ConfigError, match=r"^a\.py: nothing reads the key 'optim_wraper'; did you mean"):
        load_config(write(tmp_path, 'optim_wraper = dict(lr=0.1)'))


def test_what_a_program_computed_becomes_plain(tmp_path):
    text = """
from pathlib import Path
import numpy
from torch.optim import SGD
_base_ = './base.py'
work_dir = Path('/data') / 'x'
optim_wrapper = dict(optimizer=dict(type=SGD, lr=numpy.float32(0.5), betas=(numpy.int64(1), 2)))
"""
    write(tmp_path, 'log_level = 3', 'base.py')
    config = load_config(write(tmp_path, text))
    assert config.work_dir == '/data/x'
    assert config.optim_wrapper.optimizer == dict(type='torch.optim.sgd.SGD', lr=0.5, betas=(1, 2))
    config.dump(tmp_path / 'b.py')
    assert load_config(tmp_path / 'b.py').to_dict() == config.to_dict()


@pytest.mark.parametrize(('value', 'message'), [
    ("dict(type=Own)", r'model\.type is Own, which the config file defines; .*custom_imports'),
    ("dict(a=[Own()])", r'model\.a\.0 is <.*which cannot be written to a config file'),
    ("dict(a=lambda: 1)", r'model\.a is <function .*which cannot be written to a config file'),
    ("dict(a={1, 2})", r'model\.a is \{1, 2\}, which cannot be written to a config file'),
    ("dict(a=float('nan'))", r'model\.a is nan, which .*; give a finite'),
    ("dict(a=(1, -float('inf')))", r'model\.a\.1 is -inf, which .*; give a finite'),
])  # fmt: skip
def test_what_no_config_can_hold(tmp_path, value, message):
    with pytest.raises(ConfigError, match=rf'^a\.py: {message}'):
        load_config(write(tmp_path, f'class Own: pass\nmodel = {value}'))


def test_options_that_do_not_fit(tmp_path):
    path = write(tmp_path, 'custom_hooks = [dict(a=1)]\nlog_level = 3')
    assert load_config(path, {'custom_hooks.0.a': 2}).custom_hooks == [{'a': 2}]
    for options in ({'custom_hooks.5.a': 1}, {'custom_hooks.x.a': 1}, {'log_level.x': 1}):
        with pytest.raises(ConfigError, match='--cfg-options'):
            load_config(path, options)


def test_options_are_checked_too(tmp_path):
    path = write(tmp_path, "model = dict(type='ClusterLabeler')")
    with pytest.raises(ConfigError, match="did you mean 'eps'"):
        load_config(path, {'model.epz': 0.5})


def test_options_that_change_nothing_are_refused(tmp_path):
    path = write(tmp_path, 'rate = 0.1\noptim_wrapper = dict(lr=rate)')
    assert load_config(path, {'optim_wrapper.lr': 0.2}).optim_wrapper == {'lr': 0.2}
    with pytest.raises(ConfigError, match=r"'rate' changes nothing, .*; set these instead: optim_wrapper\.lr$"):
        load_config(path, {'rate': 0.2})


def test_the_config_of_a_finished_run_may_be_older(tmp_path):
    text = "data_root = '/x'\ndefault_hooks = dict(cluster=dict(type='ClusterHook', once_known=1))\nnote = 2"
    text += "\ntest_dataloader = dict(dataset=dict(type='HITSZVCM'))"
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, text))
    config = load_config(tmp_path / 'a.py', of_finished_run=True)
    assert config.test_dataloader.dataset.root == '/x'
    assert 'note' not in config


@pytest.fixture
def machine(monkeypatch):
    def set_gpu(available):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)

    return set_gpu


def training_config():
    return Config(
        dict(
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam')),
            env_cfg=dict(dist_cfg=dict(backend='nccl')),
            train_dataloader=dict(num_workers=0, persistent_workers=True),
            test_dataloader=dict(num_workers=0, persistent_workers=True),
            val_dataloader=dict(num_workers=2, persistent_workers=True),
        )
    )


def test_without_gpu_everything_is_float32(machine, monkeypatch):
    machine(False)
    config = training_config()
    said = []
    monkeypatch.setattr('dscreid.apis.config.print_log', lambda message, **options: said.append(message))
    fit_to_machine(config, amp=True)
    assert said == ['no GPU: training in float32 instead of mixed precision']
    assert config.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='Adam'))
    assert config.env_cfg.dist_cfg.backend == 'gloo'


def test_with_gpu_amp_is_bfloat16(machine):
    machine(True)
    config = training_config()
    fit_to_machine(config, amp=True)
    assert config.optim_wrapper.type == 'AmpOptimWrapper'
    assert config.optim_wrapper.dtype == 'bfloat16'
    assert config.env_cfg.dist_cfg.backend == 'nccl'


@pytest.mark.parametrize('kind', ['Adam', 'AdamW'])
def test_a_gpu_steps_in_one_kernel_unless_told_otherwise(machine, kind):
    found = {}
    for gpu in (False, True):
        machine(gpu)
        config = training_config()
        config.optim_wrapper.optimizer.type = kind
        fit_to_machine(config)
        found[gpu] = config
    assert 'fused' not in found[False].optim_wrapper.optimizer
    assert found[True].optim_wrapper.optimizer.fused is True
    assert config_hash(found[False]) == config_hash(found[True])  # it is the same run on either machine


@pytest.mark.parametrize(
    'optimizer', [dict(type='SGD'), dict(type='Adam', foreach=True), dict(type='Adam', fused=False)]
)
def test_other_steps_stay_as_they_are(machine, optimizer):
    machine(True)
    config = training_config()
    config.optim_wrapper.optimizer = optimizer
    fit_to_machine(config)
    assert config.optim_wrapper.optimizer == optimizer


def test_workers_persist_only_where_there_are_workers(machine):
    machine(False)
    config = training_config()
    fit_to_machine(config)
    assert 'persistent_workers' not in config.train_dataloader
    assert 'persistent_workers' not in config.test_dataloader
    assert config.val_dataloader.persistent_workers


@pytest.mark.parametrize('available', [False, True])
def test_memory_is_pinned_only_for_a_gpu(machine, available):
    machine(available)
    config = training_config()
    config.train_dataloader.pin_memory = config.test_dataloader.pin_memory = True
    fit_to_machine(config)
    assert config.train_dataloader.get('pin_memory', False) == available
    assert config.test_dataloader.get('pin_memory', False) == available


def test_the_hash_does_not_name_how_batches_are_loaded():
    loader = dict(num_workers=0, dataset=dict(pipeline=[dict(type='LoadFrames', size=(2, 1))]))
    faster = dict(num_workers=2, pin_memory=True, persistent_workers=True)
    faster['dataset'] = dict(pipeline=[dict(type='LoadFrames', size=(2, 1), backend='cv2')])
    other = dict(faster, dataset=dict(pipeline=[dict(type='LoadFrames', size=(2, 1), reduce=True)]))
    hashes = [config_hash(Config(dict(train_dataloader=node))) for node in (loader, faster, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_hash_names_what_is_computed():
    config = Config(dict(a=1, work_dir='x', launcher='none'))
    assert config_hash(config) == config_hash(Config(dict(launcher='slurm', work_dir='y', a=1)))
    assert config_hash(config) != config_hash(Config(dict(a=2)))
    assert len(config_hash(config)) == 16


def test_hash_is_that_of_the_experiment_not_of_the_machine():
    def config(root='x', workers=0, wrapper='OptimWrapper', lr=1e-3, interval=1, batch=4):
        loader = dict(batch_size=batch, num_workers=workers, dataset=dict(type='HITSZVCM', root=root))
        return Config(
            dict(
                data_root=root,
                env_cfg=dict(dist_cfg=dict(backend='gloo' if workers else 'nccl')),
                train_dataloader=loader,
                test_dataloader=loader,
                optim_wrapper=dict(type=wrapper, optimizer=dict(type='Adam', lr=lr)),
                train_cfg=dict(max_epochs=2, val_interval=interval),
            )
        )

    same = config_hash(config())
    assert same == config_hash(config('y', 4, 'AmpOptimWrapper', interval=5))
    assert same != config_hash(config(lr=2e-3))
    assert same != config_hash(config(batch=8))


def test_required_keys(tmp_path):
    config = Config.fromfile(write(tmp_path, 'a = 1\nb = None'))
    require_keys(config, 'a')
    for name in ('b', 'c'):
        with pytest.raises(ConfigError, match=rf'^a\.py: {name} is missing'):
            require_keys(config, 'a', name)
    assert config_name(Config(dict())) == 'config'
