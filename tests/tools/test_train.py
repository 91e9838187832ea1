"""tools/train.py: its options, and one sentence with exit code 2 for whatever a user can mend."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dscreid.apis import train
from dscreid.apis.command_line import run_command
from dscreid.apis.test import Evaluation

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
TOOL = Path(__file__).parents[2] / 'tools' / 'train.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('train.py')


@pytest.fixture
def refused(tool, capsys):
    """Function that runs the tool and returns its one sentence."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            run_command(lambda: tool.main([str(argument) for argument in arguments]))
        assert stop.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith('error: ')
        return lines[0]

    return run


@pytest.fixture
def world(tiny_runs, tmp_path):
    """A copy of the target's world that a test may damage."""
    root = tmp_path / 'hitsz'
    shutil.copytree(tiny_runs.hitsz, root)
    return root


def test_options_reach_the_run(tool, monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr(
        train,
        'run_experiment',
        lambda config, options: seen.update(c=config, o=options) or Evaluation({'mean/mAP': 0.5}, 'e.pth'),
    )
    words = 'a.py --work-dir w --resume --amp --seed 3 --source-checkpoint s.pth --partial-source'
    words += ' --cfg-options a.b=1 c=x'
    tool.main(words.split())
    options = seen['o']
    assert seen['c'] == Path('a.py')
    assert (options.work_dir, options.resume, options.amp, options.seed) == (Path('w'), True, True, 3)
    assert (options.source_checkpoint, options.partial_source) == (Path('s.pth'), True)
    assert options.config_options == {'a.b': 1, 'c': 'x'}
    assert options.launcher == 'none'
    assert '50.0' in capsys.readouterr().out


def test_help_shows_an_example(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.main(['--help'])
    assert stop.value.code == 0
    assert 'example: dscreid train dsc/dsc_bupt2hitsz' in capsys.readouterr().out


SOURCE_KEYS = [
    # more identities per batch than the labels have
    ('train_dataloader.sampler.num_identities=50', r'50 identities per batch, but only 6 have'),
    ('train_dataloader.batch_size=7', 'batch_size=7 with IdentitySampler, which plans the batches'),
    ('model.backbone.tower.pretrained=gone.pt', r'gone\.pt: pretrained weights not found; .*sha256'),
    ('train_dataloader.dataset.min_seq=3', "BUPTCampus has no argument 'min_seq'"),
    ('model.data_preprocessor.augmentation.flipp=0.3', "TrackletAugmentation has no argument 'flipp'"),
    ('model.data_preprocessor.augmentation.erase.chance=0.3', 'chance'),
    ('model.backbone.tower.wide=3', "CLIPVisionTransformer has no argument 'wide'"),
    ('optim_wrapper.optimizer.lrr=1', "has no argument 'lrr'"),
    ('optim_wraper.optimizer.lr=1', "did you mean 'optim_wrapper'"),
    ('train_dataloader.worker=1', "has no argument 'worker'"),
    ('model.type=HITSZVCM', 'HITSZVCM'),
    ('model.typ=HITSZVCM', "SourceReID has no argument 'typ'"),
    ('test_evaluator.protocol=nonsense val_evaluator.protocol=nonsense', 'nonsense'),
    ('data_root=gone', 'gone: the data root of BUPTCampus is not a folder'),
]


@pytest.mark.parametrize(('options', 'message'), SOURCE_KEYS)
def test_bad_source_configs(refused, tiny_runs, tmp_path, options, message):
    error = refused(tiny_runs.source, '--work-dir', tmp_path / 'run', '--cfg-options', *options.split())
    assert re.search(message, error), error
    assert list(tmp_path.glob('run/*.pth')) == []
    assert not (tmp_path / 'run' / 'last_checkpoint').exists()


ADAPTATION_KEYS = [
    ('model.memories.cluster.momentun=0.1', "ClusterMemory has no argument 'momentun'"),
    ('model.neighbor_losses.0.alpa=1', "NeighborContrastiveLoss has no argument 'alpa'"),
    ('model.identity_loss.temp=1', "ClusterContrastiveLoss has no argument 'temp'"),
    ('default_hooks.cluster.labelers.1.inter.topkk=3', "unexpected keyword argument 'topkk'"),
    ('default_hooks.cluster.labelers.0.begin_epoch=3', 'stages must begin at epoch 0'),
    ('default_hooks.cluster.workers=1', "has no argument 'workers'"),
    ('train_dataloader.sampler.type=SequentialSampler', "SequentialSampler has no argument 'visible'"),
    ('default_hooks.cluster.labelers.0.min_samples=30', 'no cluster in modality rgb'),
    (
        'train_dataloader.sampler.visible=(50,2)',
        'clusters of visible tracklets were found, but a batch asks for 50',
    ),
    ('data_root=gone', 'gone: the data root of HITSZVCM is not a folder'),
]


@pytest.mark.slow
@pytest.mark.parametrize(('options', 'message'), ADAPTATION_KEYS)
def test_bad_adaptation_configs(refused, tiny_runs, tiny_experiment, tmp_path, options, message):
    source = tiny_experiment.source_checkpoint
    error = refused(
        tiny_runs.adapt,
        '--work-dir', tmp_path / 'run', '--source-checkpoint', source, '--cfg-options', *options.split(),
    )  # fmt: skip
    assert re.search(message, error), error
    assert list(tmp_path.glob('run/epoch_[1-9]*.pth')) == []
    assert not (tmp_path / 'run' / 'metrics.json').exists()


def damage_line(world):
    index = next(world.rglob('track_train_info.txt'))
    lines = index.read_text().splitlines()
    lines[2] = '1 2 three 4 5'
    index.write_text('\n'.join(lines) + '\n')


def empty(world):
    shutil.rmtree(world)
    world.mkdir()


def first_frames(world):
    return sorted((world / 'Train').rglob('*.jpg')) or sorted(world.rglob('*.jpg'))


def remove_frames(world):
    for path in first_frames(world):
        path.unlink()


def spoil_frames(world):
    for path in first_frames(world):
        path.write_bytes(b'no image')


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (empty, r'hitsz: index file track_test_info\.txt is missing'),
        (damage_line, r'track_train_info\.txt:3: '),
        (remove_frames, r'\.jpg: the frame is missing; .*\(frame of tracklet \d+, '),
        (spoil_frames, r'\.jpg: not a complete image file'),
    ],
)
def test_bad_data(refused, tiny_runs, tiny_experiment, world, tmp_path, damage, message, workers):
    damage(world)
    error = refused(
        tiny_runs.adapt,
        '--work-dir', tmp_path / 'run', '--source-checkpoint', tiny_experiment.source_checkpoint,
        '--cfg-options', f'data_root={world}', f'default_hooks.cluster.num_workers={workers}',
    )  # fmt: skip
    assert re.search(message, error), error
    assert 'Traceback' not in error
    assert not (tmp_path / 'run' / 'finished.json').exists()


