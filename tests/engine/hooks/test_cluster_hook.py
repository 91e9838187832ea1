"""ClusterHook in three floors: its arguments, a fake runner, and what a real run logged."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dscreid.engine.hooks import ClusterHook, cluster_hook
from dscreid.errors import ConfigError, DatasetError, LabelingError
from dscreid.pseudo_labels import PseudoLabels
from dscreid.registry import LABELERS
from dscreid.structures import Modality

LABELS = PseudoLabels(rgb=np.array([0, 0, 1, -1, 1]), ir=np.array([0, 1, 1, 0, 0]), shared=False)


@LABELERS.register_module()
class RecordingLabeler:
    """Gives fixed labels and remembers what it was given."""

    def __init__(self, name='one'):
        self.name, self.calls = name, []

    def __call__(self, visible, infrared):
        self.calls.append((visible, infrared))
        return LABELS


def labelers(*begins):
    return [dict(type='RecordingLabeler', name=str(begin), begin_epoch=begin) for begin in begins]


def test_one_labeler_needs_no_begin():
    hook = ClusterHook({}, [dict(type='RecordingLabeler')])
    assert hook.begin_epochs == [0]


def test_arguments_are_left_as_they_are():
    configs = labelers(0, 3)
    ClusterHook({}, configs)
    assert configs == labelers(0, 3)


@pytest.mark.parametrize('begins', [(), (1,), (0, 0)])
def test_labelers_must_rise_from_epoch_0(begins):
    with pytest.raises(ConfigError, match='begin_epoch'):
        ClusterHook({}, labelers(*begins))


class Target:
    """Ten tracklets, visible ones at even indices."""

    def __init__(self, pids=True, fingerprint='same'):
        self.pids, self.name = pids, fingerprint

    def fingerprint(self):
        return self.name

    def __len__(self):
        return 10

    def indices(self, modality):
        return np.arange(0 if Modality(modality) is Modality.RGB else 1, 10, 2)

    def read_ground_truth(self):
        if not self.pids:
            raise DatasetError('x: no ids')
        return SimpleNamespace(pids=np.arange(10) // 4)


@pytest.fixture
def floor(number_model, number_loader, fake_runner, monkeypatch):
    """Function that makes a hook and its runner, all calls in ``runner.calls``."""

    def make(hook, extracted=None, trained=None):
        calls = []
        number_model.set_epoch = lambda epoch: calls.append(('epoch', epoch))
        number_model.reset_memories = lambda *args: calls.append(('reset', *args))
        number_model.recalibrate_necks = lambda *args: calls.append(('necks', *args))
        sampler = SimpleNamespace(set_labels=lambda *args: calls.append(('labels', *args)))
        loader = SimpleNamespace(sampler=sampler, dataset=trained or Target())
        fake_runner.model, fake_runner.calls = number_model, calls
        fake_runner.train_loop = SimpleNamespace(dataloader=loader)
        extraction = Loader(number_loader(), extracted or Target())
        monkeypatch.setattr(cluster_hook.Runner, 'build_dataloader', lambda config, seed: extraction)
        return hook, fake_runner

    return make


class Loader:
    """A data loader over the numbers whose dataset is the target."""

    def __init__(self, loader, dataset):
        self.loader, self.dataset = loader, dataset

    def __iter__(self):
        return iter(self.loader)

    def __len__(self):
        return len(self.loader)


def test_one_round(floor):
    hook, runner = floor(ClusterHook({}, labelers(0)))
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert [call[0] for call in runner.calls] == ['epoch', 'necks', 'reset', 'labels']
    visible, infrared = hook.labelers[0].calls[0]
    assert visible.static[:, 0].tolist() == [0, 4, 16, 36, 64]
    assert infrared.dynamic[:, 0].tolist() == [-1, -9, -25, -49, -81]
    _, rgb, ir, labels, rgb_indices, ir_indices = runner.calls[2]
    assert (rgb, ir) == (visible, infrared)
    assert labels is LABELS
    assert rgb_indices.tolist() == [0, 2, 4, 6, 8]
    assert ir_indices.tolist() == [1, 3, 5, 7, 9]
    assert runner.calls[3][1] is LABELS.rgb
    assert runner.calls[3][2] is LABELS.ir
    assert torch.equal(runner.calls[1][1][:, 0], torch.arange(10.0) ** 2)


def test_the_labeler_of_the_epoch(floor):
    hook, runner = floor(ClusterHook({}, labelers(0, 2), recalibrate_necks=True))
    hook.before_train(runner)
    for runner.epoch in range(4):
        hook.before_train_epoch(runner)
    assert [len(labeler.calls) for labeler in hook.labelers] == [2, 2]
    # the necks are set once, by the weights that the run starts from
    assert [call[0] for call in runner.calls].count('necks') == 1


def test_necks_can_be_left(floor):
    hook, runner = floor(ClusterHook({}, labelers(0), recalibrate_necks=False))
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert 'necks' not in [call[0] for call in runner.calls]


@pytest.mark.parametrize(
    ('pids', 'diagnostics', 'compared'), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_the_ground_truth_is_for_the_log(floor, pids, diagnostics, compared, caplog):
    hook, runner = floor(ClusterHook({}, labelers(0), diagnostics=diagnostics), Target(pids))
    with caplog.at_level(logging.INFO, logger='fake'):
        hook.before_train(runner)
        hook.before_train_epoch(runner)
    step, values = runner.scalars[0]
    assert step == 1
    assert all(name.startswith('labels/') for name in values)
    assert any('ari' in name for name in values) is compared
    text = '\n'.join(caplog.messages)
    assert ('diagnostics only' in text) is compared
    assert 'epoch 1 pseudo labels: rgb 2 clusters' in text


def test_both_loaders_must_list_the_same(floor):
    hook, runner = floor(ClusterHook({}, labelers(0)), Target(fingerprint='other'))
    with pytest.raises(ConfigError, match='other against same'):
        hook.before_train(runner)


def test_sampler_and_model_must_know_pseudo_labels(floor):
    hook, runner = floor(ClusterHook({}, labelers(0)))
    del runner.model.reset_memories
    with pytest.raises(ConfigError, match='NumberModel has no memories; use AdaptiveReID'):
        hook.before_train(runner)
    del runner.train_loop.dataloader.sampler.set_labels
    with pytest.raises(ConfigError, match=r"sampler=dict.type='PseudoLabelSampler'"):
        hook.before_train(runner)


def test_an_error_of_the_labeler_reaches_all_ranks(floor, monkeypatch):
    error = LabelingError('no cluster')

    def fail(visible, infrared):
        raise error

    hook, runner = floor(ClusterHook({}, labelers(0)))
    hook.labelers = [fail]
    hook.before_train(runner)
    with pytest.raises(LabelingError):
        hook.before_train_epoch(runner)
    # a rank that does not label itself gets the first one's result, here the error
    monkeypatch.setattr(cluster_hook, 'is_main_process', lambda: False)
    monkeypatch.setattr(cluster_hook, 'broadcast_object_list', lambda box: box.__setitem__(0, error))
    hook.labelers = [None]
    with pytest.raises(LabelingError):
        hook.before_train_epoch(runner)


def test_a_real_run_logs_labels_of_each_epoch(tiny_experiment):
    lines = next(tiny_experiment.work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if 'labels/rgb_clusters' in row]
    assert [row['step'] for row in rows] == [1, 2]
    # DSLU begins in the second epoch: from then on labels are comparable across modalities
    assert ['labels/cross_modal_accuracy' in row for row in rows] == [False, True]
    losses = [row for row in map(json.loads, lines) if 'loss' in row]
    assert [('loss_neighbor_vt' in row) for row in losses] == [False] * 3 + [True] * 3
