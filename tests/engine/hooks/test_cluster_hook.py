"""ClusterHook in three floors: its arguments, a fake runner, and what a real run logged."""

import copy
import json
import logging
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from tiny_runs import write_tiny_configs

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.hooks import ClusterHook
from dscreid.errors import ConfigError, DatasetError, LabelingError, ResourceError, TrainingError
from dscreid.models.memories import TargetMemories
from dscreid.neighbors import current_search
from dscreid.pseudo_labels import Labeler, PseudoLabels
from dscreid.pseudo_labels.labelers import base
from dscreid.registry import HOOKS, LABELERS
from dscreid.structures import Modality
from dscreid.utils.checkpoint import load_checkpoint, load_weights

LABELS = PseudoLabels(rgb=np.array([0, 0, 1, -1, 1]), ir=np.array([0, 1, 1, 0, 0]), shared=False)


@LABELERS.register_module()
class RecordingLabeler(Labeler):
    """Gives fixed labels and remembers what it was given."""

    def __init__(self, name='one'):
        self.name, self.calls = name, []

    def __call__(self, visible, infrared, context=None):
        self.calls.append((visible, infrared))
        return LABELS


@LABELERS.register_module()
class CuriousLabeler(Labeler):
    """Remembers the context that it asks for."""

    needs_context = True

    def __init__(self, needs_centers=False, groups=None):
        self.needs_centers, self.groups, self.contexts = needs_centers, groups, []

    def __call__(self, visible, infrared, context=None):
        self.contexts.append(context)
        return PseudoLabels(LABELS.rgb, LABELS.ir, shared=False, groups=self.groups)

    def check_cameras(self, cameras):
        if len(np.unique(cameras[Modality.RGB])) < 2:
            raise ConfigError('one camera')


def labelers(*begins):
    return [dict(type='RecordingLabeler', name=str(begin), begin_epoch=begin) for begin in begins]


def test_one_labeler_needs_no_begin():
    hook = ClusterHook([], [dict(type='RecordingLabeler')])
    assert hook.begin_epochs == [0]


def test_arguments_are_left_as_they_are():
    configs = labelers(0, 3)
    ClusterHook([], configs)
    assert configs == labelers(0, 3)


@pytest.mark.parametrize('begins', [(), (1,), (0, 0)])
def test_labelers_must_rise_from_epoch_0(begins):
    with pytest.raises(ConfigError, match='begin_epoch'):
        ClusterHook([], labelers(*begins))


class Target:
    """Ten tracklets, visible ones at even indices; ``items`` are those of the loader."""

    def __init__(self, pids=True, cameras=10):
        self.pids = pids
        self.cameras = np.arange(10) % cameras
        self.items = self.pipeline = None

    def with_pipeline(self, pipeline):
        other = copy.copy(self)
        other.pipeline = pipeline
        return other

    def __getitem__(self, index):  # a draw
        return self.items[index[0]]

    def __len__(self):
        return 10

    def indices(self, modality):
        return np.arange(0 if Modality(modality) is Modality.RGB else 1, 10, 2)

    def read_ground_truth(self):
        if not self.pids:
            raise DatasetError('x: no ids')
        return np.arange(10) // 4


@pytest.fixture
def floor(number_model, number_loader, fake_runner):
    """Function that makes a hook and its runner, all calls in ``runner.calls``."""

    def make(hook, trained=None):
        calls = []
        number_model.set_epoch = lambda epoch: calls.append(('epoch', epoch))
        number_model.reset_memories = lambda *args: calls.append(('reset', *args))
        number_model.recalibrate_necks = lambda *args: calls.append(('necks', *args))
        sampler = SimpleNamespace(
            set_labels=lambda *args: calls.append(('labels', *args)), rest=lambda: calls.append(('rest',))
        )
        numbers, dataset = number_loader(), trained or Target()
        dataset.items = numbers.dataset
        loader = SimpleNamespace(
            sampler=sampler,
            dataset=dataset,
            collate_fn=numbers.collate_fn,
            num_workers=0,
            pin_memory=False,
            worker_init_fn=None,
            prefetch_factor=None,
            persistent_workers=False,
        )
        fake_runner.model, fake_runner.calls = number_model, calls
        fake_runner.train_loop = SimpleNamespace(dataloader=loader)
        return hook, fake_runner

    return make


