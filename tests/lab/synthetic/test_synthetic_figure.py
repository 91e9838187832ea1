"""Gait, projection, patterns, sensors and occluders: what the pictures are made of."""

from dataclasses import replace

import numpy as np
import pytest

from dscreid.lab.synthetic.camera import ITEM_GAIN, draw_camera, draw_rule_sensor, draw_sensor
from dscreid.lab.synthetic.domain import DOMAINS
from dscreid.lab.synthetic.figure import SHADE_STEP, Part
from dscreid.lab.synthetic.identity import Pattern, draw_identity
from dscreid.lab.synthetic.pose import Joint, project, skeletons
from dscreid.lab.synthetic.renderer import View, label_maps, render_walk
from dscreid.lab.synthetic.texture import COLUMNS, PATTERNS, pattern_mask, visible_side
from dscreid.lab.synthetic.walk import draw_occluder, draw_walk
from dscreid.structures import Modality


def person(seed, domain='bupt'):
    return draw_identity(np.random.default_rng(seed), DOMAINS[domain].wardrobe)


def scene(seed=0, domain='bupt', frames=12, size=(64, 32), gap=0.0):
    rng, identity = np.random.default_rng(seed), person(seed, domain)
    view = View(draw_camera(rng, replace(DOMAINS[domain], modality_gap=gap), 0, 6), *size)
    return identity, view, draw_walk(rng, DOMAINS[domain], identity, frames)


def test_gait_is_periodic_and_the_sides_alternate():
    who = person(1)
    phases = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    poses = skeletons(who.body, who.gait, phases)
    np.testing.assert_allclose(skeletons(who.body, who.gait, phases + 2 * np.pi), poses, atol=1e-12)
    # Half a cycle later left and right have changed places.
    half = skeletons(who.body, who.gait, phases + np.pi)
    mirrored = half[:, Joint.ANKLE_R] * (1, -1, 1)
    np.testing.assert_allclose(poses[:, Joint.ANKLE_L], mirrored, atol=1e-12)
    # Legs and arms of one side swing against each other.
    feet, hands = poses[:, Joint.ANKLE_L, 0], poses[:, Joint.HAND_L, 0]
    assert np.corrcoef(feet, hands)[0, 1] < -0.5


def test_limbs_keep_their_length_and_the_lower_foot_stands():
    who = person(2)
    poses = skeletons(who.body, who.gait, np.linspace(0, 7, 50))
    for start, end in ((Joint.HIP_L, Joint.KNEE_L), (Joint.KNEE_R, Joint.ANKLE_R)):
        length = np.linalg.norm(poses[:, start] - poses[:, end], axis=1)
        np.testing.assert_allclose(length, who.body.leg / 2, atol=1e-9)
    lowest = poses[:, (Joint.ANKLE_L, Joint.ANKLE_R), 2].min(axis=1)
    assert np.abs(lowest - 0.025).max() <= who.gait.bounce + 1e-9


def test_gaits_differ_between_people():
    strides = {round(person(seed).gait.stride, 4) for seed in range(20)}
    assert len(strides) == 20
    spans = [
        np.ptp(skeletons(p.body, p.gait, np.linspace(0, 6.3, 40))[:, Joint.HAND_L, 0]) for p in map(person, range(20))
    ]
    assert max(spans) > 2.5 * min(spans)


@pytest.mark.parametrize(
    ('azimuth', 'elevation', 'expected'),
    [
        (
            0.0,
            0.0,
            [(0, 0, 1), (1, 0, 0), (0, -1, 0)],
        ),  # facing: forward comes near, his left is on the right
        (np.pi / 2, 0.0, [(1, 0, 0), (0, 0, -1), (0, -1, 0)]),  # from his right: walks to the right
        (0.0, np.pi / 2, [(0, 1, 0), (1, 0, 0), (0, 0, 1)]),  # from above
    ],
)
def test_projection(azimuth, elevation, expected):
    np.testing.assert_allclose(project(np.eye(3), azimuth, elevation), expected, atol=1e-12)


@pytest.mark.parametrize('kind', sorted(set(PATTERNS) - {'plain'}))
def test_every_pattern_shows_both_surfaces(kind):
    for phase in (0.1, 0.6, 0.9):
        share = pattern_mask(Pattern(kind, 3.0, phase, 0.5, 0.0)).mean()
        assert 0.02 < share < 0.98


def test_logo_is_seen_from_the_front_only_and_stripes_from_everywhere():
    logo = pattern_mask(Pattern('logo', 3.0, 0.5, 0.5, 0.0))
    assert visible_side(logo, 0.0).any()
    assert not visible_side(logo, np.pi).any()
    stripes = pattern_mask(Pattern('stripes_h', 3.0, 0.5, 0.5, 0.0))
    assert all(visible_side(stripes, azimuth).any() for azimuth in (0, 1.6, 3.1, 4.7))


