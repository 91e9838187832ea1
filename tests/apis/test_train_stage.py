"""Stages: what they write, resume, refuse; what their results may not depend on."""

import json
import math
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.hooks import Hook
from tiny_runs import write_tiny_configs

from dscreid.apis import train
from dscreid.apis.config import config_hash, fit_to_machine, load_config
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import (
    RunOptions,
    finished_checkpoint,
    prepare,
    run_experiment,
    source_stage,
    train_stage,
)
from dscreid.engine.checkpoint_files import FINISHED_FILE, last_checkpoint
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.pretrained import export_tower
from dscreid.registry import HOOKS
from dscreid.utils.checkpoint import load_checkpoint, load_weights

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


@HOOKS.register_module()
class InterruptHook(Hook):
    """Ctrl-C before an iteration (from 0, over all epochs), or before the epoch's hooks have done anything."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration=None, epoch=None):
        self.iteration, self.epoch = iteration, epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


@HOOKS.register_module()
class NeckProbe(Hook):
    """Save the running mean of a neck before the first iteration, and stop."""

    def __init__(self, path):
        self.path = path

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.save(runner.model.static_neck.running_mean, self.path)
        raise KeyboardInterrupt


def run(path, work_dir, source=None, resume=False, interrupt=None, overwrite=False, **options):
    config = load_config(path, options)
    config.work_dir = str(work_dir)
    if interrupt is not None:
        # in place of a hook that learns nothing: a run with another custom hook could not be resumed
        config.default_hooks.speed = dict(type='InterruptHook', **interrupt)
    fit_to_machine(config)
    return train_stage(config, resume=resume, source_checkpoint=source, overwrite=overwrite)


def assert_same_weights(left, right):
    left, right = load_weights(left), load_weights(right)
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


@pytest.fixture
def stage(request, tiny_runs, tiny_experiment):
    """Config, source checkpoint and result of a stage that ran without a break."""
    if request.param == 'source':
        return tiny_runs.source, None, tiny_experiment.source_checkpoint
    return tiny_runs.adapt, tiny_experiment.source_checkpoint, tiny_experiment.checkpoint


both_stages = pytest.mark.parametrize('stage', ['source', 'adapt'], indirect=True)


@HOOKS.register_module()
class NoiseHook(Hook):
    """Stands for dropout: moves a weight by numbers of the global generators."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        noise = torch.rand(()) + random.random() + np.random.random()  # noqa: NPY002
        runner.model.backbone.attn.in_proj_bias.data += 1e-3 * noise


def test_global_random_numbers_do_not_depend_on_an_interruption(tiny_runs, tmp_path):
    """Validation, which is due once in the unbroken run alone, draws from torch's generator too."""
    noisy = {'train_cfg.val_interval': 1}
    whole = run(tiny_runs.source, tmp_path / 'whole', custom_hooks=[dict(type='NoiseHook')], **noisy)
    hooks = [dict(type='NoiseHook')]
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path / 'broken', custom_hooks=hooks, interrupt=dict(iteration=4), **noisy)
    assert_same_weights(run(tiny_runs.source, tmp_path / 'broken', resume=True, custom_hooks=hooks, **noisy), whole)


@pytest.mark.slow
@both_stages
@pytest.mark.parametrize(
    ('when', 'left'),
    [(dict(epoch=1), 'epoch_1.pth'), (dict(iteration=4), 'epoch_1.pth'), (dict(iteration=1), 'epoch_0.pth')],
)
def test_a_resumed_run_ends_where_an_unbroken_one_does(stage, when, left, tmp_path):
    path, source, reference = stage
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path, source, interrupt=dict(**when))
    assert last_checkpoint(tmp_path).name == left
    assert not (tmp_path / FINISHED_FILE).exists()
    moved = tmp_path / 'moved'  # a run's folder may be moved before it is resumed
    moved.mkdir()
    for file in (*tmp_path.glob('*.pth'), tmp_path / 'last_checkpoint'):
        shutil.move(file, moved)
    assert_same_weights(run(path, moved, source, resume=True), reference)
    assert (moved / FINISHED_FILE).is_file()