def test_one_round(floor):
    hook, runner = floor(ClusterHook([], labelers(0)))
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert [call[0] for call in runner.calls] == ['epoch', 'necks', 'labels', 'reset']
    visible, infrared = hook.labelers[0].calls[0]
    assert visible.static[:, 0].tolist() == [0, 4, 16, 36, 64]
    assert infrared.dynamic[:, 0].tolist() == [-1, -9, -25, -49, -81]
    _, rgb, ir, labels, rgb_indices, ir_indices = runner.calls[3]
    assert (rgb, ir) == (visible, infrared)
    assert labels is LABELS
    assert rgb_indices.tolist() == [0, 2, 4, 6, 8]
    assert ir_indices.tolist() == [1, 3, 5, 7, 9]
    assert runner.calls[2][1] is LABELS.rgb
    assert runner.calls[2][2] is LABELS.ir
    assert torch.equal(runner.calls[1][1][:, 0], torch.arange(10.0) ** 2)


def test_labelers_search_neighbours_as_the_config_says(floor, monkeypatch):
    hook, runner = floor(ClusterHook([], labelers(0), neighbor_search=dict(index='Flat')))
    indexes = []
    monkeypatch.setattr(RecordingLabeler, '__call__', lambda *_: indexes.append(current_search().index) or LABELS)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert indexes == ['Flat']
    assert current_search().index is None


def test_a_round_is_forecast_and_refused_where_it_cannot_fit(floor, monkeypatch, caplog):
    clustering = dict(type='ClusterLabeler', k1=2, k2=1, eps=0.9, min_samples=1)
    limits = dict(max_cosine=1.0, min_clusters=1, max_cluster_share=1.0)
    hook, runner = floor(ClusterHook([], [clustering], on_failure='skip', limits=limits))
    hook.before_train(runner)
    with caplog.at_level(logging.INFO, logger='fake'):
        hook.before_train_epoch(runner)
    assert any(message.startswith('clustering forecast: ') for message in caplog.messages)
    monkeypatch.setattr(base, 'free_memory', lambda swap: 100)
    with pytest.raises(ResourceError, match=r'N x D = 5 x 4 and 5 x 4, k1 = 2, needs about .* 0 KiB is available'):
        hook.before_train_epoch(runner)  # no failure of labels, which on_failure would let pass


@pytest.mark.parametrize('wrong', [dict(index=3), dict(probes=3)], ids=['value', 'key'])
def test_a_wrong_neighbor_search_is_named(wrong):
    with pytest.raises(ConfigError, match=r"(?i)neighbor.?search.*(index must be a faiss|no argument 'probes')"):
        ClusterHook([], labelers(0), neighbor_search=wrong)


def test_a_labeler_must_derive_from_the_base_class():
    LABELERS.register_module(name='PlainFunction', force=True, module=lambda: len)
    for config in (dict(type='PlainFunction'), dict(type='DSLULabeler', clustering=dict(type='PlainFunction'))):
        with pytest.raises(ConfigError, match='PlainFunction is not a labeler; derive the class from dscreid'):
            ClusterHook([], [config])


def test_the_labeler_of_the_epoch(floor):
    hook, runner = floor(ClusterHook([], labelers(0, 2), recalibrate_necks=True))
    hook.before_train(runner)
    for runner.epoch in range(4):
        hook.before_train_epoch(runner)
    assert [len(labeler.calls) for labeler in hook.labelers] == [2, 2]
    # the necks are set once, by the weights that the run starts from
    assert [call[0] for call in runner.calls].count('necks') == 1


