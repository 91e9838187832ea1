"""Cut walks and switched persons, and that they change nothing else."""

from collections import Counter

import cv2
import numpy as np
import pytest

from dscreid.lab.synthetic import make_spec, render_world
from dscreid.lab.synthetic.faults import SHORTEST_PIECE, draw_pieces, draw_switch
from dscreid.lab.synthetic.layouts import Split, plan_world


def spec_of(layout='hitsz', **values):
    return make_spec('tiny', layout, **dict(min_frames=24, max_frames=30) | values)


def test_shares_are_those_of_the_spec():
    spec = spec_of(cut=0.25, switched=0.1, train_ids=40)
    keys = [(person, key) for person in range(40) for key in range(50)]
    cut = np.mean([len(draw_pieces(spec, person, key, 30)) == 2 for person, key in keys])
    switched = np.mean([draw_switch(spec, person, key, 0, 30) is not None for person, key in keys])
    # four standard errors of 2,000 draws
    assert cut == pytest.approx(0.25, abs=0.04)
    assert switched == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize('frames', [24, 25, 60])
def test_pieces_cover_the_walk_and_are_long_enough(frames):
    for key in range(30):
        (first, size), (second, rest) = draw_pieces(spec_of(cut=1.0), 1, key, frames)
        assert (first, second, size + rest) == (0, size, frames)
        assert min(size, rest) >= SHORTEST_PIECE


def test_short_walks_stay_whole_and_no_fault_is_the_default():
    assert draw_pieces(spec_of(cut=1.0), 0, 0, 23) == [(0, 23)]
    assert draw_pieces(spec_of(), 0, 0, 30) == [(0, 30)]
    assert draw_switch(spec_of(), 0, 0, 0, 30) is None


def test_a_switch_shows_both_persons():
    for person in range(8):
        frame, other = draw_switch(spec_of(switched=1.0), person, 3, 0, 12)
        assert 4 <= frame <= 8
        assert other != person
        assert 0 <= other < 8


@pytest.mark.parametrize(('people', 'frames'), [(1, 12), (8, 1)])
def test_a_switch_needs_two_persons_and_two_frames(people, frames):
    assert draw_switch(spec_of(switched=1.0, train_ids=people), 0, 0, 0, frames) is None


@pytest.mark.parametrize('layout', ['hitsz', 'bupt'])
def test_only_training_walks_are_cut(layout):
    whole, pieces = (plan_world(spec_of(layout, cut=cut)) for cut in (0.0, 1.0))
    for before, after in zip(whole, pieces, strict=True):
        factor = 2 if before[0].split is Split.TRAIN else 1
        assert len(after) == factor * len(before)
        assert sum(walk.frames for walk in after) == sum(walk.frames for walk in before)
        names = Counter((walk.camera, walk.tracklet, *walk.modalities) for walk in after)
        assert set(names.values()) == {1}


def frames_of(root):
    return {path.relative_to(root).as_posix(): cv2.imread(str(path)) for path in root.rglob('*.jpg')}


@pytest.mark.parametrize('layout', ['hitsz', 'bupt'])
def test_pieces_hold_the_frames_of_the_whole_walk(tmp_path, layout):
    small = dict(train_ids=1, test_ids=1, auxiliary_ids=0, tracklets=1, test_tracklets=2, cameras=1)
    for name, cut in (('whole', 0.0), ('cut', 1.0)):
        render_world(tmp_path / name, spec_of(layout, cut=cut, **small), 1, progress=False)
    whole, cut = (sorted(image.tobytes() for image in frames_of(tmp_path / name).values()) for name in ('whole', 'cut'))
    assert whole == cut


def test_a_switched_tracklet_begins_as_it_would_and_ends_as_the_other_person(tmp_path):
    small = dict(train_ids=2, test_ids=1, tracklets=1, test_tracklets=2, cameras=1)
    for name, switched in (('right', 0.0), ('switched', 1.0)):
        render_world(tmp_path / name, spec_of(switched=switched, **small), 1, progress=False)
    right, switched = (frames_of(tmp_path / name) for name in ('right', 'switched'))
    assert right.keys() == switched.keys()
    for folder in sorted({name.rpartition('/')[0] for name in right if name.startswith('Train')}):
        same = [np.array_equal(right[name], switched[name]) for name in sorted(right) if name.startswith(folder)]
        at = same.index(False)
        assert len(same) / 3 <= at + 0.5
        assert all(same[:at])
        assert not any(same[at:])
    assert all(np.array_equal(right[name], switched[name]) for name in right if name.startswith('Test'))