def test_optimizer_and_schedule_are_resumed_too(tiny_runs, tiny_experiment, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path, interrupt=dict(epoch=1))
    resumed = load_checkpoint(run(tiny_runs.source, tmp_path, resume=True))
    whole = load_checkpoint(tiny_experiment.source_checkpoint)
    assert resumed['meta']['iter'] == whole['meta']['iter'] == 6
    assert resumed['param_schedulers'] == whole['param_schedulers']
    moments = [part['optimizer']['state'][0]['exp_avg'] for part in (resumed, whole)]
    assert torch.equal(*moments)


@pytest.mark.slow
def test_resuming_needs_no_pretrained_weights(tiny_runs, tiny_experiment, tmp_path):
    tower = load_config(tiny_runs.source).model.backbone.tower
    export_tower(tiny_experiment.source_checkpoint, tmp_path / 'tower.safetensors', dict(tower))
    weights = {'model.backbone.tower.pretrained': str(tmp_path / 'tower.safetensors')}
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path / 'run', interrupt=dict(epoch=1), **weights)
    gone = {'model.backbone.tower.pretrained': str(tmp_path / 'elsewhere' / 'tower.safetensors')}
    with pytest.raises(CheckpointError, match='pretrained weights not found'):
        run(tiny_runs.source, tmp_path / 'new', **gone)
    run(tiny_runs.source, tmp_path / 'run', resume=True, **gone)


@pytest.mark.slow
def test_adapting_needs_no_pretrained_weights(tiny_runs, tiny_experiment, tmp_path):
    gone = {'model.backbone.tower.pretrained': str(tmp_path / 'gone.pt'), 'train_cfg.max_epochs': 1}
    run(tiny_runs.adapt, tmp_path, tiny_experiment.source_checkpoint, **gone)


@pytest.mark.slow
def test_a_converted_checkpoint_gets_its_necks_from_the_target(tiny_runs, tiny_experiment, tmp_path):
    weights = load_weights(tiny_experiment.source_checkpoint)
    converted = {name: value for name, value in weights.items() if name.startswith('backbone.')}
    torch.save(dict(state_dict=converted), tmp_path / 'vld.pth')
    with pytest.raises(KeyboardInterrupt):  # before the first step, after the first labelling
        run(
            tiny_runs.adapt,
            tmp_path / 'run',
            tmp_path / 'vld.pth',
            custom_hooks=[dict(type='NeckProbe', path=str(tmp_path / 'necks.pth'))],
            **{'model.backbone.tower.pretrained': str(tmp_path / 'gone.pt')},
        )
    assert not torch.load(tmp_path / 'necks.pth').eq(0).any()


@pytest.mark.slow
def test_source_weights_of_another_architecture(tiny_runs, tiny_experiment, tmp_path):
    options = RunOptions(
        work_dir=tmp_path / 'dsc',
        source_checkpoint=tiny_experiment.source_checkpoint,
        config_options={'model.backbone.tower.layers': 3, 'train_cfg.max_epochs': 1},
    )
    with pytest.raises(CheckpointError, match='does not fit AdaptiveReID'):
        run_experiment(tiny_runs.adapt, options)
    assert not list(tmp_path.rglob('*.pth'))
    run_experiment(tiny_runs.adapt, replace(options, partial_source=True))
    start, source = (
        load_weights(path) for path in (tmp_path / 'dsc' / 'epoch_0.pth', tiny_experiment.source_checkpoint)
    )
    name = 'backbone.tower.transformer.resblocks.{}.ln_1.weight'
    assert torch.equal(start['backbone.tower.conv1.weight'], source['backbone.tower.conv1.weight'])
    assert (name.format(2) in start, name.format(2) in source) == (True, False)


def test_another_architecture_is_not_resumed(tiny_runs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path, interrupt=dict(epoch=1))
    message = r'epoch_1\.pth: cannot be resumed with other settings \(model\.num_classes: null -> 7\)'
    with pytest.raises(CheckpointError, match=message):
        run(tiny_runs.source, tmp_path, resume=True, **{'model.num_classes': 7})