def test_necks_can_be_left(floor):
    hook, runner = floor(ClusterHook([], labelers(0), recalibrate_necks=False))
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert 'necks' not in [call[0] for call in runner.calls]


@pytest.mark.parametrize(
    ('pids', 'diagnostics', 'compared'), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_the_ground_truth_is_for_the_log(floor, pids, diagnostics, compared, caplog):
    hook, runner = floor(ClusterHook([], labelers(0), diagnostics=diagnostics), Target(pids))
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


@pytest.mark.parametrize('workers', [None, 2])
def test_the_hook_reads_the_training_split_in_order_with_its_own_pipeline(floor, workers):
    hook, runner = floor(ClusterHook(['mine'], labelers(0), batch_size=3, num_workers=workers))
    hook.before_train(runner)
    assert [draw[0] for draw in hook.dataloader.sampler] == list(range(10))
    assert (hook.dataloader.batch_size, hook.dataloader.num_workers) == (3, workers or 0)
    assert hook.dataloader.dataset.pipeline == ['mine']
    assert runner.train_loop.dataloader.dataset.pipeline is None


def test_sampler_and_model_must_know_pseudo_labels(floor):
    hook, runner = floor(ClusterHook([], labelers(0)))
    del runner.model.reset_memories
    with pytest.raises(ConfigError, match='NumberModel has no memories; use AdaptiveReID'):
        hook.before_train(runner)
    del runner.train_loop.dataloader.sampler.set_labels
    with pytest.raises(ConfigError, match=r"sampler=dict.type='PseudoLabelSampler'"):
        hook.before_train(runner)


def test_an_error_of_the_labeler_ends_the_epoch(floor):
    error = LabelingError('no cluster')

    hook, runner = floor(ClusterHook([], labelers(0)))
    hook.labelers = [ListedLabeler([error])]
    hook.before_train(runner)
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


# ---- labelers in turn, and what they may know


def test_labelers_take_turns_from_their_beginning(floor):
    cycle = [dict(type='RecordingLabeler', name=name) for name in 'ab']
    stages = [*labelers(0), dict(begin_epoch=2, cycle=cycle), dict(begin_epoch=5, cycle=cycle[:1])]
    hook, runner = floor(ClusterHook([], stages, recalibrate_necks=False))
    assert stages[1] == dict(begin_epoch=2, cycle=[dict(type='RecordingLabeler', name=name) for name in 'ab'])
    hook.before_train(runner)
    turns = []
    for runner.epoch in range(7):
        before = [len(labeler.calls) for labeler in hook.labelers]
        hook.before_train_epoch(runner)
        after = [len(labeler.calls) for labeler in hook.labelers]
        turns += [place for place, (b, a) in enumerate(zip(before, after, strict=True)) if a > b]
    assert turns == [0, 0, 1, 2, 1, 3, 3]


@pytest.mark.parametrize(
    'stage',
    [
        dict(cycle=[]),
        dict(cycle=dict(type='RecordingLabeler')),
        dict(cycle=labelers(0)),
        dict(cycle=[dict(type='RecordingLabeler')], type='RecordingLabeler'),
    ],
)
def test_cycles_that_are_none_are_refused(stage):
    with pytest.raises(ConfigError, match='labelers that take turns'):
        ClusterHook([], [stage])


def test_the_first_labeler_cannot_read_centres():
    reading = dict(type='CuriousLabeler', needs_centers=True)
    with pytest.raises(ConfigError, match='CuriousLabeler reads the cluster centers of the previous epoch'):
        ClusterHook([], [dict(cycle=[reading, dict(type='RecordingLabeler')])])
    ClusterHook([], [dict(cycle=[dict(type='RecordingLabeler'), reading])])


def with_memories(model, hook):
    """Let the model's memories follow the labels of the hook."""
    model.memories = TargetMemories()
    model.reset_memories = model.memories.reset


def test_context_of_an_epoch(floor):
    groups = {Modality.RGB: np.array([4, 6]), Modality.IR: np.array([1, 1])}
    cycle = [dict(type='CuriousLabeler', groups=groups), dict(type='CuriousLabeler')]
    hook, runner = floor(ClusterHook([], [dict(cycle=cycle)], recalibrate_necks=False))
    with_memories(runner.model, hook)
    hook.before_train(runner)
    for runner.epoch in range(3):
        hook.before_train_epoch(runner)
        centers = runner.model.memories.cluster_memory(Modality.IR)
        centers.static += 1  # training moves them
    first, third = hook.labelers[0].contexts
    (second,) = hook.labelers[1].contexts
    assert [context.epoch for context in (first, second, third)] == [0, 1, 2]
    assert (first.centers, first.groups) == (None, None)
    assert second.cameras[Modality.RGB].tolist() == [0, 2, 4, 6, 8]
    assert second.cameras[Modality.IR].tolist() == [1, 3, 5, 7, 9]
    assert second.groups is groups
    assert third.groups is None
    # the centre of tracklets 3 and 5, [x, 1] normalised, after training
    static = torch.nn.functional.normalize(torch.tensor([[9.0, 1], [25, 1]]), dim=1).mean(dim=0)
    expected = torch.nn.functional.normalize(static, dim=0) + 1
    torch.testing.assert_close(second.centers[Modality.IR].static[1], expected)


def test_the_data_is_checked_before_training(floor):
    hook, runner = floor(ClusterHook([], [dict(type='CuriousLabeler')]), Target(cameras=1))
    with pytest.raises(ConfigError, match='one camera'):
        hook.before_train(runner)


@pytest.mark.parametrize('reads', [True, False])
def test_centres_are_saved_for_those_who_read_them(floor, reads):
    cycle = [dict(type='CuriousLabeler'), dict(type='CuriousLabeler', needs_centers=reads)]
    hook, runner = floor(ClusterHook([], [dict(cycle=cycle)], recalibrate_necks=False))
    with_memories(runner.model, hook)
    hook.before_train(runner)
    checkpoint = {}
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint == {}  # nothing is held yet
    hook.before_train_epoch(runner)
    hook.before_save_checkpoint(runner, checkpoint)
    assert ('cluster_centers' in checkpoint) is reads


@pytest.mark.parametrize('resumed', [True, False])
def test_centres_come_back_on_a_resume_alone(floor, resumed):
    cycle = [dict(type='CuriousLabeler'), dict(type='CuriousLabeler', needs_centers=True)]
    hook, runner = floor(ClusterHook([], [dict(cycle=cycle)], recalibrate_necks=False))
    with_memories(runner.model, hook)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    checkpoint = {}
    hook.before_save_checkpoint(runner, checkpoint)
    saved = runner.model.memories.cluster_memory(Modality.RGB).static

    again, runner = floor(ClusterHook([], [dict(cycle=cycle)], recalibrate_necks=False))
    with_memories(runner.model, again)
    runner.iter = runner.epoch = 1 if resumed else 0
    again.after_load_checkpoint(runner, checkpoint)
    again.before_train(runner)
    again.before_train_epoch(runner)
    (context,) = again.labelers[runner.epoch].contexts
    if resumed:
        assert torch.equal(context.centers[Modality.RGB].static, saved)
    else:
        assert context.centers is None


# ---- epochs whose labels are of no use

ONE_CLUSTER = PseudoLabels(rgb=np.zeros(5, np.int64), ir=np.array([0, 1, 1, 0, 0]), shared=False)


@LABELERS.register_module()
class ListedLabeler(Labeler):
    """Gives, epoch after epoch, the labels of a list, or raises what is listed."""

    def __init__(self, results=()):
        self.results = list(results)

    def __call__(self, visible, infrared, context=None):
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def play(floor, policy, *results, epochs=None):
    """A hook with a policy, its runner after as many epochs, and the kinds of calls in each."""
    hook = ClusterHook([], [dict(type='ListedLabeler')], recalibrate_necks=False, on_failure=policy)
    hook.labelers = [ListedLabeler(results)]
    hook, runner = floor(hook)
    hook.before_train(runner)
    kinds = []
    for runner.epoch in range(epochs or len(results)):
        before = len(runner.calls)
        hook.before_train_epoch(runner)
        kinds.append([call[0] for call in runner.calls[before + 1 :]])
    return hook, runner, kinds


USELESS = [ONE_CLUSTER, LabelingError('no cluster at all')]


@pytest.mark.parametrize('useless', USELESS)
def test_stop_ends_the_run_and_leaves_memories_and_batches(floor, useless, caplog):
    with (
        caplog.at_level(logging.INFO, logger='fake'),
        pytest.raises(LabelingError, match=r'^epoch 2: the pseudo labels cannot be used: (1 clusters of 5 rgb|no cl)'),
    ):
        play(floor, 'stop', LABELS, useless)


@pytest.mark.parametrize('useless', USELESS)
def test_keep_takes_the_labels_of_before_with_new_features(floor, useless, caplog):
    with caplog.at_level(logging.WARNING, logger='fake'):
        hook, runner, kinds = play(floor, 'keep', LABELS, useless, useless)
    assert kinds == [['labels', 'reset']] * 3
    resets = [call for call in runner.calls if call[0] == 'reset']
    assert all(reset[3] is LABELS for reset in resets)
    assert resets[0][1] is not resets[1][1]
    assert hook.last.labels is LABELS
    assert hook.last.epoch == 2
    assert len(caplog.messages) == 2
    assert caplog.messages[0].endswith('The labels of the previous epoch are kept (on_failure)')


def test_keep_needs_earlier_labels(floor):
    with pytest.raises(LabelingError, match=r'1 clusters of 5 rgb .*\(on_failure=keep, but there are no earlier'):
        play(floor, 'keep', ONE_CLUSTER)


@pytest.mark.parametrize('resumed', [True, False])
def test_labels_are_kept_over_a_resume_alone(floor, resumed):
    hook, runner, _ = play(floor, 'keep', LABELS)
    hook.before_save_checkpoint(runner, checkpoint := {})
    again = ClusterHook([], [dict(type='ListedLabeler')], recalibrate_necks=False, on_failure='keep')
    again.labelers = [ListedLabeler([ONE_CLUSTER])]
    again, runner = floor(again)
    runner.iter = runner.epoch = int(resumed)
    again.after_load_checkpoint(runner, checkpoint)
    again.before_train(runner)
    if not resumed:  # another run's weights to start from, not its labels
        with pytest.raises(LabelingError, match='no earlier'):
            again.before_train_epoch(runner)
        return
    again.before_train_epoch(runner)
    assert again.last.labels.rgb.tolist() == LABELS.rgb.tolist()


@pytest.mark.parametrize('policy', ['stop', 'skip'])
def test_labels_are_saved_for_those_who_keep_them(floor, policy):
    hook, runner, _ = play(floor, policy, LABELS)
    hook.before_save_checkpoint(runner, checkpoint := {})
    assert checkpoint == {}


@pytest.mark.parametrize('useless', USELESS)
def test_skip_lets_the_epoch_pass(floor, useless, caplog):
    with caplog.at_level(logging.WARNING, logger='fake'):
        hook, _, kinds = play(floor, 'skip', useless, LABELS, useless)
    assert kinds == [['rest'], ['labels', 'reset'], ['rest']]
    assert hook.last is None
    assert caplog.messages[0].startswith('epoch 1: the pseudo labels cannot be used')
    assert caplog.messages[0].endswith('The epoch is skipped (on_failure)')


def test_labels_that_the_batches_cannot_use(floor):
    hook, runner, _ = play(floor, 'skip', LABELS, epochs=1)

    def refuse(rgb, ir):
        raise LabelingError('2 clusters, but a batch asks for 50')

    runner.train_loop.dataloader.sampler.set_labels = refuse
    hook.labelers = [ListedLabeler([LABELS])]
    hook.before_train_epoch(runner)
    assert hook.last is None
    assert runner.calls[-1] == ('rest',)


def test_collapsed_features_are_a_failure(floor):
    hook, runner, _ = play(floor, 'stop', LABELS)
    runner.model.scale.data.zero_()  # all features become [0, 1]
    hook.labelers = [ListedLabeler([LABELS])]
    with pytest.raises(LabelingError, match=r'rgb features have collapsed.* 1\.0000 \(static\) and 1\.0000'):
        hook.before_train_epoch(runner)
    hook.on_failure = 'keep'
    hook.before_train_epoch(runner)
    assert hook.last.labels is LABELS


@pytest.mark.parametrize('policy', ['stop', 'keep', 'skip'])
def test_features_that_are_not_finite_always_end_the_run(floor, policy):
    hook, runner, _ = play(floor, policy, LABELS)
    runner.model.scale.data.fill_(float('nan'))
    with pytest.raises(TrainingError, match='epoch 1: 20 of 20 features are NaN or infinite: the weights are unusable'):
        hook.before_train_epoch(runner)


def test_policies_and_limits_are_checked():
    with pytest.raises(ConfigError, match="must be one of stop, keep, skip, got 'go'"):
        ClusterHook([], labelers(0), on_failure='go')
    with pytest.raises(ConfigError, match="LabelLimits has no argument 'max_cosin'; did you mean 'max_cosine'"):
        ClusterHook([], labelers(0), limits=dict(max_cosin=1))
    assert ClusterHook([], labelers(0), limits=dict(min_clusters=5)).limits.min_clusters == 5


SKIPPING = """
default_hooks['cluster']['labelers'][0]['min_samples'] = 30
default_hooks['cluster']['on_failure'] = 'skip'
default_hooks['selection'] = dict(type='SelectionHook')
"""


@pytest.mark.slow
@pytest.mark.usefixtures('one_thread')
def test_an_epoch_of_a_real_run_is_skipped(tiny_runs, tiny_experiment, tmp_path):
    """The first labeler finds no cluster; the second one, from epoch 2 on, does."""
    _, path = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tiny_runs.hitsz, SKIPPING)
    config = load_config(path)
    config.work_dir = str(tmp_path / 'run')
    fit_to_machine(config)
    last = load_checkpoint(train_stage(config, source_checkpoint=tiny_experiment.source_checkpoint))
    first, skipped = (load_checkpoint(tmp_path / 'run' / f'epoch_{epoch}.pth') for epoch in (0, 1))
    name = 'backbone.tower.conv1.weight'
    assert torch.equal(skipped['state_dict'][name], first['state_dict'][name])
    assert not torch.equal(last['state_dict'][name], first['state_dict'][name])
    assert [part['meta']['iter'] for part in (first, skipped, last)] == [0, 0, 3]

    # a run that is resumed after the skipped epoch has weights of its own, although it has counted no iteration
    config.work_dir = str(tmp_path / 'broken')
    speed, config.default_hooks.speed = config.default_hooks.speed, dict(type='StopHook', epoch=1)
    with pytest.raises(KeyboardInterrupt):
        train_stage(config, source_checkpoint=tiny_experiment.source_checkpoint)
    config.default_hooks.speed = speed
    resumed = load_checkpoint(train_stage(config, resume=True, source_checkpoint=tiny_experiment.source_checkpoint))
    assert all(torch.equal(value, resumed['state_dict'][key]) for key, value in last['state_dict'].items())