def test_missing_files(refused, tiny_runs, tmp_path):
    assert 'gone.py: no such config' in refused('gone.py')
    arguments = (tiny_runs.adapt, '--work-dir', tmp_path / 'run', '--source-checkpoint')
    assert 'gone.pth: no such file' in refused(*arguments, 'gone.pth')
    (tmp_path / 'odd.pth').write_text('no weights')
    assert 'odd.pth: is not a readable weights file' in refused(*arguments, tmp_path / 'odd.pth')
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_a_source_of_another_architecture(refused, tiny_runs, tiny_experiment, tmp_path):
    weights = torch.load(tiny_experiment.source_checkpoint, weights_only=False)['state_dict']
    weights = {name: value for name, value in weights.items() if 'resblocks.1' not in name}
    torch.save(dict(state_dict=weights), tmp_path / 'shallow.pth')
    error = refused(tiny_runs.adapt, '--work-dir', tmp_path / 'run', '--source-checkpoint', tmp_path / 'shallow.pth')
    assert re.search(r'shallow\.pth: does not fit AdaptiveReID \(missing backbone', error), error
    assert not (tmp_path / 'run' / 'last_checkpoint').exists()


def test_options_that_are_no_pairs(tool, tiny_runs, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.main([str(tiny_runs.source), '--cfg-options', 'oops'])
    assert stop.value.code == 2
    assert "'oops' is not KEY=VALUE" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_and_resume_as_a_process(tool, tiny_runs, tmp_path):
    run = tmp_path / 'run'
    arguments = [
        tiny_runs.source,
        '--work-dir',
        run,
        '--resume',
        '--cfg-options',
        'train_dataloader.num_workers=1',
    ]
    process = subprocess.Popen(
        [sys.executable, TOOL, *arguments, 'train_cfg.max_epochs=9999', 'train_cfg.val_interval=9999'],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'},
    )
    try:
        deadline = time.monotonic() + 90
        while not (run / 'epoch_2.pth').exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    # a loader worker that loses its pipe may still print its own traceback afterwards
    assert any(line.startswith('interrupted: run it again with --resume') for line in error.splitlines())
    last = int((run / 'last_checkpoint').read_text().rpartition('_')[2].removesuffix('.pth'))
    assert last >= 1
    tool.main([*map(str, arguments), f'train_cfg.max_epochs={last + 1}'])
    assert (run / 'finished.json').is_file()
    assert (run / f'epoch_{last + 1}.pth').is_file()
