"""Published weights from the command line: converted, evaluated, and adapted from, on videos and on pictures."""

import json
import pickle

import published_weights as published
import pytest
import torch
import torch.nn.functional as F

from dscreid.apis.command_line import run_command
from dscreid.apis.inference import init_model
from dscreid.lab.synthetic import make_spec, render_world
from dscreid.structures import ReIDDataSample
from dscreid.utils.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
SIZE = (32, 16)  # of the tiny worlds
WEIGHTS = {
    'agw': lambda: published.agw_weights(18, non_local=True),
    'clip-reid': lambda: published.clip_reid_weights(size=SIZE),
    'sdcl': lambda: published.sdcl_weights(size=SIZE),
}


@pytest.fixture
def convert(load_tool, tmp_path, capsys):
    """Function that converts weights with the tool; the output file and what was printed."""

    def run(weights, *options):
        torch.save({'state_dict': {f'module.{name}': value for name, value in weights.items()}}, tmp_path / 'their.pth')
        words = [tmp_path / 'their.pth', tmp_path / 'ours.pth', '--image-size', *SIZE, *options]
        load_tool('model_converters/convert_weights.py').main([str(word) for word in words])
        return tmp_path / 'ours.pth', capsys.readouterr().out

    return run


@pytest.mark.slow
@pytest.mark.parametrize('layout', WEIGHTS)
def test_weights_are_evaluated_and_adapted_from(layout, convert, load_tool, tiny_runs, tmp_path):
    checkpoint, report = convert(WEIGHTS[layout]())
    assert f'Layout: {layout} (' in report
    (encoder,) = [line.partition(': ')[2] for line in report.splitlines() if line.startswith('Encoder')]
    assert repr(load_checkpoint(checkpoint)['meta']['backbone']) == repr(eval(encoder))
    config = tmp_path / 'config.py'
    config.write_text(f'_base_ = {str(tiny_runs.adapt)!r}\nmodel = dict(backbone=dict(_delete_=True, **{encoder}))\n')

    out = tmp_path / 'metrics.json'
    load_tool('test.py').main([*map(str, (config, checkpoint, '--work-dir', tmp_path / 'log', '--out', out))])
    assert 0 < json.loads(out.read_text())['mean/mAP'] < 1
    start = init_model(config, checkpoint)
    for name, value in load_checkpoint(checkpoint)['state_dict'].items():
        assert torch.equal(start.state_dict()[name], value)

    load_tool('train.py').main(
        [
            *map(str, (config, '--source-checkpoint', checkpoint, '--work-dir', tmp_path / 'run')),
            *('--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'optim_wrapper.optimizer.lr=1e-4'),
            'clustering.eps=0.3',  # several clusters of features of random weights
        ]
    )
    assert 0 < json.loads((tmp_path / 'run' / 'metrics.json').read_text())['mean/mAP'] < 1
    trained = load_checkpoint(tmp_path / 'run' / 'epoch_1.pth')
    name = next(name for name in trained['state_dict'] if name.endswith('weight') and 'conv' in name)
    change = (trained['state_dict'][name] - start.state_dict()[name]).abs().max()
    assert 0 < change < 0.01  # from the published weights, by a few steps


@pytest.mark.slow
@torch.no_grad()
def test_clip_reid_is_evaluated_as_published(convert):
    """A network of the published size, by the shipped config as it is; frames are uint8, as they are decoded."""
    size = (256, 128)
    weights = published.clip_reid_weights(size=size, width=768, layers=12, joint_width=512)
    checkpoint, report = convert(weights, '--image-size', *size)
    assert 'supervised/clip_reid_* evaluates it as published' in report
    model = init_model('supervised/clip_reid_bupt2hitsz', checkpoint)
    frames = torch.randint(0, 256, (2, 2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = [ReIDDataSample(modality='rgb'), ReIDDataSample(modality='ir')]
    given = model.data_preprocessor({'inputs': list(frames), 'data_samples': samples})
    found = torch.stack([sample.feature for sample in model.predict(**given)])
    rows = [published.clip_reid_forward(weights, (clip / 255 - 0.5) / 0.5)[0].mean(0) for clip in frames]
    torch.testing.assert_close(found, F.normalize(torch.stack(rows), dim=1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('layout', ['agw', 'sdcl'])
def test_pictures(layout, convert, load_tool, tmp_path):
    """On SYSU-MM01, where these methods come from."""
    checkpoint, report = convert(WEIGHTS[layout]())
    encoder = report.partition('in the config: ')[2].partition('\n')[0]
    spec = make_spec('tiny', 'sysu', train_ids=2, test_ids=3, height=SIZE[0], width=SIZE[1])
    render_world(tmp_path / 'sysu', spec, num_processes=1, progress=False)
    bases = [f'configs/_base_/{name}.py' for name in ('datasets/sysu_mm01_source', 'default_runtime')]
    root = load_tool.__globals__['REPOSITORY']
    (tmp_path / 'config.py').write_text(
        f"""
_base_ = {[str(root / base) for base in bases]}
data_root = {str(tmp_path / 'sysu')!r}
frame_size = {SIZE}
model = dict(type='SourceReID', backbone={encoder}, num_classes=2)
test_dataloader = dict(num_workers=0, persistent_workers=False, pin_memory=False)
test_cfg = dict(type='TestLoop')
"""
    )
    out = tmp_path / 'metrics.json'
    load_tool('test.py').main([*map(str, (tmp_path / 'config.py', checkpoint, '--work-dir', tmp_path, '--out', out))])
    assert any(0 < value <= 1 for value in json.loads(out.read_text()).values() if isinstance(value, float))


def test_weights_of_another_encoder_are_refused(convert, tiny_runs, tmp_path, load_tool, capsys):
    checkpoint, _ = convert(WEIGHTS['agw']())
    with pytest.raises(SystemExit):
        run_command(
            lambda: load_tool('test.py').main([*map(str, (tiny_runs.adapt, checkpoint, '--work-dir', tmp_path))])
        )
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'does not fit AdaptiveReID' in error


def test_unconverted_weights_name_the_remedy(tiny_runs, tmp_path, load_tool, capsys):
    torch.save({'state_dict': WEIGHTS['clip-reid']()}, tmp_path / 'their.pth')
    words = (tiny_runs.adapt, tmp_path / 'their.pth', '--work-dir', tmp_path)
    with pytest.raises(SystemExit):
        run_command(lambda: load_tool('test.py').main([str(word) for word in words]))
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'if they are of another project, convert them with dscreid convert-weights' in error


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f'open({str(self.path)!r}, "w")',)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'state_dict': {'base.conv1.weight': torch.zeros(1)}}, 'is none of a two-stream ResNet of AGW, a CLIP-ReID'),
        (None, 'refused, because it refers to'),
        ([1], 'expected a dict of weights'),
    ],
)
def test_faults_are_one_sentence(content, message, load_tool, tmp_path, capsys):
    source, target, ran = tmp_path / 'their.pth', tmp_path / 'ours.pth', tmp_path / 'ran'
    if content is None:
        source.write_bytes(pickle.dumps({'state_dict': Malicious(ran)}, protocol=2))
    else:
        torch.save(content, source)
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: load_tool('model_converters/convert_weights.py').main([str(source), str(target)]))
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert message in error
    assert not ran.exists()
    assert not target.exists()
