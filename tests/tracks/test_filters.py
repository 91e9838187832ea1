from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dscreid.errors import ConfigError
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.filters import FilterSettings, select_tracklets

SIZE = (200, 120)
EVERYTHING = FilterSettings(
    min_confidence=0, min_height=1, min_width=1, min_visible=1e-9, max_gap=1e9, rate=None, min_crops=1
)


def boxes(rows):
    """Boxes from rows of frame, track, left, top, width, height, confidence."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return from_columns(columns[:, 0].astype(int), columns[:, 1].astype(int), columns[:, 2:6], columns[:, 6])


def track(frames, number=1, box=(10, 10, 20, 50), confidence=0.9):
    return [(frame, number, *box, confidence) for frame in frames]


def changed(**values):
    return FilterSettings(**(vars(EVERYTHING) | values))


def select(rows, settings=EVERYTHING, fps=10.0, num_frames=1000):
    return select_tracklets(boxes(rows), SIZE, np.arange(num_frames) / fps, settings)


def frames_by_tracklet(selection):
    found = {}
    for number, frame in zip(selection.tracklet.tolist(), selection.boxes.frame.tolist(), strict=True):
        found.setdefault(number, []).append(frame)
    return list(found.values())


@pytest.mark.parametrize(
    ('row', 'settings', 'rule'),
    [
        ((5, -1, 10, 10, 20, 50, 0.9), {}, 'not tracked'),
        ((1000, 1, 10, 10, 20, 50, 0.9), {}, 'beyond the end of the video'),
        ((5, 1, 10, 10, 0, 50, 0.9), {}, 'empty box'),
        ((5, 1, 10, 10, 20, -50, 0.9), {}, 'empty box'),
        ((5, 1, 10, 10, 20, 50, 0.29), {'min_confidence': 0.3}, 'low confidence'),
        ((0, 1, 10, 10, 20, 50, 0.8), {}, 'duplicate'),
        ((5, 1, -15, 10, 20, 50, 0.9), {'min_visible': 0.5}, 'outside the picture'),
        ((5, 1, 10, 10, 20, 39, 0.9), {'min_height': 40}, 'too small'),
        ((5, 1, 10, 10, 9, 50, 0.9), {'min_width': 10}, 'too small'),
        ((5, 2, 10, 10, 20, 50, 0.9), {'min_crops': 2}, 'too short a track'),
    ],
)
def test_each_rule_leaves_out_one_box_and_counts_it(row, settings, rule):
    selection = select([*track([0, 1, 2]), row], changed(**settings))
    assert selection.left_out == {rule: 1}
    assert frames_by_tracklet(selection) == [[0, 1, 2]]


def test_unknown_confidence_passes_and_the_most_confident_duplicate_stays():
    rows = [*track([0], confidence=np.nan), (0, 1, 11, 10, 20, 50, 0.5), (0, 1, 12, 10, 20, 50, 0.5)]
    selection = select(rows, changed(min_confidence=0.4))
    assert selection.left_out == {'duplicate': 2}
    assert selection.boxes.corners[0, 0] == 11


def test_ids_of_zero_are_tracks():
    assert frames_by_tracklet(select(track([0, 1], number=0))) == [[0, 1]]


def test_gaps_split_a_track():
    selection = select(track([0, 1, 5, 16, 17]), changed(max_gap=1.0))
    assert frames_by_tracklet(selection) == [[0, 1, 5], [16, 17]]
    assert selection.splits == 1
    assert frames_by_tracklet(select(track([0, 1, 3]), changed(max_gap=0.0))) == [[0, 1], [3]]


def test_boxes_that_other_rules_leave_out_are_gaps():
    rows = [*track(range(5)), *track(range(5, 20), confidence=0.1), *track(range(20, 25))]
    selection = select(rows, changed(min_confidence=0.5, max_gap=1.0))
    assert frames_by_tracklet(selection) == [list(range(5)), list(range(20, 25))]


@pytest.mark.parametrize(('fps', 'rate', 'step'), [(30.0, 10.0, 3), (25.0, 5.0, 5), (10.0, 10.0, 1), (10.0, 40.0, 1)])
def test_the_rate_is_kept_from_the_first_frame_on(fps, rate, step):
    selection = select(track(range(7, 67)), changed(rate=rate), fps=fps)
    assert frames_by_tracklet(selection) == [list(range(7, 67, step))]


def test_a_rate_that_does_not_divide_keeps_one_box_per_interval():
    (frames,) = frames_by_tracklet(select(track(range(60)), changed(rate=8.0), fps=30.0))
    assert Counter(frame * 8 // 30 for frame in frames) == Counter(range(16))


def test_the_boxes_of_a_tracklet_are_those_before_the_rate():
    rows = [*track(range(3)), *track(range(1, 9), number=4, box=(-4, 10, 20, 50), confidence=0.5)]
    selection = select(rows, changed(rate=2.0, min_crops=2, margin=0.1))
    assert frames_by_tracklet(selection) == [[1, 6]]
    assert selection.tracked.frame.tolist() == list(range(1, 9))
    assert selection.tracked_in.tolist() == [0] * 8
    assert selection.tracked.corners[0].tolist() == [-4, 10, 16, 60]


def test_gaps_and_rate_follow_the_time_of_the_frames():
    times = np.concatenate([np.arange(10) / 10, 3 + np.arange(10) / 40])
    selection = select_tracklets(boxes(track(range(20))), SIZE, times, changed(max_gap=1.0, rate=10.0))
    assert frames_by_tracklet(selection) == [[*range(10), 10, 14, 18]]
    without = boxes(track([*range(9), *range(11, 20)]))
    selection = select_tracklets(without, SIZE, times, changed(max_gap=1.0, rate=10.0))
    assert frames_by_tracklet(selection) == [[*range(9)], [11, 15, 19]]


def test_margins_are_clipped_to_whole_pixels_of_the_picture():
    rows = [(0, 1, 10.2, 10.0, 20.0, 50.0, 0.9), (1, 1, 190.0, 100.0, 30.0, 40.0, 0.9)]
    selection = select(rows, changed(margin=0.1))
    assert selection.boxes.corners.tolist() == [[8, 5, 33, 65], [187, 96, 200, 120]]


@pytest.mark.parametrize('rows', [[], track([0], number=-1), [(0, 1, 500, 500, 20, 50, 0.9)]])
def test_nothing_may_remain(rows):
    selection = select(rows, FilterSettings())
    assert (len(selection.boxes), len(selection.tracklet)) == (0, 0)


@pytest.mark.parametrize(
    'setting',
    [
        dict(min_confidence=1.5),
        dict(min_height=0),
        dict(min_visible=0),
        dict(rate=0),
        dict(min_crops=0),
        dict(margin=-1),
    ],
)
def test_settings_out_of_range(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        FilterSettings(**setting)


numbers = st.floats(-50, 250, allow_nan=False)
a_box = st.tuples(
    st.integers(0, 40), st.integers(-1, 3), numbers, numbers, st.floats(-5, 90), st.floats(-5, 90),
    st.floats(0, 1) | st.just(float('nan')),
)  # fmt: skip


@given(st.lists(a_box, max_size=60), st.floats(0, 2), st.none() | st.floats(1, 30), st.integers(1, 4))
def test_selections_obey_all_rules(rows, max_gap, rate, min_crops):
    settings = FilterSettings(0.3, 20, 10, 0.5, max_gap, rate, min_crops, 0.1)
    selection = select(rows, settings, num_frames=30)
    kept: TrackedBoxes = selection.boxes
    assert len(rows) == len(kept) + sum(selection.left_out.values())
    assert (kept.track >= 0).all()
    assert (kept.frame < 30).all()
    assert not (kept.confidence < 0.3).any()
    inside = (kept.corners >= 0).all() and (kept.corners <= np.array([*SIZE, *SIZE])).all()
    assert inside
    assert (kept.corners == np.round(kept.corners)).all()
    assert (kept.width >= 10).all()
    assert (kept.height >= 20).all()
    assert selection.tracklet.tolist() == sorted(selection.tracklet.tolist())
    assert set(selection.tracklet.tolist()) == set(range(len(set(selection.tracklet.tolist()))))
    for number in np.unique(selection.tracklet):
        mask = selection.tracklet == number
        frames = kept.frame[mask]
        assert len(np.unique(kept.track[mask])) == 1
        assert mask.sum() >= min_crops
        assert (np.diff(frames) > 0).all()
        if rate is None:
            assert (np.diff(frames) <= max(max_gap * 10, 1)).all()


def tracklets_of_rows(rows, selection):
    """The tracklet of each row: in each frame within it, the chosen or the most confident one of the track."""
    chosen = set(zip(selection.tracked_in.tolist(), map(tuple, row_values(selection.tracked)), strict=True))
    frames = {}
    for number, (frame, track, *_) in chosen:
        frames.setdefault((number, track), []).append(frame)
    found = [-1] * len(rows)
    for (number, track), seen in frames.items():
        for frame in range(int(min(seen)), int(max(seen)) + 1):
            candidates = [k for k, row in enumerate(rows) if row[:2] == (frame, track)]
            ours = [k for k in candidates if (number, rows[k]) in chosen]
            if candidates:
                found[(ours or sorted(candidates, key=lambda k: -rows[k][6]))[0]] = number
    return found


def row_values(boxes):
    sizes = np.column_stack([boxes.corners[:, :2], boxes.width, boxes.height])
    return np.column_stack([boxes.frame, boxes.track, sizes, boxes.confidence]).tolist()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 14), st.integers(-1, 2), st.sampled_from([0, 190, 500]), st.just(0),
            st.sampled_from([0, 20]), st.just(50), st.sampled_from([0.25, 0.5, 0.75, 1.0]),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_rows_within_a_tracklet_are_its_own(rows):
    settings = FilterSettings(min_confidence=0.4, max_gap=0.3, rate=4, min_crops=2)
    selection = select(rows, settings, num_frames=14)
    assert selection.tracklet_of_row.tolist() == tracklets_of_rows(rows, selection)
