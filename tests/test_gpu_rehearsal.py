"""Every method's iterations and runs on a pretended GPU: devices never mix, and no iteration waits for the GPU."""

import shutil

import pytest
import torch
from kill_bench import run_differences
from pretended_device import pretended_gpu
from torch.nn.attention import SDPBackend, sdpa_kernel

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.lab.acceptance.plan import method_names, tiny_options
from dscreid.lab.acceptance.trial import make_trial
from dscreid.utils.checkpoint import load_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('one_thread_throughout')]
#: MMEngine reads the norm of the gradients in each iteration if ``clip_grad`` is set, as in the demos.
ALLOWED = ('optimizer/optimizer_wrapper.py',)


def train(name, device, gpu=None):
    """One iteration in each epoch that has another labeler or loss; returns the losses, and weights with memories."""
    config = load_config(name, tiny_options(name))
    config.optim_wrapper.optimizer.fused = True  # as runs on a GPU have it
    trial = make_trial(config, device, per_modality=48)
    batch, losses = trial.batch(), []
    for epoch in trial.epochs():
        trial.begin_epoch(epoch)
        if gpu is None:
            found = trial.step(batch)
        else:
            with gpu.without_waiting(*ALLOWED):
                found = trial.step(batch)
        losses.append({key: value.item() for key, value in found.items()})
    model = trial.model
    return losses, {key: value.detach().cpu() for key, value in [*model.named_parameters(), *model.named_buffers()]}


#: Without those of ResNet-50, which take a minute each; tests/models/backbones has the encoder.
METHODS = [name for name in method_names() if 'resnet50' not in name]


@pytest.mark.parametrize('name', METHODS)
def test_iterations_never_wait_and_are_those_of_the_processor(name):
    with sdpa_kernel(SDPBackend.MATH):  # the only kernel that both choose
        losses, values = train(name, 'cpu')
    with pretended_gpu() as gpu:
        found_losses, found = train(name, 'cuda', gpu)
    assert found_losses == losses
    assert found.keys() == values.keys()
    assert [key for key in values if not torch.equal(values[key], found[key])] == []
    assert gpu.operations > 300


def test_mixed_precision_never_waits():
    with pretended_gpu() as gpu:
        config = load_config('dsc/dsc_demo', {**tiny_options('dsc/dsc_demo'), 'optim_wrapper.clip_grad': None})
        fit_to_machine(config, amp=True)
        assert (config.optim_wrapper.type, config.optim_wrapper.optimizer.fused) == ('AmpOptimWrapper', True)
        trial = make_trial(config, 'cuda', per_modality=48)
        batch = trial.batch()
        trial.begin_epoch(trial.epochs()[0])
        before = trial.model.backbone.prompt_embedding.cpu()
        with gpu.without_waiting():
            trial.step(batch)
        assert not torch.equal(trial.model.backbone.prompt_embedding.cpu(), before)


def test_a_whole_run_is_labeled_saved_and_evaluated(tiny_runs, tiny_experiment, tmp_path):
    source, work_dir = tiny_experiment.source_checkpoint, tmp_path / 'run'
    with pretended_gpu() as gpu:
        evaluation = run_experiment(tiny_runs.adapt, RunOptions(work_dir, source_checkpoint=source))
    for part in ('engine/extraction.py', 'neighbors/jaccard.py', 'memories/feature_memory.py', 'runner/checkpoint.py'):
        assert any(part in place for place in gpu.waits), part  # outside of iterations, these may wait
    assert not any('message_hub.py' in place for place in gpu.waits)
    checkpoint = load_checkpoint(work_dir / 'epoch_2.pth')
    assert all(group['fused'] for group in checkpoint['optimizer']['param_groups'])
    assert evaluation.keys() == tiny_experiment.metrics.keys()


@pytest.fixture
def options(method_worlds):
    """Function that returns the options of a method's run with all its epochs on a tiny world."""

    def of(name):
        found = tiny_options(name) | {
            'source': None,
            'visualizer.vis_backends': [dict(type='LocalVisBackend')],
            'default_hooks.checkpoint.max_keep_ckpts': -1,
            'train_cfg.val_interval': 99,
            'optim_wrapper.optimizer.fused': True,
            # with larger steps, all tracklets soon look alike
            'optim_wrapper.optimizer.lr': 1e-5,
        }
        if name.startswith('source/'):
            # without the schedule, whose warm-up takes 30 iterations
            return found | {'train_dataloader.sampler.iterations': 2, 'param_scheduler': None}
        eps = 0.6 if 'gur' in name else 0.7
        return found | {'clustering': dict(k1=6, k2=2, eps=eps, min_samples=2)}

    return of


@pytest.mark.parametrize('name', METHODS)
def test_a_run_resumed_on_the_gpu_ends_as_that_of_the_processor(name, options, tmp_path):
    """Extraction, labels, checkpoints and evaluation of the second half, and the state that the first half left."""
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    with sdpa_kernel(SDPBackend.MATH):
        metrics = run_experiment(name, RunOptions(whole, config_options=options(name)))
    shutil.copytree(whole, resumed)
    epochs = len(list(whole.glob('epoch_*.pth'))) - 1
    for number in range(epochs // 2 + 1, epochs + 1):
        (resumed / f'epoch_{number}.pth').unlink()
    for result in ('finished.json', 'metrics.json', 'features.safetensors'):
        (resumed / result).unlink()
    (resumed / 'last_checkpoint').write_text(f'epoch_{epochs // 2}.pth')
    with pretended_gpu() as gpu:
        found = run_experiment(name, RunOptions(resumed, resume=True, config_options=options(name)))
    assert gpu.operations > 300
    assert found == metrics
    assert run_differences(whole, resumed) == []