@HOOKS.register_module()
class StopHook(Hook):
    """Ctrl-C at the beginning of an epoch."""

    priority = 'VERY_HIGH'

    def __init__(self, epoch):
        self.epoch = epoch

    def before_train_epoch(self, runner):
        if runner.epoch == self.epoch:
            raise KeyboardInterrupt


def trained(path, folder, name, resume=False, **options):
    """Train a config in a folder of this name; return the last checkpoint."""
    config = load_config(path, options)
    config.work_dir = str(folder / name)
    fit_to_machine(config)
    return train_stage(config, resume=resume)


PHASES = """
model['neighbor_losses'] = []
train_cfg.update(max_epochs=4, val_interval=4)
clustering = dict(k1=4, k2=1, eps=0.6, min_samples=2)
within = dict(type='ProxyAffinityLabeler')
default_hooks['cluster']['labelers'] = [
    dict(begin_epoch=0, cycle=[dict(type='CameraLabeler'), within, dict(type='JointLabeler')]),
    dict(begin_epoch=3, type='UnificationLabeler', clustering=dict(type='ClusterLabeler'),
         topk=1, smoothing_topk=None),
]
"""


@pytest.mark.usefixtures('one_thread')
def test_phases_of_a_real_run_resume_where_they_stopped(tiny_runs, tmp_path):
    _, path = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tiny_runs.hitsz, PHASES)
    run = partial(trained, path, tmp_path)

    whole = load_weights(run('whole'))
    for epoch in (1, 2):  # after camera clusters, after clusters across cameras
        with pytest.raises(KeyboardInterrupt):
            run(f'broken_{epoch}', **{'default_hooks.speed': dict(type='StopHook', epoch=epoch)})
        resumed = load_weights(run(f'broken_{epoch}', resume=True))
        assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