def test_weights_alone_are_not_resumed(tiny_runs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path, interrupt=dict(epoch=1))
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
    del content['optimizer']
    torch.save(content, tmp_path / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match=r'epoch_1\.pth: cannot be resumed because it has no optimizer'):
        run(tiny_runs.source, tmp_path, resume=True)


def test_a_finished_stage(tmp_path):
    config = Config(dict(work_dir=str(tmp_path), model=dict(a=1)))
    assert finished_checkpoint(config) is None
    marker = dict(config=config_hash(config), checkpoint='epoch_3.pth')
    (tmp_path / FINISHED_FILE).write_text(json.dumps(marker))
    assert finished_checkpoint(config) is None
    torch.save(dict(state_dict=dict(weight=torch.zeros(1))), tmp_path / 'epoch_3.pth')
    assert finished_checkpoint(config) == tmp_path / 'epoch_3.pth'
    config.model.a = 2
    with pytest.raises(ConfigError, match='another config or seed'):
        finished_checkpoint(config)


def test_only_a_start_that_succeeds_takes_away_the_results_of_an_earlier_run(tiny_runs, tmp_path):
    (tmp_path / FINISHED_FILE).touch()
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(ConfigError, match='batch_size'):
        run(tiny_runs.source, tmp_path, overwrite=True, **{'train_dataloader.batch_size': 3})
    assert (tmp_path / FINISHED_FILE).exists()
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path, overwrite=True, interrupt=dict(iteration=0))
    assert not (tmp_path / FINISHED_FILE).exists()
    assert (tmp_path / 'notes.txt').exists()


@pytest.fixture
def finished(tiny_experiment, tmp_path):
    """A copy of the finished source stage."""
    return Path(shutil.copytree(tiny_experiment.source_dir, tmp_path / 'run'))


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.suffix in ('.pth', '.json')}


@pytest.mark.parametrize('options', [{}, {'randomness.seed': 2}, {'optim_wrapper.optimizer.lr': 1e-4}])
def test_a_run_does_not_replace_another(tiny_runs, finished, options):
    before = contents(finished)
    message = r'run: holds a run \(last_checkpoint, .*--resume, choose another --work-dir, .*--overwrite'
    with pytest.raises(ConfigError, match=message):
        run(tiny_runs.source, finished, **options)
    assert contents(finished) == before


def test_overwriting_leaves_only_files_of_the_new_run_and_of_others(tiny_runs, finished):
    (finished / '.env').write_text('mine')
    next(finished.glob('2*_*')).joinpath('notes.txt').write_text('mine')
    run(tiny_runs.source, finished, overwrite=True, **{'train_cfg.max_epochs': 1})
    assert sorted(path.name for path in finished.glob('*.pth')) == ['epoch_0.pth', 'epoch_1.pth']
    assert (finished / '.env').read_text() == 'mine'
    assert len(list(finished.glob('*/notes.txt'))) == 1
    assert len(list(finished.glob('*/vis_data/scalars.json'))) == 1


@pytest.mark.parametrize(
    ('options', 'difference'),
    [
        ({'randomness.seed': 2}, r'randomness\.seed: 1 -> 2'),
        ({'optim_wrapper.optimizer.lr': 0.1}, r'optim_wrapper\.optimizer\.lr: 0\.001 -> 0\.1'),
        ({'optim_wrapper.optimizer.weight_decay': 0.1}, r'weight_decay: absent -> 0\.1'),
        ({'optim_wrapper.clip_grad': dict(max_norm=1)}, r'optim_wrapper\.clip_grad\.max_norm: absent -> 1'),
        ({'param_scheduler.0.end': 5}, r'param_scheduler\.0\.end: 2 -> 5'),
        ({'train_dataloader.sampler.iterations': 5}, r'sampler\.iterations: 3 -> 5'),
        ({'custom_hooks': [dict(type='EMAHook')]}, r'custom_hooks\.0\.type: absent -> EMAHook'),
    ],
)
@pytest.mark.parametrize('complete', [False, True], ids=['unfinished', 'finished'])
def test_settings_that_a_resumed_run_would_ignore_are_refused(tiny_runs, finished, options, difference, complete):
    if not complete:
        (finished / FINISHED_FILE).unlink()
    before = contents(finished)
    with pytest.raises(CheckpointError, match=rf'cannot be resumed with other settings \(.*{difference}'):
        run(tiny_runs.source, finished, resume=True, **options)
    assert contents(finished) == before


