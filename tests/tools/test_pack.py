"""The packing tool, and a whole training on what it wrote."""

import re

import pytest
import torch

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.datasets.storage.manifest import read_manifest

TWO_ITERATIONS = {
    'train_dataloader.sampler.iterations': 2,
    'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': 1, 'val_interval': 1},
}


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/pack.py')


@pytest.fixture
def run(tool, capsys):
    """Function that runs the tool; returns exit code, standard output and standard error."""

    def run(*arguments):
        code = 0
        try:
            tool.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


SMALL = ('--size', 32, 16, '--frames-per-shard', 100)


def test_packs_goes_on_and_verifies(run, tiny_runs, tmp_path):
    out = tmp_path / 'packed'
    code, said, _ = run('hitsz', tiny_runs.hitsz, out, *SMALL, '--format', 'raw')
    assert code == 0
    frames = len(list(tiny_runs.hitsz.rglob('*.jpg')))
    assert f'{out}: {frames:,} frames (raw pixels, 32x16) in {-(-frames // 100)} shards' in said
    assert f'data_root={out}' in said
    assert run('hitsz', tiny_runs.hitsz, out, '--verify')[:2] == (
        0, f'{out}: all {-(-frames // 100)} shards and the index files are intact\n',
    )  # fmt: skip
    shard = out / 'shards/00001.safetensors'
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    code, _, fault = run('hitsz', tiny_runs.hitsz, out, '--verify')
    assert code == 2
    assert fault.count('\n') == 1
    assert 'shards/00001.safetensors' in fault
    command = re.search(r'dscreid pack (.*)\n', fault)[1].split()
    assert run(*command)[0] == 0  # what OUT was begun with need not be said again
    assert run(*command, '--verify')[0] == 0
    code, _, fault = run('hitsz', tiny_runs.hitsz, out, '--size', 64, 32)
    assert code == 2
    assert 'choose a new folder' in fault


def test_layout_and_size_come_from_a_config(run, tiny_runs, tmp_path):
    packed = (
        tiny_runs.source,
        tiny_runs.bupt,
        tmp_path / 'packed',
        '--quality',
        80,
        '--splits',
        'train',
        'test',
    )
    assert run(*packed)[0] == 0
    manifest = read_manifest(tmp_path / 'packed')
    assert manifest.layout == 'bupt_campus'
    assert str(manifest.frame_format) == 'JPEG of quality 80, 32x16'


def test_a_config_without_a_test_set_is_explained(run, tiny_runs, tmp_path):
    (tmp_path / 'other.py').write_text("default_scope = 'dscreid'\n")
    code, _, fault = run(tmp_path / 'other.py', tiny_runs.bupt, tmp_path / 'packed')
    assert code == 2
    assert 'give the layout (hitsz or bupt) instead' in fault


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('sysu',), "unknown layout 'sysu'"),
        (('hitsz', '--quality', 0), 'JPEG quality must lie between'),
        (('hitsz', '--verify'), 'cannot be read as the description of packed frames'),
        (
            ('bupt',),
            'data_paths.json: the index file is missing; restore the file from the dataset archive; or pack',
        ),
    ],
)
def test_errors_are_one_sentence(run, tiny_runs, tmp_path, arguments, message):
    code, _, fault = run(arguments[0], tiny_runs.hitsz, tmp_path / 'packed', *arguments[1:])
    assert code == 2
    assert message in fault
    assert fault.count('\n') == 1


@pytest.mark.slow
@pytest.mark.usefixtures('one_thread')
def test_training_on_raw_shards_is_training_on_the_files(run, tiny_runs, tmp_path):
    """Two iterations, evaluation included: the same weights, the same metrics."""
    packed = (
        'bupt',
        tiny_runs.bupt,
        tmp_path / 'raw',
        *SMALL,
        '--format',
        'raw',
        '--splits',
        'train',
        'test',
    )
    assert run(*packed)[0] == 0
    results = []
    for name, root in (('files', tiny_runs.bupt), ('raw', tmp_path / 'raw')):
        options = TWO_ITERATIONS | {'data_root': str(root)}
        metrics = run_experiment(tiny_runs.source, RunOptions(work_dir=tmp_path / name / 'run', config_options=options))
        checkpoint = torch.load(tmp_path / name / 'run' / 'epoch_1.pth', weights_only=False)
        results.append((metrics, checkpoint['state_dict']))
    (metrics, weights), (packed_metrics, packed_weights) = results
    assert packed_metrics == metrics
    assert all(torch.equal(packed_weights[name], value) for name, value in weights.items())


@pytest.mark.slow
@pytest.mark.usefixtures('one_thread')
def test_adaptation_on_jpeg_shards(run, tiny_runs, tiny_experiment, tmp_path):
    assert run('hitsz', tiny_runs.hitsz, tmp_path / 'jpeg', *SMALL)[0] == 0
    options = TWO_ITERATIONS | {'data_root': str(tmp_path / 'jpeg'), 'train_dataloader.num_workers': 1}
    options = RunOptions(
        work_dir=tmp_path / 'dsc', source_checkpoint=tiny_experiment.source_checkpoint, config_options=options
    )
    metrics = run_experiment(tiny_runs.adapt, options)
    assert 0 < metrics['mean/mAP'] <= 1
