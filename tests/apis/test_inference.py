import pytest
import torch
from mmengine import Config

from dscreid.apis import init_model, load_config
from dscreid.errors import CheckpointError, ConfigError


@pytest.fixture
def tracklets():
    return torch.randn(2, 2, 3, 32, 16, generator=torch.Generator().manual_seed(0))


def test_a_model_from_a_path_gives_raw_features(tiny_runs, tiny_experiment, tracklets):
    model = init_model(str(tiny_runs.adapt), tiny_experiment.checkpoint)
    assert not any(module.training for module in model.modules())
    with torch.no_grad():
        static, dynamic = model.extract_feat(tracklets)
        encoded = model.backbone(tracklets)[0]
        again = init_model(load_config(tiny_runs.adapt), str(tiny_experiment.checkpoint)).extract_feat(tracklets)
    assert static.shape == dynamic.shape == (2, 32)
    assert torch.equal(static, again[0])
    assert torch.equal(dynamic, again[1])
    # before any neck and any normalisation
    assert torch.equal(static, encoded)
    assert (static.norm(dim=1) - 1).abs().min() > 0.1


@pytest.mark.parametrize('config', ['source', 'adapt'])
@pytest.mark.parametrize('checkpoint', ['source_checkpoint', 'checkpoint'])
def test_either_stage_reads_the_other_s_weights(tiny_runs, tiny_experiment, tracklets, config, checkpoint):
    path = getattr(tiny_experiment, checkpoint)
    model = init_model(getattr(tiny_runs, config), path)
    weights = torch.load(path, weights_only=False)['state_dict']
    for name in ('backbone.prompts', 'static_neck.running_mean'):
        matches = [key for key in weights if key.startswith(name)]
        for key in matches:
            assert torch.equal(model.state_dict()[key], weights[key])
    assert torch.equal(model.static_neck.running_mean, weights['static_neck.running_mean'])


def test_neither_clip_weights_nor_the_config_object_are_touched(tiny_runs, tracklets):
    config = load_config(tiny_runs.source, {'model.backbone.tower.pretrained': 'gone.pt'})
    before = config.to_dict()
    model = init_model(config)
    assert model.extract_feat(tracklets)[0].shape == (2, 32)
    assert config.to_dict() == before


def _changed(checkpoint, path, change):
    content = torch.load(checkpoint, weights_only=False)
    change(content['state_dict'])
    torch.save(content, path)
    return path


def test_weights_that_are_not_finite_are_named(tiny_runs, tiny_experiment, tmp_path):
    def spoil(weights):
        weights['backbone.tower.conv1.weight'][0, 0, 0, :3] = float('nan')
        weights['static_neck.running_var'][1] = float('inf')
        weights['static_head.weight'] = torch.full((3, 32), float('nan'))  # which nobody reads

    path = _changed(tiny_experiment.checkpoint, tmp_path / 'spoilt.pth', spoil)
    message = (
        r'spoilt\.pth: holds NaN or infinite values in backbone\.tower\.conv1\.weight \(3 of 6144 values\), '
        r'static_neck\.running_var \(1 of 32 values\); use an earlier checkpoint'
    )
    with pytest.raises(CheckpointError, match=message):
        init_model(tiny_runs.adapt, path)


def test_weights_of_another_architecture_are_named(tiny_runs, tiny_experiment, tmp_path):
    path = _changed(
        tiny_experiment.checkpoint, tmp_path / 'other.pth', lambda weights: weights.pop('static_neck.weight')
    )
    init_model(tiny_runs.adapt, path)  # converted checkpoints have no necks
    path = _changed(path, tmp_path / 'other.pth', lambda weights: weights.pop('backbone.tower.conv1.weight'))
    message = r'other\.pth: does not fit AdaptiveReID \(missing backbone\.tower\.conv1\.weight\)'
    with pytest.raises(CheckpointError, match=message):
        init_model(tiny_runs.adapt, path)


@pytest.mark.parametrize('device', ['meta', 'gpu', 'cpu:x', 'cuda:99'])
def test_devices_that_cannot_be_used_are_named(tiny_runs, device):
    with pytest.raises(ConfigError, match=f"device '{device}' (holds no values|cannot be used)"):
        init_model(tiny_runs.adapt, device=device)


def test_unusable_arguments(tiny_runs, tmp_path):
    with pytest.raises(ConfigError, match='no such config'):
        init_model(tmp_path / 'a.py')
    with pytest.raises(ConfigError, match='model is missing'):
        init_model(Config(dict(a=1)))
    with pytest.raises(CheckpointError, match='no such file'):
        init_model(tiny_runs.source, tmp_path / 'a.pth')
