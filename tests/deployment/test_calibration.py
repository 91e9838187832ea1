import math
import shutil
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment import calibration_pairs as module
from dscreid.deployment.bundle import calibrated, read_bundle
from dscreid.deployment.calibration import (
    calibrate,
    needed_pairs,
    pair_of,
    similarity_threshold,
    threshold_for,
)
from dscreid.deployment.known_pairs import known_pairs
from dscreid.deployment.marks import make_mark
from dscreid.deployment.presence import presence_of
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality

START = datetime(2026, 3, 1, 8, 30)


def below(count, rate, number):
    """P(at most number - 1 of count), by summation."""
    return math.fsum(math.comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(number))


@settings(deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=60, max_size=200),
    st.sampled_from([0.06, 0.07, 0.1, 0.29, 0.5]),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_threshold_and_interval_agree_with_their_definitions(values, rate, confidence):
    similarities = np.array(values, dtype=np.float32) / 50
    count, descending = len(values), sorted(similarities.tolist(), reverse=True)
    threshold, low, high = similarity_threshold(similarities, rate, confidence)
    # any smaller similarity has too many above it
    assert sum(one > threshold for one in descending) / count <= rate
    smaller = [one for one in descending if one < threshold]
    if smaller:
        assert sum(one > smaller[0] for one in descending) / count > rate
    tail = (1 - confidence) / 2
    few = max(number for number in range(1, count + 1) if below(count, rate, number) <= tail)
    many = min(number for number in range(1, count + 1) if below(count, rate, number) >= 1 - tail)
    assert high == descending[few - 1]
    assert low == descending[many - 1]
    assert low <= threshold <= high


def test_intervals_cover_as_often_as_stated():
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(2000):
        _, low, high = similarity_threshold(rng.random(500), 0.05)
        covered.append(low <= 0.95 <= high)
    assert 0.945 < np.mean(covered) < 0.985  # exact, so above 0.95 but for chance


def noisy_people(rng, count, per_person):
    """Unit features of people, float64 (count * per_person, 16), and the numbers of the people."""
    person = np.repeat(np.arange(count), per_person)
    features = rng.normal(size=(count, 16))[person] + 0.5 * rng.normal(size=(len(person), 16))
    return features / np.linalg.norm(features, axis=1, keepdims=True), person


@pytest.mark.parametrize(('per_person', 'least', 'most'), [(1, 0.93, 1.0), (4, 0.5, 0.75)])
def test_several_tracklets_per_person_make_intervals_too_narrow(per_person, least, most):
    rng = np.random.default_rng(0)
    one, other = (noisy_people(rng, 500_000, 1)[0] for _ in range(2))
    true = np.quantile((one * other).sum(axis=1), 0.99)
    covered = []
    for _ in range(300):
        features, person = noisy_people(rng, 30, per_person)
        pairs = np.triu(person[:, None] != person)
        _, low, high = similarity_threshold((features @ features.T)[pairs], 1e-2)
        covered.append(low <= true <= high)
    assert least < np.mean(covered) < most


def test_the_threshold_tends_to_the_true_one():
    similarities = np.random.default_rng(0).random(100_000).astype(np.float32)
    threshold, low, high = similarity_threshold(similarities, 1e-2)
    assert low < 0.99 < high
    assert threshold == pytest.approx(0.99, abs=1e-3)
    assert high - low < 3e-3


@pytest.mark.parametrize(('rate', 'confidence', 'needed'), [(1e-2, 0.95, 368), (1e-3, 0.95, 3688), (0.5, 0.9, 5)])
def test_too_few_pairs_are_refused_with_the_number(rate, confidence, needed):
    assert needed_pairs(rate, confidence) == needed
    assert (1 - rate) ** needed <= (1 - confidence) / 2 < (1 - rate) ** (needed - 1)
    similarities = np.linspace(0, 1, needed)
    assert similarity_threshold(similarities, rate, confidence)[2] == 1
    with pytest.raises(DatasetError, match=f'needs {needed:,} pairs of different people, but there are {needed - 1:,}'):
        similarity_threshold(similarities[1:], rate, confidence)


