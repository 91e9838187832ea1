"""--dry-run says what would be done and leaves nothing; mistakes in a config end in one sentence before any work."""

import shutil
import sys
from dataclasses import replace

import pytest
from tiny_runs import write_tiny_configs

from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.preflight import check_stage
from dscreid.apis.train import RunOptions, prepare
from dscreid.errors import CheckpointError, ConfigError, DatasetError, DscreidError

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


def test_both_stages_are_described_and_nothing_is_written(tiny_runs, tmp_path):
    text = plan_experiment(tiny_runs.adapt, RunOptions(work_dir=tmp_path / 'dsc', seed=7))
    for part in (
        'tiny_dsc.py: a dry run, nothing is trained or written',
        f'1. tiny_source.py in {tmp_path}/tiny_source',
        'starts from its own initial weights',
        f'2. tiny_dsc.py in {tmp_path}/dsc',
        'starts from the stage before',
        'training: 2 epochs of 3 iterations of 8 tracklets, Adam with learning rates up to 0.001, OptimWrapper, seed 7',
        'features of 32 numbers per half',
        'ClusterHook',
        f'then evaluation by hitsz_vcm, metrics in {tmp_path}/dsc/metrics.json',
    ):
        assert part in text, text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_is_there_is_taken_into_account(tiny_runs, tiny_experiment):
    before = sorted(tiny_experiment.work_dir.parent.rglob('*'))
    text = plan_experiment(tiny_runs.adapt, RunOptions(work_dir=tiny_experiment.work_dir, resume=True))
    assert 'is finished: epoch_2.pth is used as it is' in text
    assert 'tiny_source' not in text
    source = RunOptions(
        work_dir=tiny_experiment.work_dir,
        source_checkpoint=tiny_experiment.source_checkpoint,
        overwrite=True,
    )
    assert f'starts from {tiny_experiment.source_checkpoint}' in plan_experiment(tiny_runs.adapt, source)
    assert sorted(tiny_experiment.work_dir.parent.rglob('*')) == before


def test_an_interrupted_run_would_be_continued(tiny_runs, tiny_experiment, tmp_path):
    shutil.copytree(tiny_experiment.work_dir, tmp_path / 'dsc')
    (tmp_path / 'dsc' / 'finished.json').unlink()
    (tmp_path / 'dsc' / 'last_checkpoint').write_text('epoch_1.pth')
    text = plan_experiment(tiny_runs.adapt, RunOptions(work_dir=tmp_path / 'dsc', resume=True))
    assert 'continues after epoch_1.pth' in text
    assert 'tiny_source' not in text


def test_source_weights_of_another_architecture_are_tried(tiny_runs, tiny_experiment, tmp_path):
    options = RunOptions(
        work_dir=tmp_path / 'dsc',
        source_checkpoint=tiny_experiment.source_checkpoint,
        config_options={'model.backbone.tower.layers': 3},
    )
    with pytest.raises(CheckpointError, match='does not fit AdaptiveReID'):
        plan_experiment(tiny_runs.adapt, options)
    text = plan_experiment(tiny_runs.adapt, replace(options, partial_source=True))
    assert f'starts from {tiny_experiment.source_checkpoint}' in text