def test_settings_of_the_execution_may_change(tiny_runs, finished):
    options = {
        'train_dataloader.num_workers': 1,
        'default_hooks.logger.interval': 7,
        'default_hooks.checkpoint.max_keep_ckpts': 5,
        'train_cfg.val_interval': 1,
        'log_level': 'ERROR',
    }
    assert run(tiny_runs.source, finished, resume=True, **options) == finished / 'epoch_2.pth'


def test_other_source_weights_are_refused(tiny_runs, tiny_experiment, tmp_path):
    folder = shutil.copytree(tiny_experiment.work_dir, tmp_path / 'run')
    copied = shutil.copy(tiny_experiment.source_checkpoint, tmp_path / 'elsewhere.pth')
    assert run(tiny_runs.adapt, folder, copied, resume=True) == folder / 'epoch_2.pth'
    other = tiny_experiment.source_dir / 'epoch_1.pth'
    with pytest.raises(CheckpointError, match='started from other source weights'):
        run(tiny_runs.adapt, folder, other, resume=True)
    (folder / FINISHED_FILE).unlink()
    with pytest.raises(CheckpointError, match='started from other source weights'):
        run(tiny_runs.adapt, folder, other, resume=True)


@pytest.mark.slow
def test_other_data_are_refused(tiny_runs, finished, tmp_path):
    (finished / FINISHED_FILE).unlink()
    root = tmp_path / 'bupt'
    shutil.copytree(tiny_runs.bupt, root)
    assert run(tiny_runs.source, finished, resume=True, data_root=str(root)) == finished / 'epoch_2.pth'
    lines = (root / 'train.txt').read_text().splitlines()
    (root / 'train.txt').write_text('\n'.join(lines[:-1]) + '\n')
    longer = {'train_cfg.max_epochs': 3, 'data_root': str(root)}
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth: cannot be resumed on other tracklets'):
        run(tiny_runs.source, finished, resume=True, **longer)


def test_a_finished_run_is_extended_as_if_it_had_been_that_long(tiny_runs, finished, tmp_path):
    """The schedule of this config ends at epoch 2 in any case."""
    longer = {'train_cfg.max_epochs': 3}
    whole = run(tiny_runs.source, tmp_path / 'whole', **longer)
    assert run(tiny_runs.source, finished, resume=True, **longer) == finished / 'epoch_3.pth'
    assert_same_weights(finished / 'epoch_3.pth', whole)
    # now it is a run of three epochs
    assert run(tiny_runs.source, finished, resume=True, **longer) == finished / 'epoch_3.pth'
    with pytest.raises(CheckpointError, match=r'was trained for 3 epochs, but train_cfg\.max_epochs=2 asks for fewer'):
        run(tiny_runs.source, finished, resume=True)


def test_the_epochs_of_an_extension_follow_the_new_schedule(tiny_runs, finished, tmp_path):
    def rates(folder):
        rows = [
            json.loads(line)
            for path in sorted(folder.glob('*/vis_data/scalars.json'))
            for line in path.read_text().splitlines()
        ]
        return {row['iter']: row['lr'] for row in rows if 'lr' in row}

    options = {'train_cfg.max_epochs': 4, 'param_scheduler.0.end': 4}
    whole = load_checkpoint(run(tiny_runs.source, tmp_path / 'whole', **options))
    extended = load_checkpoint(run(tiny_runs.source, finished, resume=True, **options))
    assert extended['param_schedulers'] == whole['param_schedulers']
    assert extended['optimizer']['param_groups'] == whole['optimizer']['param_groups']
    new, old = rates(tmp_path / 'whole'), rates(finished)
    assert [old[iteration] for iteration in range(7, 13)] == [new[iteration] for iteration in range(7, 13)]
    # cosine from 0.001 to 0 over 12 iterations
    assert old[7] == pytest.approx(0.001 * (1 + math.cos(math.pi * 6 / 12)) / 2)