def test_halves_turn_with_the_walker():
    left_second = pattern_mask(Pattern('halves', 3.0, 0.2, 0.5, 0.0))
    assert left_second[:, 3 * COLUMNS // 4].all()  # a quarter turn to his left
    front, back = visible_side(left_second, 0.0), visible_side(left_second, np.pi)
    assert front[:, -1].all()
    assert not front[:, 0].any()  # his left is on our right
    assert back[:, 0].all()
    assert not back[:, -1].any()


def test_label_maps_show_a_whole_person():
    identity, view, walk = scene(3)
    maps = list(label_maps(identity, view, walk))
    assert {m.shape for m in maps} == {(128, 64)}
    parts = {Part(int(value)) for m in maps for value in np.unique(m % SHADE_STEP)}
    assert {Part.NOTHING, Part.SKIN, Part.HAIR, Part.UPPER, Part.LOWER, Part.SHOE} <= parts
    shares = [np.mean(m > 0) for m in maps]
    assert 0.1 < min(shares) < max(shares) < 0.7
    assert any(not np.array_equal(maps[0], m) for m in maps[1:])


@pytest.mark.parametrize('size', [(64, 32), (128, 64), (288, 144)])
def test_pictures_have_the_asked_size_in_both_modalities(size):
    identity, view, walk = scene(4, 'hitsz', frames=2, size=size, gap=0.7)
    frames = list(render_walk(identity, view, walk, tuple(Modality), np.random.default_rng(0)))
    assert len(frames) == 2
    for frame in frames:
        assert frame[Modality.RGB].shape == (*size, 3)
        assert frame[Modality.IR].shape == size
        assert {image.dtype for image in frame.values()} == {np.dtype('uint8')}


def test_modality_gap_lowers_agreement_and_pattern_contrast_step_by_step():
    people = [person(seed, 'hitsz') for seed in range(150)]
    sensors = [draw_sensor(np.random.default_rng(0), gap, 0.0) for gap in (0.0, 0.5, 1.0)]
    tones = np.array([[s.reflectance(g) for p in people for g in (p.upper, p.lower)] for s in sensors])
    agreement = np.corrcoef(tones)[0]
    assert agreement[1] < 0.9
    assert 0 < agreement[2] < agreement[1]
    assert tones.std(axis=1).min() > 0.1  # people stay distinguishable in the infrared
    assert np.all(np.diff([s.pattern_contrast for s in sensors]) < -0.2)


def test_a_rule_sensor_changes_tones_and_keeps_what_tells_people_apart():
    people = [person(seed, 'bupt') for seed in range(150)]
    near, far = (draw_rule_sensor(np.random.default_rng(0), gap, 0.0, 0.2) for gap in (0.0, 0.8))
    tones = np.array([[s.reflectance(g) for p in people for g in (p.upper, p.lower)] for s in (near, far)])
    assert np.corrcoef(tones)[0, 1] < 0.8
    family = draw_sensor(np.random.default_rng(0), 0.8, 0.0, 0.2)
    assert tones.std(axis=1).min() > np.std([family.reflectance(g) for p in people for g in (p.upper, p.lower)])
    assert family.pattern_contrast < near.pattern_contrast == far.pattern_contrast
    rules = [draw_rule_sensor(np.random.default_rng(camera), 0.8, 0.5).dye_table for camera in range(3)]
    assert np.array_equal(rules[0], rules[1])
    assert np.array_equal(rules[0], rules[2])


def test_without_material_spread_the_infrared_knows_colors_alone():
    listed, alike = (draw_sensor(np.random.default_rng(0), 0.0, 0.0, spread) for spread in (1.0, 0.0))
    assert np.ptp(listed.offset) > 0.2
    np.testing.assert_allclose(alike.offset, listed.offset.mean())
    assert (listed.item_gain, alike.item_gain) == (ITEM_GAIN, 0.0)


def test_modality_gap_is_one_shift_for_all_cameras():
    people = [person(seed, 'hitsz') for seed in range(100)]
    spread = DOMAINS['hitsz'].sensor_spread
    sensors = [draw_sensor(np.random.default_rng(camera), 1.0, spread) for camera in range(6)]
    tones = np.array([[s.reflectance(p.upper) for p in people] for s in sensors])
    assert np.corrcoef(tones).min() > 0.85


def test_tone_curves_rise():
    for gap in (0.0, 0.7, 1.5):
        curve = draw_sensor(np.random.default_rng(1), gap, 0.15).tone_curve().astype(int)
        assert np.all(np.diff(curve) >= 0)
        assert curve[-1] - curve[0] > 150


def test_occluder_moves_over_a_share_of_the_frames():
    for seed in range(20):
        item = draw_occluder(np.random.default_rng(seed), 12, (0.2, 0.5))
        covered = []
        for frame in range(12):
            canvas = np.zeros((128, 64), dtype=np.uint8)
            item.draw(canvas, frame)
            covered.append(float(np.mean(canvas > 0)))
        shown = [n for n, share in enumerate(covered) if item.first <= n <= item.last]
        assert 2 <= len(shown) <= 6
        assert sum(share > 0 for share in covered) <= len(shown)
        assert max(covered) < 0.6
        assert abs(item.end - item.start) > 0.2