MISTAKES = [
    # keys
    (
        'model.neighbour_losses',
        [],
        "AdaptiveReID has no argument 'neighbour_losses'; did you mean 'neighbor_losses'",
    ),
    (
        'model.memories.cluster.momentun',
        0.1,
        "ClusterMemory has no argument 'momentun'; did you mean 'momentum'",
    ),
    ('test_dataloader.batch_sise', 8, "DataLoader has no argument 'batch_sise'; did you mean 'batch_size'"),
    ('train_cfg.max_epoch', 3, "EpochBasedTrainLoop has no argument 'max_epoch'; did you mean 'max_epochs'"),
    ('optim_wrapper.optimizer.lrr', 1.0, "Adam has no argument 'lrr'; did you mean 'lr'"),
    ('optim_wrapper.clip_gradd', {}, "OptimWrapper has no argument 'clip_gradd'; did you mean 'clip_grad'"),
    ('default_hooks.clusters.on_failure', 'keep', "there is no hook 'clusters' .*did you mean 'cluster'"),
    (
        'default_hooks.cluster.on_failur',
        'keep',
        "ClusterHook has no argument 'on_failur'; did you mean 'on_failure'",
    ),
    (
        'default_hooks.cluster.limits',
        {'max_cosin': 1},
        "LabelLimits has no argument 'max_cosin'; did you mean",
    ),
    (
        'default_hooks.checkpoint.max_keep_ckpt',
        2,
        "no argument 'max_keep_ckpt'; did you mean 'max_keep_ckpts'",
    ),
    (
        'default_hooks.checkpoint.intervall',
        2,
        "DurableCheckpointHook has no argument 'intervall'; did you mean 'interval'",
    ),
    ('train_dataloader.sampler.visibel', (2, 2), "no argument 'visibel'; did you mean 'visible'"),
    ('randomnes', dict(seed=1), "nothing reads the key 'randomnes'; did you mean 'randomness'"),
    # types
    ('model.type', 'AdaptiveReId', "type 'AdaptiveReId' is not registered; did you mean 'AdaptiveReID'"),
    ('optim_wrapper.optimizer.type', 'Adamm', "type 'Adamm' is not registered; did you mean 'Adam'"),
    ('param_scheduler.0.type', 'CosineAnealingLR', "did you mean 'CosineAnnealingLR'"),
    ('test_evaluator.protocol', 'hitz_vcm', 'hitz_vcm'),
    # values
    ('optim_wrapper.optimizer.lr', -1.0, 'optimizer.lr must be a positive number, got -1.0'),
    ('optim_wrapper.optimizer.lr', 'fast', "optimizer.lr must be a positive number, got 'fast'"),
    ('train_dataloader.sampler.visible', 2, 'PseudoLabelSampler cannot be made of its values'),
    (
        'model.neighbor_losses.0.temperature',
        'hot',
        'NeighborContrastiveLoss cannot be made of its values',
    ),
    ('train_dataloader.num_workers', -1, 'num_workers'),
    ('train_dataloader.batch_size', 0, 'batch_size'),
    ('train_cfg.max_epochs', 0, 'max_epochs must be a whole number of at least 1, got 0'),
    ('train_cfg.val_interval', 0, 'val_interval must be a whole number of at least 1, got 0'),
    ('model', 3, r'model must be dict\(\.\.\.\), got 3'),
    ('randomness.deterministic', 'maybe', "randomness.deterministic must be True or False, got 'maybe'"),
    ('default_hooks.checkpoint.max_keep_ckpts', 0, 'max_keep_ckpts >= 1, or -1 for all, got 1, 0 and 0'),
    ('train_dataloader.sampler.iterations', 0, 'iterations must be at least 1'),
    (
        'default_hooks.cluster.on_failure',
        'ignore',
        "on_failure must be one of stop, keep, skip, got 'ignore'",
    ),
    ('default_hooks.cluster.labelers.0.eps', 3.0, 'eps'),
    ('model.neighbor_losses.0.alpha', 2, r'alpha in \[0, 1\]'),
    ('model.memories.cluster.momentum', 2, r'momentum must lie in \[0, 1\]'),
    ('eval_pipeline.0.num_frames', 3, 'cannot encode what the pipeline gives'),
    ('learning_rte', 3, "nothing reads the key 'learning_rte'"),
    ('work_dir', 'elsewhere', 'work_dir: changes nothing; use --work-dir'),
    ('resume', True, 'resume: changes nothing; use --resume'),
    (
        'test_dataloader.dataset.pipeline.0.num_frames',
        3,
        r'no list test_dataloader\.dataset\.pipeline; .*eval_',
    ),
    ('eval_pipeline.1.size', (64, 32), 'cannot encode what the pipeline gives'),
    *(
        (f'{place}.pipeline', pipeline, message)
        for place in ('train_dataloader.dataset', 'test_dataloader.dataset', 'default_hooks.cluster')
        for pipeline, message in (
            ([], 'gives no inputs and data_samples'),
            ('no', "pipeline must list transforms, .* got 'no'"),
        )
    ),
    ('train_dataloader.dataset.pipeline.0.num_frames', 3, 'cannot encode what the pipeline gives'),
    ('test_dataloader.batch_size', 0, 'test_dataloader.batch_size must be a whole number of at least 1'),
    ('test_evaluator.protocol', ['hitsz_vcm'], 'unknown evaluation protocol'),
    ('source.checkpoint', 3, 'source.checkpoint must be a path or None'),
    ('env_cfg.mp_cfg.mp_start_method', 'thread', 'must be one of fork, spawn, forkserver'),
    ('model.backbone.tower', [], 'has another encoder'),
    ('model.data_preprocessor.augmentation', 'strong', "augmentation must be .* got 'strong'"),
    ('model.neighbor_losses.0.weight', 'much', 'NeighborContrastiveLoss cannot be made of its values'),
    ('model.neighbor_losses.0.begin', -1, 'needs 0 <= begin <= end'),
    ('default_hooks.cluster.labelers.1.inter.topk', 0, 'topk must be at least 1 .*got topk=0'),
    ('default_hooks.cluster.labelers.1.intra.static_weight', -1, 'static_weight and dynamic_weight >= 0'),
    ('default_hooks.cluster.labelers', 3, 'ClusterHook cannot be made of its values'),
    ('default_hooks.cluster.pipeline', 3, 'pipeline must list transforms, .* got 3'),
    ('train_dataloader', None, 'train_dataloader'),
    ('source.config', 'nowhere.py', 'nowhere.py: no such config'),
]