@both_stages
def test_the_sampler_is_the_only_place_of_the_batch_size(stage, tmp_path):
    path, source, _ = stage
    with pytest.raises(ConfigError, match=r'batch_size=7 with \w+Sampler, which plans the batches'):
        run(path, tmp_path, source, **{'train_dataloader.batch_size': 7})
    assert last_checkpoint(tmp_path) is None


def test_more_identities_than_classes(tiny_runs, tmp_path):
    with pytest.raises(ConfigError, match=r'num_classes=2, but the training split has 6'):
        run(tiny_runs.source, tmp_path, **{'model.num_classes': 2})


def test_a_run_goes_on_with_its_own_seed(tiny_runs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tiny_runs.source, tmp_path, interrupt=dict(epoch=1))
    with pytest.raises(CheckpointError, match=r'other settings \(randomness\.seed: 1 -> 2\)'):
        run(tiny_runs.source, tmp_path, resume=True, **{'randomness.seed': 2})


def test_labels_cannot_be_missing(tiny_runs, tmp_path):
    with pytest.raises(ConfigError, match='a labeled split'):
        run(
            tiny_runs.source,
            tmp_path,
            **{'train_dataloader.dataset.labelled': False, 'model.num_classes': 6},
        )


def test_weights_to_load_are_named_in_one_way_only(tiny_runs, tmp_path):
    options = RunOptions(work_dir=tmp_path, config_options={'load_from': 'x.pth'})
    with pytest.raises(ConfigError, match='--source-checkpoint'):
        run_experiment(tiny_runs.source, options)


def rewrite_pids(root: Path, new_pid) -> None:
    """Replace column 4 of the training index: m start end PID camid."""
    index = next(root.rglob('track_train_info.txt'))
    rows = [line.split() for line in index.read_text().splitlines()]
    for number, row in enumerate(rows):
        row[3] = str(new_pid(number))
    index.write_text('\n'.join(' '.join(row) for row in rows) + '\n')


def rename_frames(root: Path) -> None:
    """Give each training tracklet a person number of its own in names and folders of its frames."""
    index, names = next(root.rglob('track_train_info.txt')), next(root.rglob('train_name.txt'))
    old = names.read_text().splitlines()
    new = list(old)
    for row, line in enumerate(index.read_text().splitlines()):
        start, end = (int(number) for number in line.split()[1:3])
        for place in range(start - 1, end):
            new[place] = f'{(row * 7) % 9973 + 1:04d}{old[place][4:]}'
    for before, after in zip(map(frame_path, old), map(frame_path, new), strict=True):
        (root / 'Moved' / after).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(root / 'Train' / before, root / 'Moved' / after)
    shutil.rmtree(root / 'Train')
    (root / 'Moved').rename(root / 'Train')
    names.write_text('\n'.join(new) + '\n')


def frame_path(name: str) -> str:
    person, kind, camera, picture = re.fullmatch(r'(\d{4})M([12])D(\d+)T\d+F(.+)', name).groups()
    return f'{person}/{"ir" if kind == "1" else "rgb"}/D{camera}/{picture}'


@pytest.mark.slow
@pytest.mark.parametrize('renamed', [False, True], ids=['names kept', 'names too'])
@pytest.mark.parametrize('new_pid', [lambda row: (row * 7) % 11 + 1, lambda row: -1], ids=['scrambled', 'deleted'])
def test_no_label_of_the_target_reaches_training(tiny_runs, tiny_experiment, tmp_path, new_pid, renamed):
    root = tmp_path / 'hitsz'
    shutil.copytree(tiny_runs.hitsz, root)
    rewrite_pids(root, new_pid)
    if renamed:
        rename_frames(root)
    result = run(tiny_runs.adapt, tmp_path / 'run', tiny_experiment.source_checkpoint, data_root=str(root))
    assert_same_weights(result, tiny_experiment.checkpoint)