TONES = """
model['neighbor_losses'] = []
model['data_preprocessor'] = dict(data_preprocessor, tones=dict(colors=6, grid=(4, 2)))
model['data_preprocessor']['augmentation']['visible_views'] = ('plain', 'infrared_tones')
train_cfg.update(max_epochs=3, val_interval=3)
default_hooks['cluster']['labelers'] = [
    dict(type='DSLULabeler', clustering=dict(type='ClusterLabeler'), inter=dict(topk=4), intra=None)
]
optim_wrapper['optimizer']['lr'] = 1e-5  # faster, all tracklets would soon be in one cluster
"""


@pytest.mark.usefixtures('one_thread')
def test_tones_are_learned_before_each_epoch_also_after_a_resume(tiny_runs, tmp_path):
    _, path = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tiny_runs.hitsz, TONES)
    run = partial(trained, path, tmp_path)

    last = run('whole')
    tables = [load_weights(last.with_name(f'epoch_{epoch}.pth'))['data_preprocessor.tone_table'] for epoch in (0, 2, 3)]
    assert not torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[1], tables[2])
    whole = load_weights(last)
    assert whole['data_preprocessor.knows_tones']
    with pytest.raises(KeyboardInterrupt):
        run('broken', **{'default_hooks.speed': dict(type='StopHook', epoch=2)})
    resumed = load_weights(run('broken', resume=True))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_tones_need_a_cluster_of_both_modalities(tiny_runs, tmp_path):
    apart = """
default_hooks['cluster']['labelers'][0]['pooled'] = dict(min_share=1.0, own_labels=True)
default_hooks['cluster']['labelers'][0]['inter'] = dict(topk=1, min_votes=2)
"""
    _, path = write_tiny_configs(tmp_path / 'configs', tiny_runs.bupt, tiny_runs.hitsz, TONES + apart)
    config = load_config(path)
    config.work_dir = str(tmp_path / 'run')
    fit_to_machine(config)
    with pytest.raises(LabelingError, match='nothing shows which tones the infrared sensor gives to colors'):
        train_stage(config)
