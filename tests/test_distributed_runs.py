"""Runs of several processes end where a run of one does."""

import shutil

import pytest
import torch
from tiny_runs import read_figures

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.evaluation import load_features
from dscreid.utils.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures('one_thread_throughout')

#: Adam divides a gradient by its size: weights that no loss depends on, since a normalisation or a softmax takes them
#: out again, would follow the rounding errors of gradients that are 0.
PLAIN = {
    'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=5e-3, momentum=0.9),
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 2,
}
CLUSTERING = dict(type='ClusterLabeler', k1=6, k2=2, eps=0.7, min_samples=2)
TARGET = {
    # leaves a number of tracklets that four does not divide
    'train_dataloader.dataset.min_seq_len': 13,
    'default_hooks.cluster.on_failure': 'keep',  # writes the labels into the checkpoint
}
TWO_CENTERS = dict(type='MeanHardContrastiveLoss', margin=0.2)
METHODS = {
    'source': {},
    'dsc': TARGET
    | {
        'default_hooks.cluster.labelers': [
            dict(type='DSLULabeler', clustering=CLUSTERING, inter=dict(topk=4), intra=dict(topk=4))
        ],
        'model.neighbor_losses': [dict(type='NeighborContrastiveLoss', pairs=('vv', 'tt', 'vt', 'tv'))],
    },
    'tones': TARGET
    | {
        'default_hooks.cluster.labelers': [
            dict(type='DSLULabeler', clustering=CLUSTERING, inter=dict(topk=4), intra=None)
        ],
        'model.data_preprocessor.tones': dict(colors=6, grid=(4, 2)),
        'model.data_preprocessor.augmentation.visible_views': ('plain', 'infrared_tones'),
        'model.neighbor_losses': [],
    },
    'pgm': TARGET
    | {
        'default_hooks.cluster.labelers': [dict(type='MatchingLabeler', clustering=CLUSTERING, passes=None)],
        'model.cross_loss': dict(type='CrossClusterLoss', weight=0.25, alternate=True),
        'model.memories': dict(cluster=dict(momentum=0.2, hard=True), cross_update=True),
        'model.neighbor_losses': [],
        'optim_wrapper.accumulative_counts': 2,
    },
    'rpnr': TARGET
    | {
        'default_hooks.cluster.labelers': [dict(type='PrototypeLabeler', clustering=CLUSTERING, samples=0.5)],
        'model.identity_loss': TWO_CENTERS,
        'model.cross_loss': dict(type='CrossClusterLoss', weight=0.25, half_loss=TWO_CENTERS),
        'model.hybrid_loss': dict(type='CrossClusterLoss', weight=0.5, half_loss=TWO_CENTERS),
        'model.relaxed_loss': dict(type='RelaxedContrastiveLoss'),
        'model.memories': dict(cluster=dict(type='MeanHardMemory')),
        'model.neighbor_losses': [],
    },
}


def run(config, work_dir, source, options, launcher='none', resume=False):
    options = RunOptions(
        work_dir=work_dir,
        source_checkpoint=source,
        config_options=options,
        launcher=launcher,
        resume=resume,
    )
    return run_experiment(config, options)


def largest_difference(left, right):
    left, right = left['state_dict'], right['state_dict']
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left if left[name].is_floating_point())


@pytest.fixture
def experiment(request, tiny_runs, tiny_experiment):
    """Name of a method, and what ``run`` needs of it."""
    name, source = request.param, tiny_experiment.source_checkpoint
    if name == 'source':
        return name, (tiny_runs.source, None, PLAIN)
    return name, (tiny_runs.adapt, source, PLAIN | METHODS[name])


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    """Function that runs a method in one process, once, and returns its folder."""
    folder = tmp_path_factory.mktemp('alone')

    def go(name, config, source, options):
        if not (folder / name).exists():
            run(config, folder / name, source, options)
        return folder / name

    return go


@pytest.mark.slow
@pytest.mark.parametrize('experiment', METHODS, indirect=True)
def test_weights_labels_and_metrics_are_those_of_one_process(ranks, experiment, alone, tmp_path):
    name, (config, source, options) = experiment
    reference = alone(name, config, source, options)
    metrics = ranks.run(run, config, tmp_path, source, options, 'pytorch')
    assert all(values == metrics[0] for values in metrics)
    assert read_figures(tmp_path) == metrics[0]
    one, several = (load_checkpoint(folder / 'epoch_1.pth') for folder in (reference, tmp_path))
    moved = largest_difference(one, load_checkpoint(reference / 'epoch_0.pth'))
    print(f'{name}, {len(metrics)} processes: {largest_difference(one, several):.1e}, the epoch moved {moved:.1e}')
    assert largest_difference(one, several) < 1e-5 < 1e-3 < moved
    features = [load_features(folder / 'features.safetensors') for folder in (reference, tmp_path)]
    torch.testing.assert_close(*(torch.as_tensor(table.feature) for table in features), rtol=0, atol=3e-5)
    assert metrics[0] == read_figures(reference)
    if name != 'source':
        labels = [checkpoint['cluster_labels']['own'] for checkpoint in (one, several)]
        assert all(torch.equal(labels[0][modality], labels[1][modality]) for modality in ('rgb', 'ir'))
        assert (len(labels[0]['rgb']) + len(labels[0]['ir'])) % 4  # four processes have shares of unequal size


@pytest.mark.slow
@pytest.mark.parametrize('experiment', ['dsc'], indirect=True)
def test_a_run_of_one_process_goes_on_with_several(ranks, experiment, alone, tmp_path):
    _, (config, source, options) = experiment
    options = options | {'train_cfg.max_epochs': 2, 'default_hooks.checkpoint.max_keep_ckpts': 2}
    reference = alone('two_epochs', config, source, options)
    shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
    for name in ('finished.json', 'epoch_2.pth', 'metrics.json', 'features.safetensors'):
        (tmp_path / name).unlink()
    (tmp_path / 'last_checkpoint').write_text('epoch_1.pth')
    metrics = ranks.run(run, config, tmp_path, source, options, 'pytorch', True)
    one, several = (load_checkpoint(folder / 'epoch_2.pth') for folder in (reference, tmp_path))
    assert largest_difference(one, several) < 1e-5
    assert largest_difference(one, load_checkpoint(reference / 'epoch_1.pth')) > 1e-3
    assert metrics == [read_figures(reference)] * len(metrics)