def pair_anew(root: Path, new_pid) -> None:
    """Give each training line of BUPTCampus another person, and its visible tracklet another infrared one."""
    data = json.loads((root / 'data_paths.json').read_text())
    lines = [line.split() for line in (root / 'train.txt').read_text().splitlines()]
    trained = {pid for pid, *_ in lines}
    changed = {pid: tracklets for pid, tracklets in data.items() if pid not in trained}
    rows = []
    for number, (pid, kind, camera, name) in enumerate(lines):
        same_camera = [line for line in lines if line[2] == camera]
        other, _, _, other_name = same_camera[(same_camera.index(lines[number]) + 1) % len(same_camera)]
        person = changed.setdefault(str(new_pid(number)), {'RGB': {}, 'IR': {}})
        for modality, (whose, which) in {'RGB': (pid, name), 'IR': (other, other_name)}.items():
            frames = data[whose][modality][camera][which]
            person[modality].setdefault(camera, {})[str(number + 1)] = frames
        rows.append(f'{new_pid(number)} {kind} {camera} {number + 1}')
    (root / 'data_paths.json').write_text(json.dumps(changed))
    (root / 'train.txt').write_text('\n'.join(rows) + '\n')


@pytest.fixture(scope='module')
def to_bupt(tiny_runs, tiny_experiment, tmp_path_factory):
    """A config with BUPTCampus as the target, and the folder of its run."""
    folder = tmp_path_factory.mktemp('to_bupt')
    _, config = write_tiny_configs(folder, tiny_runs.bupt, tiny_runs.bupt)
    text = config.read_text().replace('HITSZVCM', 'BUPTCampus').replace('hitsz_vcm', 'bupt_campus')
    config.write_text(text)
    checkpoint = run(config, folder / 'run', tiny_experiment.source_checkpoint)
    return config, checkpoint


@pytest.mark.slow
@pytest.mark.parametrize(
    'new_pid', [lambda row: 5000 + row * 7 % 11, lambda row: f'nobody{row}'], ids=['scrambled', 'deleted']
)
def test_no_pair_of_the_target_reaches_training(tiny_runs, tiny_experiment, to_bupt, tmp_path, new_pid):
    config, checkpoint = to_bupt
    root = tmp_path / 'bupt'
    shutil.copytree(tiny_runs.bupt, root)
    pair_anew(root, new_pid)
    result = run(config, tmp_path / 'run', tiny_experiment.source_checkpoint, data_root=str(root))
    assert_same_weights(result, checkpoint)


@pytest.mark.slow
def test_the_source_stage_of_a_source_stage(tiny_runs, tmp_path):
    for name in ('tiny_source.py', 'tiny_dsc.py'):
        shutil.copy(tiny_runs.source.parent / name, tmp_path / name)
    (tmp_path / 'warm_up.py').write_text("_base_ = 'tiny_source.py'\ntrain_cfg = dict(max_epochs=1, val_interval=1)\n")
    (tmp_path / 'tiny_source.py').open('a').write("source = dict(config='warm_up.py', checkpoint=None)\n")
    (tmp_path / 'warm_up.py').open('a').write('source = None\n')
    loose = {'train_dataloader.sampler.visible': (1, 4), 'train_cfg.max_epochs': 1}
    run_experiment(tmp_path / 'tiny_dsc.py', RunOptions(work_dir=tmp_path / 'runs' / 'dsc', config_options=loose))
    runs = sorted(path.name for path in (tmp_path / 'runs').iterdir())
    assert runs == ['dsc', 'tiny_source', 'warm_up']
    started = load_weights(tmp_path / 'runs' / 'tiny_source' / 'epoch_0.pth')
    warm = load_weights(tmp_path / 'runs' / 'warm_up' / 'epoch_1.pth')
    assert torch.equal(started['backbone.tower.conv1.weight'], warm['backbone.tower.conv1.weight'])


def test_a_broken_target_is_found_before_the_source_is_trained(tiny_runs, tmp_path):
    options = RunOptions(work_dir=tmp_path / 'dsc', config_options={'default_hooks.cluster.labelers.1.inter.topkk': 1})
    with pytest.raises(ConfigError, match='topkk'):
        run_experiment(tiny_runs.adapt, options)
    assert not list(tmp_path.glob('**/*.pth'))