@pytest.mark.parametrize(
    ('rate', 'confidence', 'message'),
    [
        (0.0, 0.95, 'the false-match rate is 0; choose one above 0 and at most 0.5'),
        (0.6, 0.95, 'the false-match rate is 0.6'),
        (math.nan, 0.95, 'the false-match rate is nan'),
        (0.1, 1.0, 'the confidence is 1; choose one between 0 and 1'),
    ],
)
def test_rates_out_of_range(rate, confidence, message):
    with pytest.raises(ConfigError, match=message):
        similarity_threshold(np.zeros(9999), rate, confidence)


def world(persons=12, seconds=0):
    """Each person on two cameras in both modalities, all at once; features are noisy."""
    rng = np.random.default_rng(1)
    rows, features = [], []
    centers = rng.normal(size=(persons, 16))
    for person in range(persons):
        for camera in ('gate', 'yard'):
            for modality in Modality:
                start = START + timedelta(seconds=seconds * person)
                name = f'{person}{camera}{modality.value}'
                row = TrackletRow(name, camera, modality, name, (), start, start, f'p{person}', '', name)
                rows.append(row)
                features.append(centers[person] + 0.5 * rng.normal(size=16))
    unit = np.array(features, dtype=np.float32)
    return rows, unit / np.linalg.norm(unit, axis=1, keepdims=True)


def similarities_of(rows, features, pair, same):
    """Similarities of all pairs of the same person, or of different ones."""
    found = []
    for i, one in enumerate(rows):
        for j, other in enumerate(rows[:i]):
            if pair_of(one.modality, other.modality) != pair or (one.person == other.person) != same:
                continue
            if not (same and pair != 'rgb-ir' and one.camera == other.camera):
                found.append(features[i] @ features[j])
    return np.array(found)


def test_pairs_of_different_persons_make_the_thresholds():
    rows, features = world()
    found = calibrate(features, rows, presence_of(rows), [0.05, 0.1, 0.1], confidence=0.9)
    assert [(one.pair, one.rate) for one in found.thresholds] == [
        (pair, rate) for pair in ('rgb-rgb', 'ir-ir', 'rgb-ir') for rate in (0.1, 0.05)
    ]
    assert {one.method for one in found.thresholds} == {'persons'}
    assert found.refused == ()
    for one in found.thresholds:
        different, same = (similarities_of(rows, features, one.pair, kind) for kind in (False, True))
        assert (one.num_pairs, one.num_true_pairs) == (len(different), len(same))
        expected = similarity_threshold(different, one.rate, 0.9)
        np.testing.assert_allclose((one.threshold, one.low, one.high), expected, atol=1e-6)
        assert one.num_false_matches == pytest.approx(one.rate * one.num_pairs, abs=1)
        assert one.true_match_rate == pytest.approx((same > expected[0]).mean(), abs=1.1 / len(same))


def test_without_persons_time_and_cameras_make_them():
    rows, features = world()
    rows = [replace(row, person='') for row in rows]
    found = calibrate(features, rows, presence_of(rows), [0.1])
    assert [(one.method, one.num_pairs, one.true_match_rate) for one in found.thresholds] == [
        ('same_time', 2 * 66, None),
        ('same_time', 2 * 66, None),
        ('other_cameras', 2 * 144, None),
    ]


def test_other_cameras_are_conservative():
    rows, features = world(persons=30)
    labeled = calibrate(features, rows, presence_of(rows), [0.1]).thresholds[2]
    rows = [replace(row, person='') for row in rows]
    unlabeled = calibrate(features, rows, presence_of(rows), [0.1]).thresholds[2]
    assert (labeled.pair, unlabeled.pair) == ('rgb-ir', 'rgb-ir')
    assert unlabeled.threshold > labeled.threshold


