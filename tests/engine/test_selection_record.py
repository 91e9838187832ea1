"""The record of criteria in a run's folder, and the rule by which a checkpoint is chosen."""

import math
from dataclasses import replace

import pytest

from dscreid.engine.selection_record import RECORD_FILE, KeptCheckpoint, SelectionRecord, is_chosen, read_record
from dscreid.errors import CheckpointError


def kept(epoch=2, value=0.5, rule='greater'):
    return KeptCheckpoint('silhouette', rule, epoch, value, f'best_silhouette_epoch_{epoch}.pth')


@pytest.mark.parametrize('record', [SelectionRecord(), SelectionRecord({0: {}, 3: {'a': 0.25}}, kept())])
def test_what_is_written_is_read(tmp_path, record):
    record.write(tmp_path)
    assert read_record(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_FILE]


def test_no_record(tmp_path):
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    'text',
    [
        '', '[]', '{}', '{"epochs": {"x": {}}, "kept": null}', '{"epochs": {}, "kept": {"a": 1}}',
        '{"epochs": {}, "kept": []}',
    ],
)  # fmt: skip
def test_a_damaged_record(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r'criteria\.json: is not a record of criteria .*; run again'):
        read_record(tmp_path)


def test_epochs_are_added_in_order_and_replaced():
    first = SelectionRecord({2: {'a': 1.0}}, kept())
    record = first.with_epoch(1, {'b': 2.0}).with_epoch(2, {'a': 3.0})
    assert list(record.epochs.items()) == [(1, {'b': 2.0}), (2, {'a': 3.0})]
    assert record.kept == kept()
    assert first.epochs == {2: {'a': 1.0}}


@pytest.mark.parametrize(
    ('value', 'rule', 'expected'),
    [
        (0.6, 'greater', True), (0.5, 'greater', True), (0.4, 'greater', False),
        (0.6, 'less', False), (0.5, 'less', True), (0.4, 'less', True), (math.nan, 'greater', False),
    ],
)  # fmt: skip
def test_the_better_value_is_chosen(value, rule, expected):
    assert is_chosen(3, value, kept(2, 0.5, rule), rule) is expected


def test_the_first_value_and_a_repeated_epoch_are_chosen():
    assert is_chosen(1, -1.0, None, 'greater')
    assert is_chosen(2, 0.1, kept(2, 0.5), 'greater')
    assert not is_chosen(2, math.nan, kept(2, 0.5), 'greater')


def test_a_record_cannot_name_a_file_of_others(tmp_path):
    """The kept checkpoint is removed when another one is chosen."""
    SelectionRecord({}, replace(kept(), checkpoint='epoch_3.pth')).write(tmp_path)
    with pytest.raises(CheckpointError, match='does not have the name of its criterion and epoch'):
        read_record(tmp_path)
