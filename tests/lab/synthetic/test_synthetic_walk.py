"""Light and motion blur within a tracklet."""

from dataclasses import replace

import numpy as np
import pytest

from dscreid.lab.synthetic.domain import BUPT
from dscreid.lab.synthetic.draws import Stream, generator
from dscreid.lab.synthetic.identity import draw_identity
from dscreid.lab.synthetic.walk import draw_light, draw_smear, draw_walk


def walk_of(**effects):
    identity = draw_identity(generator(0, Stream.IDENTITY), BUPT.wardrobe)
    return draw_walk(generator(0, Stream.WALK), replace(BUPT, **effects), identity, 20)


def test_light_falls_to_a_shadow_and_never_rises_above_its_level():
    found = [draw_light(np.random.default_rng(seed), 30) for seed in range(200)]
    assert all(light.shape == (30,) and light.max() <= 1 and light.min() >= 0.3 for light in found)
    # few walks begin and end in the same light
    assert np.mean([np.ptp(light) > 0.2 for light in found]) > 0.7


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_the_share_of_blurred_frames(share):
    smear = draw_smear(np.random.default_rng(0), 4000, share)
    assert np.mean(smear > 0) == pytest.approx(share, abs=0.03)
    assert smear.max(initial=0) <= 0.2


def test_effects_leave_the_rest_of_a_walk_as_it_was():
    plain, changed = walk_of(), walk_of(changing_light=1.0, motion_blur=1.0)
    assert plain.turn == changed.turn
    for name in ('phases', 'shift', 'zoom', 'scenery'):
        np.testing.assert_array_equal(getattr(plain, name), getattr(changed, name))
    assert plain.occluder == changed.occluder
    assert not plain.smear.any()
    assert changed.smear.all()
    assert not np.array_equal(plain.gain, changed.gain)