def marks_of_searches(rows, features, rng, share, top=5):
    """A user searches for a share of the visible tracklets among the infrared ones, and marks the first answers."""
    infrared = [number for number, row in enumerate(rows) if row.modality is Modality.IR]
    found = []
    for query, row in enumerate(rows):
        if row.modality is Modality.RGB and rng.random() < share:
            for answer in sorted(infrared, key=lambda one: -features[query] @ features[one])[:top]:
                other = rows[answer]
                names = (row.tracklet, row.modality), (other.tracklet, other.modality)
                found.append(make_mark(*names, row.person == other.person, 0.5, 'm'))
    return found


def test_marked_pairs_of_one_person_are_left_out_and_nothing_else():
    rows, features = world(persons=15)
    marks = marks_of_searches(rows, features, np.random.default_rng(0), 0.7)
    unnamed = [replace(row, person='') for row in rows]
    presence = presence_of(rows)
    known = known_pairs(unnamed, presence, marks)
    found = calibrate(features, unnamed, presence, [0.05], known=known)
    cross = found.thresholds[2]
    left_out, confirmed, kept = 0, 0, []
    same, different = known.same_person(slice(None)), known.different_people(slice(None))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows[:i]):
            if one.camera != other.camera and one.modality is not other.modality:
                if same[i, j]:
                    assert one.person == other.person
                    left_out += 1
                else:
                    kept.append((features[i] @ features[j], different[i, j]))
    assert left_out > 10
    assert (cross.num_left_out, cross.num_pairs) == (left_out, len(kept))
    expected = similarity_threshold(np.array([similarity for similarity, _ in kept]), 0.05)
    np.testing.assert_allclose((cross.threshold, cross.low, cross.high), expected, atol=1e-6)
    confirmed = sum(known_to_differ for similarity, known_to_differ in kept if similarity > cross.threshold + 1e-6)
    assert 0 < cross.num_known == confirmed < cross.num_false_matches
    # marks are of the most similar pairs, so they tell no rate of true matches
    assert cross.true_match_rate is None


def test_a_marked_pair_that_one_camera_saw_at_once_is_left_out():
    rows, features = world()
    rows = [replace(row, person='') for row in rows]
    first, second = [number for number, row in enumerate(rows) if row.camera == 'gate' and row.modality is Modality.IR][
        :2
    ]
    mark = make_mark((rows[first].tracklet, Modality.IR), (rows[second].tracklet, Modality.IR), True, 0.5, 'm')
    known = known_pairs(rows, presence_of(rows), [mark])
    found = calibrate(features, rows, presence_of(rows), [0.1], known=known).thresholds
    assert [(one.num_pairs, one.num_left_out) for one in found] == [(132, 0), (131, 1), (288, 0)]


@pytest.mark.slow
@pytest.mark.parametrize('share', [0.5, 1.0])
def test_marks_bring_the_threshold_nearer_to_the_true_one_and_not_below(share):
    rng = np.random.default_rng(2)
    one, other = (noisy_people(rng, 500_000, 1)[0] for _ in range(2))
    true = np.quantile((one * other).sum(axis=1), 0.98)
    covered, before, after = [], [], []
    for _ in range(60):
        features, person = noisy_people(rng, 60, 2)
        sides = (('gate', Modality.RGB), ('yard', Modality.IR))
        rows = [
            TrackletRow(f'{number}', *sides[number % 2], person=f'p{one}') for number, one in enumerate(person.tolist())
        ]
        unnamed = [replace(row, person='') for row in rows]
        presence = presence_of(rows)
        marks = marks_of_searches(rows, features, rng, share)
        plain = calibrate(features, unnamed, presence, [0.02]).thresholds[-1]
        known = known_pairs(unnamed, presence, marks)
        corrected = calibrate(features, unnamed, presence, [0.02], known=known).thresholds[-1]
        labeled = calibrate(features, rows, presence, [0.02]).thresholds[-1]
        assert (plain.pair, corrected.pair, labeled.method) == ('rgb-ir', 'rgb-ir', 'persons')
        assert known.contradictions == ()
        # between what is found without marks, and with all persons
        assert labeled.threshold <= corrected.threshold < plain.threshold
        covered.append(corrected.high >= true)
        before.append(plain.threshold - true)
        after.append(corrected.threshold - true)
    assert np.mean(covered) > 0.975
    assert np.abs(after).mean() < (0.6 if share < 1 else 0.2) * np.abs(before).mean()


