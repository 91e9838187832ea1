import numpy as np
import pytest

from dscreid.datasets.transforms import (
    linspace_frames,
    segment_first_frames,
    segment_random_frames,
    sorted_random_frames,
)

LENGTHS = [1, 2, 5, 6, 7, 11, 12, 13, 24, 100]
COUNTS = [1, 2, 6, 10]


def segments(length, count):
    """The rule in words: pad by the last frame to a multiple, cut into equal pieces."""
    frames = list(range(length))
    while len(frames) % count:
        frames.append(frames[-1])
    size = len(frames) // count
    return [frames[k * size : (k + 1) * size] for k in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('count', COUNTS)
def test_segment_first_takes_the_first_of_each_segment(length, count):
    expected = [segment[0] for segment in segments(length, count)]
    np.testing.assert_array_equal(segment_first_frames(length, count), expected)


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('count', COUNTS)
def test_segment_random_stays_in_its_segment(length, count):
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = segment_random_frames(length, count, rng)
        assert drawn.shape == (count,)
        assert all(frame in segment for frame, segment in zip(drawn, segments(length, count), strict=True))


def test_segment_random_reaches_every_frame():
    rng = np.random.default_rng(1)
    drawn = np.stack([segment_random_frames(12, 3, rng) for _ in range(200)])
    assert [set(column) for column in drawn.T] == [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}]


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('count', COUNTS)
def test_linspace_is_the_floor_of_equal_steps(length, count):
    drawn = linspace_frames(length, count)
    assert drawn.dtype == np.int64
    np.testing.assert_allclose(drawn, np.floor([k * length / count + 1e-9 for k in range(count)]))


@pytest.mark.parametrize('length', LENGTHS)
@pytest.mark.parametrize('count', COUNTS)
def test_sorted_random_is_sorted_and_without_replacement_if_long_enough(length, count):
    rng = np.random.default_rng(2)
    drawn = sorted_random_frames(length, count, rng)
    assert drawn.shape == (count,)
    assert (np.diff(drawn) >= 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < length
    if length >= count:
        assert len(set(drawn.tolist())) == count


def test_one_random_frame_reaches_every_position():
    rng = np.random.default_rng(3)
    for rule in (segment_random_frames, sorted_random_frames):
        assert {int(rule(5, 1, rng)[0]) for _ in range(100)} == {0, 1, 2, 3, 4}
