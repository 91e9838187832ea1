"""Numbers outside their meaning are refused, settings after the last epoch reported (``dscreid.apis.config_check``)."""

import copy

import pytest

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.config_check import check_run, never_happens
from dscreid.apis.inference import build_model
from dscreid.apis.preflight import check_stage
from dscreid.errors import ConfigError

LABELER = 'default_hooks.cluster.labelers.0'
AUGMENTATION = 'model.data_preprocessor.augmentation'
WRONG = [
    ('optim_wrapper.optimizer.lr', (-1e-3, 0, True, 'much')),
    ('optim_wrapper.optimizer.betas', ((1.5, 0.9), (-0.1, 0.9))),
    ('optim_wrapper.optimizer.eps', (2.0, -1e-8, 0)),
    ('optim_wrapper.optimizer.weight_decay', (-1e-4,)),
    ('optim_wrapper.optimizer', (dict(type='SGD', lr=0.1, momentum=1.1), dict(type='SGD', lr=0.1, momentum=-0.1))),
    ('optim_wrapper.clip_grad', (dict(max_norm=0), dict(max_norm=-1.0), dict(type='value', clip_value=0))),
    ('optim_wrapper.paramwise_cfg', (dict(custom_keys={'neck': dict(lr_mult=-1)}), dict(bias_decay_mult=-0.5))),
    ('optim_wrapper.accumulative_counts', (0, -1)),
    ('param_scheduler.0.eta_min_ratio', (1.5, -0.1)),
    ('param_scheduler.0.begin', (-1, 2, 3)),
    ('param_scheduler', (
        [dict(type='MultiStepLR', milestones=[2, 1])], [dict(type='MultiStepLR', milestones=[0])],
        [dict(type='MultiStepLR', milestones=[1], gamma=-0.1)], [dict(type='MultiStepLR', milestones=[1], gamma=10)],
        [dict(type='CosineAnnealingLR', eta_min=-1e-3)], [dict(type='LinearLR', start_factor=0, end=1)],
        [dict(type='LinearLR', start_factor=1.5, end=1)],
    )),
    ('model.identity_loss.temperature', (0, -0.05)),
    ('model.identity_loss.weight', (-1.0,)),
    ('model.neighbor_losses.0.alpha', (1.5, -0.1)),
    ('model.neighbor_losses.0.weight', (-1.0,)),
    ('model.neighbor_losses.0.unified_weight', (-0.1,)),
    ('model.neighbor_losses.0.static_weight', (-1.0,)),
    ('model.neighbor_losses.0.temperature', (0,)),
    ('model.neighbor_losses.0.end', (-1,)),
    ('model.cross_loss', tuple(dict(type='CrossClusterLoss', **wrong) for wrong in (
        dict(weight=-1), dict(temperature=0), dict(begin=-1), dict(begin=3, end=2)))),
    ('model.hybrid_loss', (dict(type='CrossClusterLoss', weight=-1),)),
    ('model.relaxed_loss', (dict(type='RelaxedContrastiveLoss', scale=0),)),
    ('model.memories.cluster.momentum', (1.1, -0.1)),
    ('model.memories.instance.momentum', (2,)),
    ('model.data_preprocessor.std', ((0, 0.2, 0.2), (-0.2, 0.2, 0.2), (58.0, 57.0, 57.0))),
    ('model.data_preprocessor.mean', ((123.0, 116.0, 103.0),)),
    (f'{AUGMENTATION}.flip', (1.5, -0.5)),
    (f'{AUGMENTATION}.pad', (-1, 1.5)),
    (f'{AUGMENTATION}.erase.probability', (2, -1)),
    (f'{AUGMENTATION}.erase.area', ((0.4, 0.1), (0, 2))),
    (f'{AUGMENTATION}.jitter', (dict(brightness=-0.1), dict(contrast=1.5))),
    (f'{LABELER}.k1', (0, -1, 2.5)),
    (f'{LABELER}.eps', (0, 1.5, -0.5)),
    (f'{LABELER}.min_samples', (0,)),
    ('default_hooks.cluster.labelers.1.inter.topk', (0, -3)),
    ('default_hooks.cluster.limits', (dict(max_cosine=2), dict(min_clusters=-1))),
    ('train_dataloader.sampler.iterations', (0, -1)),
    ('train_dataloader.sampler.visible', ((0, 2), (2, 0))),
    ('num_frames', (0, -1, 2.5)),
    ('frame_size', ((0, 16), (32,), 32)),
]  # fmt: skip
CASES = [(key, value) for key, values in WRONG for value in values]


def try_all(path, options):
    """Load a config, build its parts, and make a training step with it."""
    config = load_config(path, options)
    fit_to_machine(config)
    check_run(config)
    check_stage(config)


@pytest.mark.parametrize(('key', 'value'), CASES, ids=[f'{key}={value}' for key, value in CASES])
def test_numbers_outside_their_meaning(tiny_runs, key, value):
    with pytest.raises(ConfigError):
        try_all(tiny_runs.adapt, {key: value})


def test_the_config_of_these_cases_is_in_order(tiny_runs):
    try_all(tiny_runs.adapt, {})


@pytest.mark.parametrize('name', [
    'identity_weight', 'triplet_weight', 'dynamic_identity_weight', 'dynamic_triplet_weight', 'dynamic_weight',
    'contrast_weight', 'label_smoothing',
])  # fmt: skip
def test_negative_weights_of_the_source_model(tiny_runs, name):
    with pytest.raises(ConfigError, match=r'got .*-0\.5'):
        build_model(load_config(tiny_runs.source, {f'model.{name}': -0.5}))


SCHEDULE = dict(
    train_cfg=dict(max_epochs=5),
    param_scheduler=[
        dict(type='LinearLR', end=6),
        dict(type='MultiStepLR', milestones=[3, 5, 8]),
        dict(type='CosineAnnealingLR', begin=5),
        dict(type='LinearLR', by_epoch=False, begin=100, end=600),
    ],
    default_hooks=dict(guard=None, cluster=dict(labelers=[dict(begin_epoch=0), dict(begin_epoch=5)])),
    model=dict(neighbor_losses=[dict(begin=4), dict(begin=7)], cross_loss=dict(begin=9), hybrid_loss=dict(begin=8)),
)


def test_what_never_happens():
    assert [message.partition(',')[0] for message in never_happens(SCHEDULE)] == [
        'param_scheduler.0 never reaches its end 6',
        'param_scheduler.1.milestones [5',
        'param_scheduler.2 begins at epoch 5 and has no effect',
        'default_hooks.cluster.labelers.1 begins at epoch 5 and is never used',
        'model.neighbor_losses.1 begins at epoch 7 and is never used',
        'model.cross_loss begins at epoch 9 and is never used',
        'model.hybrid_loss begins at epoch 8 and is never used',
    ]
    longer = copy.deepcopy(SCHEDULE)
    longer['train_cfg']['max_epochs'] = 10
    assert list(never_happens(longer)) == []
    assert list(never_happens({})) == []
    check_run(SCHEDULE)