@pytest.mark.slow
@pytest.mark.parametrize(('key', 'value', 'message'), MISTAKES, ids=[f'{m[0]}={m[1]}' for m in MISTAKES])
def test_mistakes(tiny_runs, tmp_path, key, value, message):
    options = RunOptions(work_dir=tmp_path / 'run', config_options={key: value})
    with pytest.raises(DscreidError, match=message):
        plan_experiment(tiny_runs.adapt, options)
    assert list(tmp_path.iterdir()) == []


def test_a_source_stage_with_another_encoder_is_refused_unless_what_fits_is_enough(tiny_runs, tmp_path):
    options = RunOptions(work_dir=tmp_path / 'run', config_options={'model.backbone.num_heads': 4})
    with pytest.raises(
        ConfigError, match=r'its source stage tiny_source\.py has another encoder \(.*num_heads is 2, not 4'
    ):
        plan_experiment(tiny_runs.adapt, options)
    assert 'labels by each labeler' in plan_experiment(tiny_runs.adapt, replace(options, partial_source=True))


def test_missing_files(tiny_runs, tmp_path):
    gone = {'model.backbone.tower.pretrained': str(tmp_path / 'gone.pt')}
    with pytest.raises(CheckpointError, match=r'gone\.pt: pretrained weights not found'):
        plan_experiment(tiny_runs.source, RunOptions(work_dir=tmp_path / 'run', config_options=gone))
    with pytest.raises(DatasetError, match='gone: the data root of HITSZVCM is not a folder'):
        plan_experiment(tiny_runs.adapt, RunOptions(config_options={'data_root': 'gone'}))


def test_a_stage_is_tried_before_the_one_that_comes_first(tiny_runs):
    config = prepare(tiny_runs.adapt, RunOptions(config_options={'model.backbone.num_frames': 3}))
    with pytest.raises(ConfigError, match='size and num_frames'):
        check_stage(config)


def test_a_modality_without_tracklets_is_refused_in_a_sentence(tiny_runs, tmp_path):
    shutil.copytree(tiny_runs.hitsz, tmp_path / 'hitsz')
    info = tmp_path / 'hitsz/info/track_train_info.txt'
    info.write_text(''.join(f'{line}\n' for line in info.read_text().splitlines() if line.startswith('1')))
    _, adapt = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tmp_path / 'hitsz')
    with pytest.raises(DatasetError, match=r'0 visible and \d+ infrared tracklets, .* needs both modalities'):
        plan_experiment(adapt, RunOptions(work_dir=tmp_path / 'dsc'))


