"""Every config builds: its full-size model, and everything else in a runner on a tiny world."""

from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from tiny_methods import shrink, shrink_batches
from tiny_runner import make_runner

from dscreid.apis.build import build_runner
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.preflight import check_stage
from dscreid.errors import ConfigError
from dscreid.models.reid import is_supervised
from dscreid.registry import DATA_SAMPLERS, DATASETS, METRICS, MODELS
from dscreid.utils.shipped import directions_of, split_direction

CONFIGS = Path(__file__).parents[1] / 'configs'
#: Directions whose configs are tested; those of image data sets have tests of their own for training.
DIRECTIONS = ('bupt2hitsz', 'hitsz2bupt', 'demo', 'sysu_mm01', 'regdb')
FILES = sorted(
    path.with_name(f'{path.stem}_{direction}.py') if direction else path
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
    for direction in ([name for name in DIRECTIONS if name in directions_of(path)] or [''])
)
NAMES = [str(path.relative_to(CONFIGS)) for path in FILES]
#: Where a config's loaders lie.
LOADING = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'default_hooks')
every_config = pytest.mark.parametrize('path', FILES, ids=NAMES)


@pytest.fixture
def load(method_worlds):
    """Function that loads a config with all data roots in the tiny worlds."""

    def load(path):
        config = load_config(path)
        fit_to_machine(config)
        return config

    return load


def test_there_are_configs():
    assert {'dsc/dsc_bupt2hitsz.py', 'source/stp_bupt.py', 'baselines/gur_demo.py'} <= set(NAMES)
    assert directions_of(CONFIGS / 'baselines/gur.py') == [
        'bupt2hitsz', 'demo', 'demo_efficientnet', 'demo_few', 'demo_short', 'hitsz2bupt', 'own',
    ]  # fmt: skip


