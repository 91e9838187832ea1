"""The epoch that is best on the test set is recorded, and nothing else."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dscreid.engine.hooks import SelectedOnTestHook
from dscreid.engine.selected_on_test import RECORD_FILE, SelectedEpoch, read_selected
from dscreid.errors import CheckpointError, ConfigError

VALUES = [0.3, 0.5, 0.5, 0.4, 0.6]


def runner_of(folder, epoch=0):
    def save(out, name, **keywords):
        Path(out, name).write_text(str(keywords['meta']['epoch']))

    return SimpleNamespace(work_dir=str(folder), epoch=epoch, iter=2 * epoch, save_checkpoint=save)


def trained(hook, folder, epochs, start=0):
    hook.before_train(runner_of(folder, start))
    for epoch in epochs:
        metrics = {'ir2rgb/mAP': VALUES[epoch - 1], 'ir2rgb/Rank-1': 0.1 * epoch}
        hook.after_val_epoch(runner_of(folder, epoch), metrics)


def test_the_first_of_the_best_epochs_is_recorded(tmp_path):
    trained(SelectedOnTestHook('ir2rgb/mAP'), tmp_path, [1, 2, 3, 4])
    selected = read_selected(tmp_path)
    assert (selected.epoch, selected.value) == (2, 0.5)
    assert selected.metrics['ir2rgb/Rank-1'] == pytest.approx(0.2)
    assert (tmp_path / 'test_selected.pth').read_text() == '2'


def test_a_resumed_run_continues_the_record_and_a_new_one_begins_anew(tmp_path):
    trained(SelectedOnTestHook('ir2rgb/mAP'), tmp_path, [1, 2])
    trained(SelectedOnTestHook('ir2rgb/mAP'), tmp_path, [3, 4], start=2)
    assert read_selected(tmp_path).epoch == 2
    trained(SelectedOnTestHook('ir2rgb/mAP'), tmp_path, [5], start=4)
    assert read_selected(tmp_path).epoch == 5
    trained(SelectedOnTestHook('ir2rgb/mAP'), tmp_path, [1])
    assert read_selected(tmp_path).epoch == 1
    SelectedOnTestHook().before_train(runner_of(tmp_path))
    assert read_selected(tmp_path) is None
    assert not (tmp_path / 'test_selected.pth').exists()


def test_a_metric_that_the_test_does_not_give(tmp_path):
    with pytest.raises(ConfigError, match=r"no metric 'x/mAP'; the test gives ir2rgb/Rank-1, ir2rgb/mAP"):
        trained(SelectedOnTestHook('x/mAP'), tmp_path, [1])


@pytest.mark.parametrize('text', ['{}', '{"metric": "a", "epoch": 1, "metrics": {}}', '[]', 'x'])
def test_a_damaged_record_is_one_sentence(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r'test_selected\.json'):
        read_selected(tmp_path)


def test_a_record_is_read_as_it_was_written(tmp_path):
    selected = SelectedEpoch('a/mAP', 3, {'a/mAP': 0.25})
    selected.write(tmp_path)
    assert read_selected(tmp_path) == selected
