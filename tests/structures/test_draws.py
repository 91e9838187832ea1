import numpy as np
import pytest

from dscreid.structures import Draw, draw_seeds


def splitmix64(key, position):
    """Steele et al., 2014, in plain integers."""
    mask = (1 << 64) - 1
    z = (key + (position + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return (z ^ (z >> 31)) >> 1


def test_seeds_are_splitmix_of_the_position():
    key = int(np.random.SeedSequence([3, 7]).generate_state(1, np.uint64)[0])
    positions = np.array([0, 1, 5, 2**40])
    assert draw_seeds(3, 7, positions).tolist() == [splitmix64(key, int(p)) for p in positions]


def test_a_share_of_the_positions_has_the_same_seeds():
    whole = draw_seeds(1, 2, np.arange(100))
    assert whole.dtype == np.int64
    assert (whole >= 0).all()
    assert np.array_equal(draw_seeds(1, 2, np.arange(1, 100, 3)), whole[1::3])
    assert draw_seeds(1, 2, np.arange(0)).shape == (0,)


@pytest.mark.parametrize('other', [(1, 3), (2, 2)])
def test_seeds_differ(other):
    seeds = np.concatenate([draw_seeds(1, 2, np.arange(1000)), draw_seeds(*other, np.arange(1000))])
    assert len(np.unique(seeds)) == 2000


def test_a_draw_is_a_triple():
    index, seed, position = Draw(3, seed=4)
    assert (index, seed, position) == (3, 4, 0)
