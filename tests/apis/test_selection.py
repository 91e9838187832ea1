"""Which checkpoint of a run is evaluated, and what metrics.json says about it (``dscreid.apis.test``)."""

import json

import pytest
from mmengine import Config
from tiny_runs import CONFIGS

from dscreid.apis.checkpoint_choice import choose_checkpoint
from dscreid.apis.config import load_config
from dscreid.apis.test import evaluate
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.engine.selection_record import RECORD_FILE, KeptCheckpoint, SelectionRecord, read_record
from dscreid.errors import CheckpointError
from dscreid.pseudo_labels import Criterion
from dscreid.registry import CRITERIA

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
KEPT = KeptCheckpoint('silhouette', 'greater', 2, 0.5, 'best_silhouette_epoch_2.pth')


def config(**selection):
    return Config(dict(default_hooks=dict(selection=dict(type='SelectionHook', **selection))))


@pytest.mark.parametrize('settings', [config(), config(criterion=None), Config(), Config(dict(default_hooks={}))])
def test_the_last_checkpoint_is_the_default(tmp_path, settings):
    SelectionRecord({1: {}}, KEPT).write(tmp_path)
    (tmp_path / KEPT.checkpoint).touch()
    assert choose_checkpoint(settings, tmp_path / 'epoch_3.pth') == (tmp_path / 'epoch_3.pth', {})


def test_the_chosen_checkpoint_and_why(tmp_path):
    SelectionRecord({epoch: {} for epoch in range(4)}, KEPT).write(tmp_path)
    (tmp_path / KEPT.checkpoint).touch()
    path, note = choose_checkpoint(config(criterion='silhouette'), tmp_path / 'epoch_3.pth')
    assert path == tmp_path / 'best_silhouette_epoch_2.pth'
    assert note['checkpoint'] == dict(
        file='best_silhouette_epoch_2.pth',
        epoch=2,
        criterion='silhouette',
        value=0.5,
        reason='highest silhouette of 4 epochs, without labels',
    )


def test_a_criterion_that_was_never_defined_leaves_the_last(tmp_path):
    SelectionRecord({1: {}}).write(tmp_path)
    path, note = choose_checkpoint(config(criterion='stability'), tmp_path / 'epoch_3.pth')
    assert path.name == note['checkpoint']['file'] == 'epoch_3.pth'
    assert note['checkpoint']['reason'] == 'the last one, because stability was undefined in all epochs'


def test_a_record_that_was_removed_is_named(tmp_path):
    last = tmp_path / 'epoch_3.pth'
    with pytest.raises(CheckpointError, match=r'criteria\.json, which says what silhouette chose, is missing'):
        choose_checkpoint(config(criterion='silhouette'), last)


@CRITERIA.register_module()
class LowReturn(Criterion):
    """Cycle return, the other way round."""

    rule = 'less'

    def __call__(self, judged):
        return CRITERIA.build(dict(type='cycle_return'))(judged)


@pytest.mark.slow
def test_one_option_chooses_in_a_whole_run(tiny_runs, tiny_experiment, tmp_path):
    # stability of a single later epoch would be a coin's throw: the lowest cycle return is as good for a test
    options = {
        'default_hooks.selection': dict(type='SelectionHook', criterion='LowReturn'),
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    run = RunOptions(
        work_dir=tmp_path / 'run',
        source_checkpoint=tiny_experiment.source_checkpoint,
        config_options=options,
    )
    metrics = run_experiment(tiny_runs.adapt, run)
    record = read_record(tmp_path / 'run')
    values = {epoch: part['LowReturn'] for epoch, part in record.epochs.items() if epoch}
    assert record.kept.value == min(values.values())
    written = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    note = written.pop('checkpoint')
    written.pop('rankings')
    assert written == metrics
    assert (note['file'], note['epoch']) == (record.kept.checkpoint, record.kept.epoch)
    assert note['reason'].startswith('lowest LowReturn of 3 epochs, without labels')
    # the figures are the chosen checkpoint's
    again = evaluate(load_config(tiny_runs.adapt), tmp_path / 'run' / f'epoch_{note["epoch"]}.pth', tmp_path / 'test')
    assert again == pytest.approx(metrics)
    # a finished run is taken as it is, and its choice with it
    resumed = RunOptions(**{**run.__dict__, 'resume': True})
    assert run_experiment(tiny_runs.adapt, resumed) == pytest.approx(metrics)
    (tmp_path / 'run' / RECORD_FILE).unlink()
    with pytest.raises(CheckpointError, match='missing'):
        run_experiment(tiny_runs.adapt, resumed)


def test_without_a_criterion_metrics_name_no_checkpoint(tiny_experiment):
    written = json.loads((tiny_experiment.work_dir / 'metrics.json').read_text())
    assert {name for name, value in written.items() if not isinstance(value, float)} == {'rankings'}


@pytest.mark.parametrize(
    'name', ['dsc/dsc_bupt2hitsz', 'dsc/dsc_hitsz2bupt', 'baselines/bclu_bupt2hitsz', 'dsc/dsc_demo']
)
def test_adaptations_log_criteria_and_choose_nothing(name):
    assert load_config(CONFIGS / f'{name}.py').default_hooks.selection == dict(type='SelectionHook')
    chosen = load_config(CONFIGS / f'{name}.py', {'default_hooks.selection.criterion': 'stability'})
    assert chosen.default_hooks.selection == dict(type='SelectionHook', criterion='stability')


@pytest.mark.parametrize('name', ['source/stp_bupt', 'baselines/cd_bupt2hitsz'])
def test_stages_without_pseudo_labels_have_no_criteria(name):
    assert load_config(CONFIGS / f'{name}.py').default_hooks.get('selection') is None
