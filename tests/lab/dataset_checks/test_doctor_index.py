"""What indexes tell: foreign frames, overlap, what rules leave out, balance."""

import numpy as np
import pytest

from dscreid.lab.dataset_checks import Severity
from dscreid.lab.dataset_checks.foreign import check_foreign, foreign_by_path
from dscreid.lab.dataset_checks.splits import check_balance, check_drops, check_overlap, check_repeats
from dscreid.structures import Modality, Tracklet

RGB, IR = Modality


def hitsz_like(count=12):
    """Paths as in HITSZ-VCM, and what its index says."""
    told = {
        'person': [str(row // 2 + 1) for row in range(count)],
        'modality': [('rgb', 'ir')[row % 2] for row in range(count)],
        'camera': [str(row % 3 + 1) for row in range(count)],
    }
    frames = [
        [f'Train/{int(p):04d}/{m}/D{c}/{k}.jpg' for k in range(13)] for p, m, c in zip(*told.values(), strict=True)
    ]
    return told, frames


def test_foreign_frames_of_hitsz():
    told, frames = hitsz_like()
    frames[0][2] = frames[0][2].replace('0001', '0003')
    frames[1][4] = frames[1][4].replace('ir', 'rgb')
    frames[2][1] = frames[2][1].replace('D3', 'D5')
    found, silent = foreign_by_path([f'track_train_info.txt:{row + 1}' for row in range(12)], frames, told)
    assert [(f.where, f.fields, f.count, f.length) for f in found] == [
        ('track_train_info.txt:1', ('person',), 1, 13),
        ('track_train_info.txt:2', ('modality',), 1, 13),
        ('track_train_info.txt:3', ('camera',), 1, 13),
    ]
    assert (found[0].first, silent) == ('Train/0003/rgb/D1/2.jpg', [])
    finding = check_foreign(found, [], 'x')
    assert finding.severity is Severity.WARNING
    assert finding.message.startswith('3 tracklets list 3 frames')
    assert 'track_train_info.txt:3' in finding.details[2]


def test_unknown_people_are_not_compared():
    told, frames = hitsz_like()
    told['person'][0] = None
    frames[0][2] = frames[0][2].replace('0001', '0003')
    assert foreign_by_path(['x'] * 12, frames, told) == ([], [])


def bupt_like(rng, count=30):
    """Paths that repeat the index in folders and in the file's name, and what the index says."""
    told = {
        'person': [f'{p:04d}' for p in rng.integers(1, 9, count)],
        'modality': [('RGB', 'IR')[i] for i in rng.integers(0, 2, count)],
        'camera': [('LS3', 'G25', 'W4')[i] for i in rng.integers(0, 3, count)],
        'tracklet': [str(t) for t in rng.integers(1, 6, count)],
    }
    frames = [
        [f'{p}/{m}/{c}/{t}/{int(p)}_{m}_{c}_{k:03d}.jpg' for k in range(5)]
        for p, m, c, t in zip(*told.values(), strict=True)
    ]
    return told, frames


@pytest.mark.parametrize(
    ('field', 'old', 'new'),
    [
        ('person', '{p}/', '9999/'),
        ('person', '/{n}_', '/9999_'),
        ('modality', '/{m}/', '/FakeIR/'),
        ('camera', '_{c}_', '_TSG1_'),
        ('tracklet', '/{t}/', '/77/'),
    ],
)
def test_foreign_frames_by_path(field, old, new):
    told, frames = bupt_like(np.random.default_rng(3))
    wheres = [f'train.txt:{n}' for n in range(30)]
    assert foreign_by_path(wheres, frames, told) == ([], [])
    p, m, c, t = (values[11] for values in told.values())
    old = old.format(p=p, n=int(p), m=m, c=c, t=t)
    changed = [path.replace(old, new, 1) if k in (1, 3) else path for k, path in enumerate(frames[11])]
    assert changed != frames[11]
    frames[11] = changed
    [found], silent = foreign_by_path(wheres, frames, told)
    assert (found.where, found.fields, found.count, found.first) == ('train.txt:11', (field,), 2, changed[1])
    assert silent == []


def test_fields_that_paths_do_not_tell_are_named():
    told, frames = bupt_like(np.random.default_rng(4))
    frames = [[f'{row}/{k}.jpg' for k in range(5)] for row in range(len(frames))]
    found, silent = foreign_by_path(['x'] * 30, frames, told)
    assert (found, silent) == ([], ['person', 'modality', 'camera', 'tracklet'])
    assert 'because names do not contain it: person' in check_foreign(found, silent, 'x').message


def person(pid, frame):
    return Tracklet((frame,), RGB, 0, pid)


def test_overlap():
    train, test = [person(1, 'a'), person(2, 'b')], [person(3, 'c')]
    assert check_overlap({'train': train, 'test': test}, 'x').severity is Severity.OK
    shared = check_overlap({'train': train, 'test': [person(2, 'b'), person(3, 'c')]}, 'x')
    assert shared.severity is Severity.BROKEN
    assert shared.details == ('person 2 is in train and in test', 'b is in train and in test')
    recurring = check_overlap({'train': train, 'test': [person(2, 'b'), person(3, 'c')]}, 'x', people=False)
    assert (recurring.severity, recurring.details) == (
        Severity.BROKEN,
        tuple(d for d in shared.details if 'person' not in d),
    )
    separate = check_overlap({'train': train, 'test': [person(2, 'd')]}, 'x', people=False)
    assert (separate.severity, 'people: not compared' in separate.message) == (Severity.OK, True)
    unknown = check_overlap({'train': [person(None, 'a')], 'test': test}, 'x')
    assert (unknown.severity, 'no person ids in train' in unknown.message) == (Severity.OK, True)


def records(*lengths, modality=RGB):
    return [Tracklet(tuple(f'{n}/{k}' for k in range(length)), modality, 0) for n, length in enumerate(lengths)]


def test_what_each_rule_leaves_out():
    tracklets = records(*[12] * 40, 11, 3)
    bad = {'0/3', *(f'1/{k}' for k in range(12)), '41/0'}
    finding = check_drops(tracklets, bad, 'x', min_seq_len=12, on_bad_frame='skip_tracklet')
    assert finding.message == 'of 42 tracklets: 2 by min_seq_len=12, 2 by on_bad_frame=skip_tracklet'
    assert finding.severity is Severity.WARNING  # 4 of 42
    assert check_drops(tracklets, set(), 'x', min_seq_len=12).severity is Severity.OK  # 2 of 42
    assert '42 by modality' in check_drops(tracklets, set(), 'x', modality=IR).message
    hopeless = check_drops(tracklets, bad, 'x', on_bad_frame='substitute')
    assert hopeless.severity is Severity.WARNING
    assert '1 have no readable frame' in hopeless.message


def of(camera, modality, pid=None, count=1):
    return [Tracklet(('x',), modality, camera, pid)] * count


def test_balance():
    fair = of(0, RGB, 1) + of(0, IR, 1) + of(3, RGB, 2, 2) + of(3, IR, 2)
    finding = check_balance(fair, 'x')
    assert finding.severity is Severity.OK
    assert finding.message == '3 visible and 2 infrared tracklets, 2 cameras'
    assert check_balance(of(0, RGB), 'x').severity is Severity.BROKEN
    single = check_balance(of(0, RGB) + of(0, IR, count=2), 'x')
    assert (single.severity, 'only one visible tracklet' in single.message) == (Severity.WARNING, True)
    one_camera = check_balance(fair + of(5, IR), 'x')
    assert one_camera.severity is Severity.WARNING
    assert 'cameras 5 have only one modality' in one_camera.message
    assert '1 people appear in only one modality' in check_balance(fair + of(0, IR, 9), 'x').message
    assert 'at least three times' in check_balance(of(0, RGB, count=3) + of(0, IR), 'x').message


def test_unknown_people_are_neither_shared_nor_one_sided():
    splits = {'train': [person(-1, 'a'), person(1, 'b')], 'test': [person(-1, 'c'), person(2, 'd')]}
    found = check_overlap(splits, 'x')
    assert found.severity is Severity.OK
    fair = of(0, RGB, 1) + of(0, IR, 1)
    assert 'appear' not in check_balance(fair + of(0, IR, -1), 'x').message


def test_a_modality_of_which_nothing_is_left():
    tracklets = records(12, 12, modality=RGB) + records(3, 4, modality=IR)
    finding = check_drops(tracklets, set(), 'x', min_seq_len=12)
    assert (finding.severity, 'no infrared tracklet is left' in finding.message) == (Severity.BROKEN, True)
    assert check_drops(tracklets, set(), 'x', 12, RGB).severity is Severity.WARNING
    assert check_drops(tracklets, set(), 'x', 3).severity is Severity.OK


def test_repeated_tracklets():
    def of_frames(frames, is_query=False):
        return Tracklet(tuple(frames), RGB, 0, 1, is_query)

    fine = check_repeats([of_frames('ab'), of_frames('cd')], (), 'x')
    assert (fine.severity, fine.details) == (Severity.OK, ())
    found = check_repeats([of_frames('ab'), of_frames('ab', is_query=True), of_frames('bc')], ('l:4 repeats l:1',), 'x')
    assert found.severity is Severity.WARNING
    assert len(found.message.split(';')) == 4  # one each of three kinds, one of them explained
    assert found.details == ('l:4 repeats l:1',)
