"""SelectionHook in three floors: its arguments, a fake runner with scripted criteria, and real runs."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.hooks import ClusterHook, SelectionHook, selection_hook
from dscreid.engine.hooks.cluster_hook import ClusteringRound
from dscreid.engine.selection_record import RECORD_FILE, read_record
from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import ClusterLabeler, Criterion, DSLULabeler, Labeler, PseudoLabels
from dscreid.registry import CRITERIA, HOOKS, LABELERS
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.checkpoint import load_checkpoint, load_weights


def test_the_criterion_must_be_known():
    known = r'silhouette, static_dynamic_agreement, cycle_consistency, cycle_return, stability'
    for unknown in ('mAP', dict(type='mAP')):
        with pytest.raises(ConfigError, match=rf"no criterion 'mAP'; known are {known}"):
            SelectionHook(criterion=unknown)
    assert SelectionHook(criterion='stability_ir').criterion == 'stability_ir'


def test_begin_out_of_range():
    with pytest.raises(ConfigError, match='begin must be at least 1, got 0'):
        SelectionHook(begin=0)


@CRITERIA.register_module()
class EvenSizes(Criterion):
    """How much the largest cluster exceeds the mean size: less is better."""

    rule = 'less'

    def __init__(self, power=1):
        self.power = power

    def __call__(self, judged):
        sizes = {m: judged.labels.cluster_sizes(m) for m in Modality}
        return {m: float((size[0] / size.mean()) ** self.power) for m, size in sizes.items()}


@CRITERIA.register_module()
class Sideways(Criterion):
    """Has no direction."""

    rule = 'best'


@pytest.mark.parametrize('criterion', ['EvenSizes', dict(type='EvenSizes', power=2)])
def test_a_criterion_of_a_user_is_a_class_and_a_config_line(floor, tmp_path, criterion):
    hook = HOOKS.build(dict(type='SelectionHook', criterion=criterion))
    assert hook.rule == 'less'
    floor.run(hook, 0, 4)
    record = read_record(tmp_path)
    assert record.epochs[2]['EvenSizes'] == 1
    assert {'silhouette', 'EvenSizes', 'EvenSizes_rgb', 'EvenSizes_ir'} <= set(record.epochs[2])
    assert (record.kept.criterion, record.kept.rule, record.kept.epoch) == ('EvenSizes', 'less', 4)
    assert kept_files(tmp_path) == ['best_EvenSizes_epoch_4.pth']


def test_a_criterion_needs_the_base_class_and_a_direction():
    with pytest.raises(ConfigError, match='Sideways is not a criterion; derive'):
        SelectionHook('Sideways')


@LABELERS.register_module()
class AskingLabeler(Labeler):
    """Wants more than features."""

    needs_context = True


def one_round(epoch):
    features = TrackletFeatures(*torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(epoch)))
    numbers = np.array([0, 0, 0, 1, 1, 1]) if epoch < 3 else np.array([0, 1, 0, 1, 0, 1])
    return ClusteringRound(epoch, features, features, PseudoLabels(rgb=numbers, ir=numbers, shared=False))


class FixedRounds(ClusterHook):
    """Gives rounds without data or model."""

    def __init__(self, labelers=()):
        self.labelers, self.last, self.labels, self.final_error = labelers, None, None, None

    def make_round(self, runner):
        if self.final_error is not None:
            raise self.final_error
        return one_round(runner.epoch)


@pytest.fixture
def floor(fake_runner, tmp_path):
    """Function that runs epochs with a hook; ``save_checkpoint`` writes its arguments."""
    fake_runner.hooks = [FixedRounds()]
    fake_runner.work_dir = str(tmp_path)

    def save_checkpoint(out_dir, filename, **kwargs):
        Path(out_dir, filename).write_text(json.dumps(kwargs))

    def run(hook, first, last, finish=True):
        """Epochs from ``first`` (0 = not resumed) up to ``last``, which is only reached, not trained."""
        fake_runner.epoch, fake_runner.iter = first, 10 * first
        hook.before_train(fake_runner)
        for fake_runner.epoch in range(first, last):
            fake_runner.iter = 10 * fake_runner.epoch
            fake_runner.hooks[0].last = one_round(fake_runner.epoch)
            hook.before_train_epoch(fake_runner)
        fake_runner.epoch, fake_runner.iter = last, 10 * last
        if finish:
            hook.after_train(fake_runner)
        return fake_runner

    fake_runner.save_checkpoint = save_checkpoint
    fake_runner.run = run
    return fake_runner


@pytest.fixture
def script(monkeypatch):
    """Function that fixes two criteria of epoch 0, 1, …; None leaves it undefined."""

    def fix(*values):
        remaining = iter(values)

        def criteria(*arguments):
            value = next(remaining)
            return {} if value is None else dict(silhouette=value, EvenSizes=value)

        monkeypatch.setattr(selection_hook, 'label_free_criteria', criteria)

    return fix


def kept_files(folder):
    return sorted(path.name for path in folder.glob('best_*'))


def test_without_cluster_hook(fake_runner):
    fake_runner.hooks = []
    with pytest.raises(ConfigError, match='default_hooks has no ClusterHook'):
        SelectionHook().before_train(fake_runner)


def test_values_are_logged_at_the_checkpoint_that_they_describe(floor, tmp_path, caplog):
    hook = SelectionHook()
    with caplog.at_level(logging.INFO, logger='fake'):
        floor.run(hook, 0, 4)
    assert [step for step, _ in floor.scalars] == [0, 1, 2, 3]
    assert all(name.startswith('criteria/') for _, values in floor.scalars for name in values)
    names = [set(values) for _, values in floor.scalars]
    assert {'criteria/silhouette', 'criteria/silhouette_rgb', 'criteria/cycle_return'} <= names[0]
    # the first round has none before it; labels change between 2 and 3
    assert 'criteria/stability' not in names[0]
    assert [values['criteria/stability'] for _, values in floor.scalars[1:]] == [1, 1, pytest.approx(-1 / 9)]
    assert 'label-free criteria after 3 epochs: silhouette ' in caplog.text
    record = read_record(tmp_path)
    assert list(record.epochs) == [0, 1, 2, 3]
    assert record.epochs[2] == {name.removeprefix('criteria/'): value for name, value in floor.scalars[2][1].items()}


def test_without_a_criterion_nothing_is_kept(floor, tmp_path):
    floor.hooks[0].final_error = AssertionError('no further round is wanted')
    floor.run(SelectionHook(), 0, 4)
    assert kept_files(tmp_path) == []
    assert read_record(tmp_path).kept is None


CASES = {
    'the highest': (dict(), (0.9, 0.1, 0.5, 0.3, 0.2), 2),
    'never the source model': (dict(), (0.9, 0.1, 0.1, 0.0, 0.0), 2),
    'the later of equal ones': (dict(), (0, 0.5, 0.5, 0.5, 0.4), 3),
    'the last weights': (dict(), (0, 0.1, 0.2, 0.3, 0.4), 4),
    'the lowest': (dict(criterion='EvenSizes'), (0, 0.3, 0.1, 0.2, 0.5), 2),
    'undefined ones are passed over': (dict(), (0.1, None, 0.2, None, 0.1), 2),
    'not before begin': (dict(begin=3), (0, 0.9, 0.9, 0.2, 0.1), 3),
}


@pytest.mark.parametrize(('options', 'values', 'chosen'), CASES.values(), ids=CASES.keys())
def test_the_choice(floor, tmp_path, script, options, values, chosen):
    script(*values)
    floor.run(SelectionHook(**{'criterion': 'silhouette', **options}), 0, 4)
    kept = read_record(tmp_path).kept
    assert (kept.epoch, kept.value) == (chosen, values[chosen])
    assert kept_files(tmp_path) == [f'best_{kept.criterion}_epoch_{chosen}.pth'] == [kept.checkpoint]
    saved = json.loads((tmp_path / kept.checkpoint).read_text())
    assert saved['meta'] == dict(epoch=chosen, iter=10 * chosen)
    assert saved['save_optimizer'] is False


def test_nothing_to_choose(floor, tmp_path, script, caplog):
    script(*[None] * 5)
    with caplog.at_level(logging.INFO, logger='fake'):
        floor.run(SelectionHook('silhouette'), 0, 4)
    assert kept_files(tmp_path) == []
    assert 'undefined in all epochs; the last one counts' in caplog.text


def test_last_weights_without_clusters_do_not_end_the_run(floor, tmp_path, script, caplog):
    script(0, 0.1, 0.2, 0.1)
    floor.hooks[0].final_error = LabelingError('no cluster in modality rgb')
    floor.run(SelectionHook('silhouette'), 0, 4)
    assert read_record(tmp_path).kept.epoch == 2
    assert 'the final weights cannot be judged: no cluster in modality rgb' in caplog.text


@pytest.mark.parametrize('resumed_from', [1, 2, 3, 4])
def test_a_resumed_run_remembers_the_best(floor, tmp_path, script, resumed_from):
    values = (0.9, 0.1, 0.5, 0.3, 0.2)
    script(*values)
    floor.run(SelectionHook('silhouette'), 0, 4, finish=False)
    script(*values[resumed_from:])
    floor.run(SelectionHook('silhouette'), resumed_from, 4)
    record = read_record(tmp_path)
    assert record.kept.epoch == 2
    assert {epoch: part['silhouette'] for epoch, part in record.epochs.items()} == dict(enumerate(values))
    assert kept_files(tmp_path) == ['best_silhouette_epoch_2.pth']


def test_a_repeated_epoch_replaces_its_former_self(floor, tmp_path, script):
    script(0, 0.1, 0.5)
    floor.run(SelectionHook('silhouette'), 0, 3, finish=False)
    script(0.2, 0.15, 0.1)  # the weights of epoch 2 came out differently this time
    floor.run(SelectionHook('silhouette'), 2, 4)
    kept = read_record(tmp_path).kept
    assert (kept.epoch, kept.value) == (2, 0.2)
    assert kept_files(tmp_path) == ['best_silhouette_epoch_2.pth']


def test_a_kept_checkpoint_that_is_gone_is_not_trusted(floor, tmp_path, script, caplog):
    script(0, 0.5, 0.1)
    floor.run(SelectionHook('silhouette'), 0, 3, finish=False)
    (tmp_path / 'best_silhouette_epoch_1.pth').unlink()
    script(0.1, 0.2, 0.1)
    floor.run(SelectionHook('silhouette'), 2, 4)
    assert read_record(tmp_path).kept.epoch == 3
    assert 'only weights from epoch 2 on' in caplog.text


@pytest.mark.parametrize('damaged', [False, True])
def test_a_new_run_forgets_the_earlier_one(floor, tmp_path, script, damaged):
    script(0, 0.5, 0.1, 0)
    floor.run(SelectionHook('silhouette'), 0, 3)
    assert kept_files(tmp_path) == ['best_silhouette_epoch_1.pth']
    if damaged:
        (tmp_path / RECORD_FILE).write_text('{')
    script(0, 0.1)
    floor.run(SelectionHook(), 0, 2)
    record = read_record(tmp_path)
    assert (list(record.epochs), record.kept) == ([0, 1], None)


def test_only_the_first_rank_judges(floor, tmp_path, monkeypatch):
    monkeypatch.setattr(selection_hook, 'is_main_process', lambda: False)
    floor.run(SelectionHook('silhouette'), 0, 3)
    assert list(tmp_path.iterdir()) == []
    assert floor.scalars == []


def test_the_clustering_of_the_labelers_clusters_single_features(floor):
    first = DSLULabeler(clustering=dict(type='ClusterLabeler', eps=0.4))
    floor.hooks = [FixedRounds([AskingLabeler(), first, ClusterLabeler()])]
    hook = SelectionHook()
    hook.before_train(floor)
    assert hook.clustering is first.clustering
    floor.hooks = [FixedRounds([AskingLabeler()])]
    hook = SelectionHook()
    hook.before_train(floor)
    assert hook.clustering is None


EPOCHS = {'train_cfg.max_epochs': 3, 'default_hooks.checkpoint.max_keep_ckpts': -1}
CHOICE = {'default_hooks.selection': dict(type='SelectionHook', criterion='silhouette')}


def train(path, work_dir, source, resume=False, **options):
    config = load_config(path, options)
    config.work_dir = str(work_dir)
    fit_to_machine(config)
    return train_stage(config, resume=resume, source_checkpoint=source)


@pytest.fixture(scope='module')
def chosen_run(tiny_runs, tiny_experiment, tmp_path_factory, one_thread_throughout):
    """Folder of a run of three epochs that chooses by the silhouette."""
    folder = tmp_path_factory.mktemp('chosen')
    train(tiny_runs.adapt, folder, tiny_experiment.source_checkpoint, **EPOCHS, **CHOICE)
    return folder


def assert_same_weights(left, right):
    left, right = load_weights(left), load_weights(right)
    assert left.keys() == right.keys()
    assert all(torch.equal(value, right[name]) for name, value in left.items())


@pytest.mark.slow
def test_a_real_run_judges_every_epoch_and_keeps_the_best(chosen_run):
    record = read_record(chosen_run)
    assert list(record.epochs) == [0, 1, 2, 3]
    values = {epoch: part['silhouette'] for epoch, part in record.epochs.items() if epoch}
    assert record.kept.epoch == max(values, key=values.get)
    kept = load_checkpoint(chosen_run / record.kept.checkpoint)
    assert 'optimizer' not in kept
    assert kept['meta']['epoch'] == record.kept.epoch
    assert_same_weights(chosen_run / record.kept.checkpoint, chosen_run / f'epoch_{record.kept.epoch}.pth')
    lines = next(chosen_run.glob('*/vis_data/scalars.json')).read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if 'criteria/silhouette' in row]
    assert [row['step'] for row in rows] == [0, 1, 2, 3]


def test_judging_leaves_the_training_alone(tiny_runs, tiny_experiment, chosen_run, tmp_path, one_thread):
    train(tiny_runs.adapt, tmp_path, tiny_experiment.source_checkpoint, **EPOCHS)
    assert_same_weights(tmp_path / 'epoch_3.pth', chosen_run / 'epoch_3.pth')
    assert not (tmp_path / RECORD_FILE).exists()


@pytest.mark.slow
@pytest.mark.parametrize('epochs', [1, 2])
def test_a_real_run_that_is_resumed_chooses_the_same(
    tiny_runs, tiny_experiment, chosen_run, tmp_path, one_thread, epochs
):
    options = EPOCHS | CHOICE
    # a run that ends early stands for one that was interrupted: its schedule is that of the whole one
    early = options | {'train_cfg.max_epochs': epochs}
    train(tiny_runs.adapt, tmp_path, tiny_experiment.source_checkpoint, **early)
    (tmp_path / 'finished.json').unlink()
    train(tiny_runs.adapt, tmp_path, None, resume=True, **options)
    assert read_record(tmp_path) == read_record(chosen_run)
    kept = read_record(tmp_path).kept.checkpoint
    assert kept_files(tmp_path) == [kept]
    assert_same_weights(tmp_path / kept, chosen_run / kept)