@every_config
def test_the_model_builds_in_full_size(path, load):
    config = load(path)
    if is_supervised(config.model):
        config.model.num_classes = 5
    with torch.device('meta'):  # shapes without memory
        model = MODELS.build(config.model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert any(name.startswith('backbone.') for name in trained)


#: Configs of two directions: hitsz2bupt has the parts of bupt2hitsz, with the data sets exchanged.
BUILT = [path for path in FILES if path.parent.name != 'images' and not path.stem.endswith('_hitsz2bupt')]


@pytest.mark.slow
@pytest.mark.parametrize('path', [*BUILT, CONFIGS / 'dsc/dsc_hitsz2bupt.py'], ids=lambda path: path.stem)
def test_the_runner_builds(path, load, tmp_path):
    config = load(path)
    shrink(config._cfg_dict)
    config.work_dir = str(tmp_path)
    if config.get('train_cfg') is None:
        dataset = DATASETS.build(config.test_dataloader.dataset)
        DATA_SAMPLERS.build(config.test_dataloader.sampler, default_args=dict(dataset=dataset))
        METRICS.build(config.test_evaluator)
        return
    runner = build_runner(config, None, None)
    assert isinstance(runner.optim_wrapper, OptimWrapper)
    assert len(runner.param_schedulers) == len(config.param_scheduler)
    # the schedules end with the training
    ends = [scheduler.end for scheduler in runner.param_schedulers]
    if any(scheduler.by_epoch is False for scheduler in runner.param_schedulers) and 'warmup' not in path.name:
        assert max(ends) == runner.max_iters
    names = [type(hook).__name__ for hook in runner.hooks]
    assert 'InitialCheckpointHook' in names
    if config.model.type == 'AdaptiveReID':
        assert {'ClusterHook', 'MemoryUpdateHook'} <= set(names)
        assert runner.train_dataloader.dataset.labels is None


#: One config of each method and encoder; ablations and the real datasets' configs have the same parts.
TRAINED = [
    path
    for path in FILES
    if path.stem.endswith('_demo')
    and path.stem not in ('cd_demo', 'adabn_demo')  # which train nothing
    and path.parent.name != 'ablations'
    and (path.parent.name != 'resnet50' or path.stem == 'bclu_resnet50_demo')
]


@pytest.mark.slow
@pytest.mark.usefixtures('one_thread')
@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_it_trains_for_two_iterations(path, load, tmp_path):
    config = load(path)
    shrink(config._cfg_dict)
    shrink_batches(config._cfg_dict)
    config.work_dir, config.log_level, config.param_scheduler = str(tmp_path), 'ERROR', None
    config.train_cfg.update(max_epochs=1, val_interval=9)
    runner = build_runner(config, None, None)
    before = {name: value.detach().clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 2
    after = dict(runner.model.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    trained = [name for name, value in after.items() if not torch.equal(value, before[name])]
    assert any(name.startswith('backbone.') for name in trained)


@pytest.mark.slow
@pytest.mark.usefixtures('one_thread')
@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_it_passes_the_trial_before_long_work(path, load):
    config = load(path)
    shrink(config._cfg_dict)
    shrink_batches(config._cfg_dict)
    config.param_scheduler = None
    check_stage(config)


@every_config
def test_nothing_is_chosen_on_test_labels(path, load):
    config = load(path).to_dict()
    hooks = [*config['default_hooks'].values(), *(config.get('custom_hooks') or [])]
    names = [hook['type'] for hook in hooks if hook]
    # MMEngine's own hook keeps the best checkpoint by a metric of the test set (save_best); this one cannot
    assert names.count('DurableCheckpointHook') == 1
    assert not {'CheckpointHook', 'EarlyStoppingHook'} & set(names)
    assert not any('save_best' in hook or hook.get('monitor') for hook in hooks if hook)
    schedulers = [scheduler['type'] for scheduler in config.get('param_scheduler') or []]
    assert not any('Plateau' in name for name in schedulers)
    assert (config['default_hooks'].get('selection') or {}).get('criterion') is None
    # records the test-selected epoch of published figures, and changes nothing else
    assert ('SelectedOnTestHook' in names) == (path.parent.name == 'images')


def test_the_best_by_a_test_metric_cannot_be_asked_for():
    option = {'default_hooks.checkpoint.save_best': 'mean/mAP'}
    with pytest.raises(ConfigError, match="DurableCheckpointHook has no argument 'save_best'"):
        load_config(CONFIGS / 'dsc/dsc_bupt2hitsz.py', option)


@every_config
def test_the_named_source_stage_exists_and_fits(path, load):
    config = load(path)
    if not config.get('source'):
        return
    source = load(config.source.config)
    assert source.model.backbone == config.model.backbone
    assert source.model.retrieval in ('neck', 'raw')
    for key in ('mean', 'std'):
        assert source.model.data_preprocessor[key] == config.model.data_preprocessor[key]


def test_the_target_of_each_direction_is_unlabelled_and_the_source_labelled(load):
    for name, dataset in (('dsc/dsc_bupt2hitsz.py', 'HITSZVCM'), ('dsc/dsc_hitsz2bupt.py', 'BUPTCampus')):
        config = load(CONFIGS / name)
        target = config.train_dataloader.dataset
        assert (target.type, target.labelled) == (dataset, False)
        source = load(config.source.config).train_dataloader.dataset
        assert source.type != dataset
        assert source.get('labelled', True)


def test_roots_come_from_the_environment_or_the_command_line(monkeypatch):
    monkeypatch.delenv('DSCREID_HITSZ_VCM', raising=False)
    path = CONFIGS / 'dsc/dsc_bupt2hitsz.py'
    assert load_config(path).test_dataloader.dataset.root == 'data/hitsz_vcm'
    monkeypatch.setenv('DSCREID_HITSZ_VCM', '/x')
    assert load_config(path).train_dataloader.dataset.root == '/x'
    config = load_config(path, {'data_root': '/y'})
    roots = [config[f'{part}_dataloader'].dataset.root for part in ('train', 'val', 'test')]
    assert roots == ['/y'] * 3


RESNETS = [name for name in NAMES if name.startswith('resnet50/')]


@pytest.mark.parametrize('name', RESNETS)
def test_resnet50_variants_differ_in_encoder_and_source_alone(name, load):
    path = CONFIGS / name
    method = path.name.replace('_resnet50', '')
    variant, original = load(path).to_dict(), load(path.parents[1] / 'baselines' / method).to_dict()
    assert variant['model'].pop('backbone')['type'] == 'TwoStreamResNet50'
    assert original['model'].pop('backbone')['type'] == 'SpatioTemporalPrompting'
    assert 'resnet50' in Path(variant.pop('source')['config']).name
    del original['source']
    if variant['num_frames'] == 2:  # the demo's, which a processor must bear
        assert frames_per_tracklet(variant) == {2}
        set_frames(variant, 6)
        variant['num_frames'] = 6
    assert variant == original


def sampled(node):
    """All ``SampleFrames`` of pipelines within loaders."""
    if isinstance(node, dict):
        if 'pipeline' in node:
            yield from (step for step in node['pipeline'] if step['type'] == 'SampleFrames')
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from sampled(value)


def frames_per_tracklet(config):
    return {step['num_frames'] for step in sampled([config[key] for key in LOADING])}


def set_frames(config, number):
    for step in sampled([config[key] for key in LOADING]):
        step['num_frames'] = number


def test_no_two_configs_share_a_work_folder():
    # work_dirs/<name>, by default: a run of one config would refuse the other's files
    stems = [path.stem for path in FILES]
    assert sorted(stems) == sorted(set(stems))


@pytest.mark.parametrize('inherits', [False, True])
@pytest.mark.parametrize('name', ['dsc/dsc_bupt2hitsz.py', 'source/stp_bupt.py', 'baselines/bclu_hitsz2bupt.py'])
def test_the_decay_ends_with_the_last_epoch(name, inherits, tmp_path):
    path, options = CONFIGS / name, {'train_cfg.max_epochs': 7}
    if inherits:
        file, direction = split_direction(path)
        (tmp_path / 'longer.py').write_text(f'_base_ = {str(file)!r}\ntrain_cfg = dict(max_epochs=7)\n')
        path, options = tmp_path / (f'longer_{direction}.py' if direction else 'longer.py'), {}
    settings = load_config(path, options).param_scheduler[-1]
    assert settings.type == 'CosineAnnealingLR'
    runner = make_runner(tmp_path / 'run', epochs=7)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    (scheduler,) = runner.build_param_scheduler(settings)
    assert scheduler.end == 7 * 2  # iterations
    explicit = settings.to_dict() | dict(begin=0, end=3)
    (scheduler,) = runner.build_param_scheduler(explicit)
    assert scheduler.end == 3 * 2