def test_a_few_named_persons_do_not_replace_many_pairs_without():
    rows, features = world()
    rows = [row if row.person in ('p0', 'p1', 'p2') else replace(row, person='') for row in rows]
    first = calibrate(features, rows, presence_of(rows), [0.1]).thresholds[0]
    assert (first.method, first.num_true_pairs) == ('same_time', 3)


def test_pairs_without_enough_tracklets_are_refused():
    rows, features = world(seconds=9)
    rows = [row if row.modality is Modality.RGB else replace(row, person='') for row in rows]
    found = calibrate(features, rows, presence_of(rows), [0.1, 1e-3])
    assert [(one.pair, one.rate) for one in found.thresholds] == [('rgb-rgb', 0.1), ('rgb-ir', 0.1)]
    assert found.refused[0] == (
        'rgb-rgb: a false-match rate of 0.001 needs 3,688 pairs of different people, but there are 264 (tracklets of '
        'different persons)'
    )
    assert found.refused[1].startswith('ir-ir: a false-match rate of 0.1 needs 36 pairs')
    with pytest.raises(DatasetError, match=r'needs 3,688 .*; add tracklets, name their persons, or choose a larger'):
        calibrate(features, rows, presence_of(rows), [1e-3])


def test_blocks_and_samples_of_many_pairs(monkeypatch):
    rows, features = world()
    presence = presence_of(rows)
    expected = calibrate(features, rows, presence, [0.1])
    monkeypatch.setattr(module, '_BLOCK', 7)
    for one, other in zip(calibrate(features, rows, presence, [0.1]).thresholds, expected.thresholds, strict=True):
        assert replace(one, threshold=0, low=0, high=0) == replace(other, threshold=0, low=0, high=0)
        # a block of another size sums in another order
        assert (one.threshold, one.low, one.high) == pytest.approx((other.threshold, other.low, other.high), abs=1e-6)
    monkeypatch.setattr(module, 'MAX_PAIRS', 150)
    sampled = calibrate(features, rows, presence, [0.1])
    for one, all_of_them in zip(sampled.thresholds, expected.thresholds, strict=True):
        assert one.num_pairs == pytest.approx(150, abs=45)
        assert one.low <= all_of_them.threshold <= one.high
    assert sampled == calibrate(features, rows, presence, [0.1])


def test_a_bundle_keeps_its_calibration(bundle, tmp_path):
    rows, features = world()
    calibration = calibrate(features, rows, presence_of(rows), [0.1, 0.05])
    copied = read_bundle(shutil.copytree(bundle.folder, tmp_path / 'copy'))
    with pytest.raises(ConfigError, match='known rates: none'):
        threshold_for(copied, 0.1, 'rgb-ir')
    calibrated(copied, calibration.as_json())
    again = read_bundle(copied.folder)
    assert again.fingerprint == bundle.fingerprint
    for one in calibration.thresholds:
        assert threshold_for(again, one.rate * (1 + 1e-12), one.pair) == one.threshold
    with pytest.raises(ConfigError, match=r'rate of 0.001 for rgb-ir \(known rates: 0.1, 0.05\); run dscreid calib'):
        threshold_for(again, 1e-3, 'rgb-ir')
    with pytest.raises(ConfigError, match="the pair of modalities is 'ir-rgb'; use one of rgb-rgb, ir-ir, rgb-ir"):
        threshold_for(again, 0.1, 'ir-rgb')


@pytest.mark.parametrize(
    ('one', 'other', 'pair'), [('rgb', Modality.RGB, 'rgb-rgb'), ('ir', 'ir', 'ir-ir'), ('ir', 'rgb', 'rgb-ir')]
)
def test_pairs_have_one_name(one, other, pair):
    assert pair_of(one, other) == pair