def test_sources_in_a_circle_are_refused_before_any_work(tiny_runs, tmp_path):
    for name, source in (('first', 'second'), ('second', 'third'), ('third', 'first')):
        base = f'_base_ = {str(tiny_runs.adapt)!r}'
        (tmp_path / f'{name}.py').write_text(f"{base}\nsource = dict(config='{source}.py', checkpoint=None)\n")
    circle = r'second: belongs to the source stage second\.py; .* form a cycle'
    for use in (run_experiment, plan_experiment):
        with pytest.raises(ConfigError, match=circle):
            use(tmp_path / 'first.py', RunOptions(work_dir=tmp_path / 'runs' / 'dsc'))
    assert not list(tmp_path.glob('runs/**/*.pth'))


def test_the_source_stage_treats_bad_frames_as_the_command_line_says(tiny_runs, tiny_experiment, tmp_path):
    def policy(work_dir, **options):
        options = RunOptions(work_dir=work_dir, config_options=options)
        config, _ = source_stage(prepare(tiny_runs.adapt, options), options)
        datasets = [config[f'{name}_dataloader'].dataset for name in ('train', 'val', 'test')]
        return {dataset.get('on_bad_frame') for dataset in datasets}

    assert policy(tmp_path / 'dsc', on_bad_frame='substitute') == {'substitute'}
    assert policy(tmp_path / 'dsc', **{'train_cfg.max_epochs': 1}) == {None}
    # a finished one, which met no bad frame, is taken as it is
    options = RunOptions(work_dir=tiny_experiment.work_dir, config_options={'on_bad_frame': 'substitute'})
    config, _ = source_stage(prepare(tiny_runs.adapt, options), options)
    assert finished_checkpoint(config) == tiny_experiment.source_checkpoint


def test_the_source_stage_is_as_deterministic_as_the_command_line_says(
    tiny_runs, tiny_experiment, tmp_path, monkeypatch
):
    options = RunOptions(work_dir=tmp_path / 'dsc', config_options={'randomness.deterministic': True})
    adapted = prepare(tiny_runs.adapt, options)
    config, own = source_stage(adapted, options)
    assert config.randomness.deterministic is True
    assert own.config_options == options.config_options
    # a finished one is taken as it is, and the log says so
    shutil.copytree(tiny_experiment.source_dir, tmp_path / 'tiny_source')
    lines = []
    monkeypatch.setattr(train, 'print_log', lambda line, **_: lines.append(line))
    stages = train.experiment_stages(adapted, options)
    assert train._source_weights(stages) == tmp_path / 'tiny_source' / 'epoch_2.pth'
    assert lines[0].endswith('was finished with another randomness.deterministic; it is not trained again')
    lines.clear()
    train._source_weights(train.experiment_stages(adapted, replace(options, config_options={})))
    assert not any('another' in line for line in lines)


def test_the_folder_of_the_source_stage_is_not_the_folder_of_the_run(tiny_runs, tiny_experiment, tmp_path):
    shutil.copytree(tiny_experiment.source_dir, tmp_path / 'tiny_source')
    before = contents(tmp_path)
    for overwrite in (False, True):
        options = RunOptions(work_dir=tmp_path / 'tiny_source', overwrite=overwrite)
        for use in (run_experiment, plan_experiment):
            with pytest.raises(ConfigError, match=r'tiny_source: belongs to the source stage'):
                use(tiny_runs.adapt, options)
    assert contents(tmp_path) == before


def test_a_source_stage_is_neither_replaced_nor_extended_for_a_run(tiny_runs, tiny_experiment, tmp_path):
    shutil.copytree(tiny_experiment.source_dir, tmp_path / 'tiny_source')
    source, adapt = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tiny_runs.hitsz)
    for change, words in (
        ('train_cfg.update(max_epochs=3)', r'source stage was made with another train_cfg\.max_epochs'),
        ('randomness = dict(seed=5)', r'randomness\.seed: 1 -> 5'),
    ):
        text = source.read_text()
        source.write_text(f'{text}{change}\n')
        before = contents(tmp_path / 'tiny_source')
        for use in (run_experiment, plan_experiment):
            with pytest.raises((CheckpointError, ConfigError), match=words):
                use(adapt, RunOptions(work_dir=tmp_path / 'dsc', overwrite=True))
        assert contents(tmp_path / 'tiny_source') == before
        source.write_text(text)
