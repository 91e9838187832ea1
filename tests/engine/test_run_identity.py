"""What of a run may change when it is resumed."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dscreid.engine.run_identity import (
    changed_settings,
    check_same_data,
    check_same_run,
    settings_text,
    weights_fingerprint,
)
from dscreid.errors import CheckpointError

PATH = Path('epoch_4.pth')
SETTINGS = dict(
    train_cfg=dict(max_epochs=5), optim_wrapper=dict(optimizer=dict(lr=0.1, betas=(0.9, 0.99))),
    param_scheduler=[dict(type='CosineAnnealingLR', end=5)],
    model=dict(tower=dict(pretrained='weights/tower.pt')),
)  # fmt: skip


def check(source=None, began=None, **changes):
    meta = dict(settings=settings_text(SETTINGS), epoch=4, source=began)
    check_same_run(PATH, dict(meta=meta), {**SETTINGS, **changes}, source)


def test_differences_have_dotted_keys():
    old = dict(a=dict(b=[1, dict(c=2)]), same=1, gone=None, kind=1, x=[1])
    new = dict(a=dict(b=[1, dict(c=3)]), same=1, new=[4], kind=True, x=[1, 2])
    assert changed_settings(dict(settings=settings_text(old)), new) == {
        'a.b.1.c': [2, 3],
        'gone': [None, 'absent'],
        'kind': [1, True],
        'new': ['absent', [4]],
        'x': [[1], [1, 2]],
    }


def test_tuples_are_lists_in_a_record():
    check()
    check(optim_wrapper=dict(optimizer=dict(lr=0.1, betas=[0.9, 0.99])))


def test_the_message_names_keys_and_ways_out():
    with pytest.raises(CheckpointError) as error:
        check(optim_wrapper=dict(optimizer=dict(lr=0.2, betas=(0.9, 0.95))))
    assert str(error.value) == (
        'epoch_4.pth: cannot be resumed with other settings (optim_wrapper.optimizer.betas: [0.9, 0.99] -> '
        '[0.9, 0.95], optim_wrapper.optimizer.lr: 0.1 -> 0.2); use the settings of the run, '
        'choose a --work-dir in another folder '
        '(source stages are next to it), or start a new run from these weights with --source-checkpoint'
    )
    with pytest.raises(CheckpointError, match=r'a0: .*, a5: absent -> 1, and 3 more\)'):
        check(**{f'a{number}': 1 for number in range(9)})


def test_epochs_may_change_and_with_them_the_end_of_a_schedule():
    longer = dict(type='CosineAnnealingLR', end=9)
    check(train_cfg=dict(max_epochs=9), param_scheduler=[longer])
    check(train_cfg=dict(max_epochs=4))
    with pytest.raises(CheckpointError, match=r'was trained for 4 epochs, but train_cfg\.max_epochs=3 asks for fewer'):
        check(train_cfg=dict(max_epochs=3))
    with pytest.raises(CheckpointError, match=r'param_scheduler\.0\.end: 5 -> 9'):
        check(param_scheduler=[longer])
    with pytest.raises(CheckpointError, match=r'param_scheduler\.0\.eta_min'):
        check(train_cfg=dict(max_epochs=9), param_scheduler=[longer | dict(eta_min=1)])


def test_a_run_that_a_bad_frame_stopped_may_go_on_without_it():
    check(on_bad_frame='substitute', model=SETTINGS['model'] | dict(on_bad_frame='substitute'))
    with pytest.raises(CheckpointError, match='on_bad_frames'):
        check(on_bad_frames='substitute')


def test_pretrained_weights_may_lie_elsewhere():
    check(model=dict(tower=dict(pretrained='/mnt/tower.pt')))
    with pytest.raises(CheckpointError, match='pretrained'):
        check(model=dict(tower=dict(pretrained='/mnt/other.pt')))


@pytest.mark.parametrize('settings', [None, 3, 'no json', '[1]', '[' * 100_000])
def test_a_checkpoint_without_settings_is_not_compared(settings):
    check_same_run(PATH, dict(meta=dict(settings=settings)), SETTINGS, None)


def test_source_weights_are_known_by_their_values(tmp_path):
    weights = dict(a=torch.zeros(2, 3), b=torch.tensor(1, dtype=torch.int64), c=torch.ones(2, dtype=torch.bfloat16))
    torch.save(dict(state_dict=weights), tmp_path / 'first.pth')
    torch.save(dict(state_dict=dict(reversed(weights.items())), meta=dict(run='x')), tmp_path / 'same.pth')
    torch.save(dict(state_dict=weights | dict(a=torch.zeros(3, 2))), tmp_path / 'other.pth')
    first, same, other = (weights_fingerprint(tmp_path / f'{name}.pth') for name in ('first', 'same', 'other'))
    assert (first == same, first == other) == (True, False)
    check(source=tmp_path / 'same.pth', began=first)
    with pytest.raises(CheckpointError, match=r'started from other source weights than .*other\.pth'):
        check(source=tmp_path / 'other.pth', began=first)


def test_data_are_known_by_their_index():
    data = SimpleNamespace(metainfo=dict(dataset='X', split='train', fingerprint='abc'))
    check_same_data(PATH, dict(meta=dict(dataset_meta=dict(data.metainfo))), data)
    check_same_data(PATH, dict(meta={}), data)
    other = dict(data.metainfo, fingerprint='abd')
    with pytest.raises(CheckpointError, match=r'other tracklets \(its run started with X train abd, now X train abc\)'):
        check_same_data(PATH, dict(meta=dict(dataset_meta=other)), data)