def write_module(folder, text):
    (folder / 'own_parts.py').write_text(text)


OWN_PARTS = """
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch import nn

from dscreid.pseudo_labels import Labeler, PseudoLabels
from dscreid.registry import LABELERS, METRICS, MODELS


@MODELS.register_module(force=True)
class OwnLoss(nn.Module):
    def forward(self, features, centers):
        return features.sum()


@MODELS.register_module(force=True)
class OwnNeighborLoss(nn.Module):
    begin, pair_weights = 1, {'vv': 1.0}

    def weight_at(self, epoch, unified):
        return float(epoch >= 1)

    def pairs_at(self, epoch):
        return ('vv',)

    def forward(self, static, dynamic):
        return static.sum()


@MODELS.register_module(force=True)
class NaNLoss(nn.Module):
    def forward(self, features, centers, labels):
        return features.sum() * float('nan')


@LABELERS.register_module(force=True)
class FloatLabels(Labeler):
    def __call__(self, visible, infrared, context=None):
        return PseudoLabels(rgb=np.zeros(len(visible)), ir=np.zeros(len(infrared)), shared=False)


@LABELERS.register_module(force=True)
class NoLabels(Labeler):
    def __call__(self, visible, infrared, context=None):
        return [0] * len(visible)


@LABELERS.register_module(force=True)
class FewLabels(Labeler):
    def __call__(self, visible, infrared, context=None):
        zeros = np.zeros(2, np.int64)
        return PseudoLabels(rgb=zeros, ir=zeros, shared=False)


@LABELERS.register_module(force=True)
class OneArgument(Labeler):
    def __call__(self, features):
        return features


@METRICS.register_module(force=True)
class OwnMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(data_samples[0].nothing)

    def compute_metrics(self, results):
        return {}
"""


def labeled_by(name):
    """Options that let a labeler take over from ClusterLabeler."""
    labelers = [dict(type='ClusterLabeler'), dict(type=name, begin_epoch=1)]
    return {'default_hooks.cluster.labelers': labelers}


@pytest.mark.slow
@pytest.mark.parametrize(('options', 'message'), [
    ({'model.identity_loss': dict(type='OwnLoss')}, r'training step fails .*TypeError.*own_parts\.py|'
     r'training step fails .*TypeError: .*forward\(\)'),
    ({'model.identity_loss': dict(type='NaNLoss')}, r'the loss of a trial training step is nan'),
    ({'model.neighbor_losses': [dict(type='OwnNeighborLoss')]}, r'training step fails .*TypeError: .*forward\(\)'),
    (labeled_by('FloatLabels'), r'labeling by FloatLabels fails .*int64'),
    (labeled_by('NoLabels'), 'NoLabels returns list; a labeler returns'),
    (labeled_by('FewLabels'), 'FewLabels returns PseudoLabels; a labeler returns PseudoLabels of all'),
    (labeled_by('OneArgument'), 'labeling by OneArgument fails .*TypeError'),
    ({'test_evaluator': dict(_delete_=True, type='OwnMetric')}, r'evaluation fails .*AttributeError.*own_parts\.py'),
    ({'optim_wrapper.clip_grad': dict(norm_type='x', max_norm=1.0)}, r'the step of the optimizer fails'),
])  # fmt: skip
def test_own_classes_that_do_not_fit(tiny_runs, tmp_path, monkeypatch, options, message):
    write_module(tmp_path, OWN_PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'own_parts', raising=False)
    config = tmp_path / 'own.py'
    config.write_text(f"_base_ = {str(tiny_runs.adapt)!r}\ncustom_imports = dict(imports=['own_parts'])\n")
    with pytest.raises(DscreidError, match=message):
        plan_experiment(config, RunOptions(work_dir=tmp_path / 'run', config_options=options))
    assert not (tmp_path / 'run').exists()
