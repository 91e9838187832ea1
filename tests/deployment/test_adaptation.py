"""Label-free comparison before and after, against brute force and against features whose quality is known."""

import math
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dscreid.deployment.adaptation import (
    HARMED,
    HELPED,
    UNCLEAR,
    Change,
    Comparison,
    compare,
    different_people,
    near_share,
    refusal,
    side_of,
)
from dscreid.evaluation import FeatureTable
from dscreid.pseudo_labels import ClusterLabeler
from dscreid.pseudo_labels.clustering.silhouette import silhouette_of_all, silhouettes
from dscreid.pseudo_labels.criteria import CRITERIA, JudgedRound
from dscreid.structures import Modality, TrackletFeatures

NOON = datetime(2026, 3, 1, 12)
CLUSTERING = ClusterLabeler(k1=6, k2=2, eps=0.6, min_samples=2)
PEOPLE, EACH = 12, 4
WHO = np.tile(np.repeat(np.arange(PEOPLE), EACH), 2)


def table_of(noise, gap, seed=0):
    """Features of people seen in both modalities; ``gap`` moves each person's infrared features elsewhere."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((PEOPLE, 16))
    elsewhere = rng.standard_normal((PEOPLE, 16))
    modality = np.repeat([0, 1], PEOPLE * EACH)
    halves = [
        (people[WHO] + gap * modality[:, None] * elsewhere[WHO] + noise * rng.standard_normal((len(WHO), 16)))
        for _ in range(2)
    ]
    static, dynamic = (half.astype(np.float32) for half in halves)
    unknown = np.full(len(WHO), -1)
    is_query, index = np.zeros(len(WHO), bool), np.arange(len(WHO))
    feature = np.concatenate([static, dynamic], axis=1)
    return FeatureTable(feature, unknown, modality, modality, is_query, index, static, dynamic)


def pairs_of_people(table):
    """All pairs of different people within a modality."""
    rows = range(len(table))
    same = [(i, j) for i in rows for j in rows if i < j and table.modality[i] == table.modality[j] and WHO[i] != WHO[j]]
    return np.array(same)


BAD, GOOD = table_of(noise=0.9, gap=1.5), table_of(noise=0.2, gap=0.1)


def test_better_features_probably_helped_and_worse_ones_probably_harmed():
    pairs = pairs_of_people(BAD)
    helped = compare(BAD, GOOD, CLUSTERING, pairs)
    assert helped.verdict == HELPED
    assert {change.direction for change in helped.changes} <= {'better', 'unclear'}
    assert compare(GOOD, BAD, CLUSTERING, pairs).verdict == HARMED


def test_equal_features_change_nothing():
    found = compare(GOOD, GOOD, CLUSTERING, pairs_of_people(GOOD))
    assert found.verdict == UNCLEAR
    assert all((change.low, change.high) == (0, 0) for change in found.changes)
    assert all(change.before == change.after for change in found.changes)


def test_without_times_the_measure_of_different_people_is_undefined():
    found = compare(BAD, GOOD, CLUSTERING, np.zeros((0, 2), np.int64))
    assert found.changes[-1].direction == 'undefined'
    assert math.isnan(found.changes[-1].before)
    assert found.verdict == HELPED


def test_tables_of_other_tracklets_are_refused():
    other = FeatureTable(**{**BAD.arrays(), 'index': BAD.index[::-1]})
    with pytest.raises(ValueError, match='same tracklets'):
        compare(BAD, other, CLUSTERING, np.zeros((0, 2), np.int64))


def without_rows(table, num):
    """Without the first visible tracklets."""
    return FeatureTable(**{name: one[num:] for name, one in table.arrays().items()})


def judged_by_hand(table, half=PEOPLE * EACH):
    parts = [
        TrackletFeatures(*(torch.from_numpy(one[rows]) for one in (table.static, table.dynamic)))
        for rows in (slice(0, half), slice(half, None))
    ]
    labels = CLUSTERING(*parts)
    return labels, JudgedRound(*parts, labels)


@pytest.mark.parametrize('table', [BAD, GOOD])
def test_values_are_those_of_the_criteria(table):
    half = len(WHO) // 2
    labels, judged = judged_by_hand(table)
    side = side_of(table, CLUSTERING, np.array([[0, 5]]))
    for modality, rows in ((Modality.RGB, slice(0, half)), (Modality.IR, slice(half, None))):
        expected = silhouette_of_all(judged.descriptors[modality], labels.of(modality))
        assert side.silhouette[rows].mean() == pytest.approx(expected)
        np.testing.assert_array_equal(side.labels.of(modality), labels.of(modality))
    visible, infrared = judged.descriptors.values()
    similarity = (visible @ infrared.T).numpy()
    np.testing.assert_allclose(side.nearest, [*similarity.max(axis=1), *similarity.max(axis=0)], atol=1e-6)
    assert side.pairs[0] == pytest.approx(float(visible[0] @ visible[5]), abs=1e-6)


@pytest.mark.parametrize('removed', [0, 20])
def test_trips_are_judged_by_the_clusters_of_both_sides(removed):
    tables = [without_rows(table, removed) for table in (BAD, GOOD)]
    half = PEOPLE * EACH - removed
    sides, values = [judged_by_hand(table, half) for table in tables], []
    for _, judged in sides:
        visible, infrared = (rows.numpy() for rows in judged.descriptors.values())
        shares = []
        for labels, _ in sides:
            for own, other, found in ((visible, infrared, labels.rgb), (infrared, visible, labels.ir)):
                closed = []
                for i in np.flatnonzero(found >= 0):
                    there = np.argmax(other @ own[i])
                    closed.append(found[np.argmax(own @ other[there])] == found[i])
                shares.append(np.mean(closed))
        values.append(np.mean(shares))
    change = compare(*tables, CLUSTERING, np.zeros((0, 2), np.int64)).changes[0]
    assert change.name == 'cycle consistency'
    assert (change.before, change.after) == (pytest.approx(values[0]), pytest.approx(values[1]))


def test_equal_sides_have_the_value_of_the_criterion():
    _, judged = judged_by_hand(BAD)
    values = CRITERIA.get('cycle_consistency')()(judged)
    found = compare(BAD, BAD, CLUSTERING, pairs_of_people(BAD)).changes[0]
    assert found.before == found.after == pytest.approx(sum(values.values()) / 2)


def test_the_bootstrap_draws_clusters():
    """Copies of tracklets are no further evidence."""
    once = compare(BAD, GOOD, CLUSTERING, np.zeros((0, 2), np.int64)).changes[0]
    repeated = [
        FeatureTable(**{name: np.repeat(one, 3, axis=0) for name, one in t.arrays().items()}) for t in (BAD, GOOD)
    ]
    clustering = ClusterLabeler(k1=18, k2=2, eps=0.6, min_samples=2)
    often = compare(*repeated, clustering, np.zeros((0, 2), np.int64)).changes[0]
    assert often.high - often.low > 0.6 * (once.high - once.low)


def test_no_cluster_before_is_no_error():
    strict = ClusterLabeler(k1=6, k2=2, eps=0.01, min_samples=4)
    found = compare(BAD, GOOD, strict, pairs_of_people(BAD))
    assert found.clusters[Modality.RGB][0] == 0
    assert found.changes[0].direction == 'undefined'
    assert found.changes[1].before == 0
    assert found.verdict != HELPED


def test_a_silhouette_for_each_tracklet():
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((30, 5)), rng.integers(-1, 4, 30)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = 1 - unit @ unit.T
    expected = np.zeros(30)
    for i in np.flatnonzero(labels >= 0):
        own = (labels == labels[i]) & (np.arange(30) != i)
        others = [distance[i, labels == n].mean() for n in range(4) if n != labels[i] and (labels == n).any()]
        if own.any():
            a, b = distance[i, own].mean(), min(others)
            expected[i] = (b - a) / max(a, b)
    np.testing.assert_allclose(silhouettes(rows, labels), expected, atol=1e-9)
    np.testing.assert_array_equal(silhouettes(rows, np.zeros(30, np.int64)), 0)


def test_the_share_of_near_pairs_in_draws():
    side = side_of(BAD, CLUSTERING, pairs_of_people(BAD)[::40])
    pairs = pairs_of_people(BAD)[::40]
    draws = np.random.default_rng(1).multinomial(len(BAD), np.full(len(BAD), 1 / len(BAD)), size=5)
    for share, draw in zip(near_share(side, pairs, draws), draws, strict=True):
        rows = np.repeat(np.arange(len(BAD)), draw)
        threshold = np.median(side.nearest[rows])
        near = [
            similarity > threshold
            for (i, j), similarity in zip(pairs, side.pairs, strict=True)
            for _ in range(draw[i] * draw[j])
        ]
        assert share == pytest.approx(np.mean(near))
    assert np.isnan(near_share(side, pairs, np.zeros((1, len(BAD)), np.int64))).all()


spans = st.tuples(st.integers(0, 2), st.sampled_from(['rgb', 'ir']), st.integers(0, 20), st.integers(0, 6))


@given(st.lists(spans, max_size=25))
def test_pairs_at_the_same_time(rows):
    times = [(NOON + timedelta(seconds=start), NOON + timedelta(seconds=start + last)) for *_, start, last in rows]
    found = different_people(np.array([row[0] for row in rows]), [row[1] for row in rows], times)
    expected = {
        frozenset((i, j))
        for i in range(len(rows))
        for j in range(i)
        if rows[i][:2] == rows[j][:2] and times[i][0] <= times[j][1] and times[j][0] <= times[i][1]
    }
    assert len(found) == len(expected)
    assert {frozenset(pair) for pair in found.tolist()} == expected


def test_pairs_need_times_that_can_be_compared():
    aware = NOON.replace(tzinfo=timezone.utc)
    times = [(None, None), (NOON, None), (NOON, NOON), (aware, aware), (aware, None)]
    found = different_people(np.zeros(5, int), ['rgb'] * 5, times)
    assert sorted(map(sorted, found.tolist())) == [[1, 2], [3, 4]]


def test_many_pairs_are_sampled():
    times = [(NOON, NOON)] * 60
    found = different_people(np.zeros(60, int), ['rgb'] * 60, times, most=100)
    assert len({frozenset(pair) for pair in found.tolist()}) == 100
    np.testing.assert_array_equal(found, different_people(np.zeros(60, int), ['rgb'] * 60, times, most=100))


NAMES = ('cycle consistency', 'silhouette, visible', 'different people near')


@pytest.mark.parametrize(
    ('directions', 'clusters', 'verdict'),
    [
        (('better', 'worse', 'unclear'), (10, 10), HELPED),
        (('better', 'unclear', 'better'), (10, 10), HELPED),
        (('better', 'better', 'undefined'), (10, 5), HELPED),
        (('better', 'better', 'unclear'), (10, 4), UNCLEAR),  # collapsed
        (('better', 'better', 'worse'), (10, 10), UNCLEAR),
        (('unclear', 'better', 'better'), (10, 10), UNCLEAR),
        (('undefined', 'better', 'better'), (10, 10), UNCLEAR),
        (('unclear', 'worse', 'unclear'), (10, 10), UNCLEAR),
        (('unclear', 'better', 'worse'), (10, 10), HARMED),
        (('undefined', 'better', 'worse'), (10, 10), HARMED),
        (('worse', 'better', 'better'), (10, 4), HARMED),
        (('worse', 'better', 'better'), (10, 10), HARMED),
    ],
)
def test_the_rule_of_the_verdict(directions, clusters, verdict):
    intervals = {'better': (0.1, 0.2), 'worse': (-0.2, -0.1), 'unclear': (-0.1, 0.1), 'undefined': (math.nan,) * 2}
    changes = []
    for name, direction in zip(NAMES, directions, strict=True):
        low, high = intervals[direction]
        if name == NAMES[2]:
            low, high = -high, -low
        changes.append(Change(name, name != NAMES[2], 0.0, 0.0, low, high))
        assert changes[-1].direction == direction
    for modality in Modality:
        others = {modality.other: (10, 10)}
        assert Comparison(tuple(changes), others | {modality: clusters}).verdict == verdict


BATCH = {Modality.RGB: (2, 4), Modality.IR: (4, 4)}


@pytest.mark.parametrize(
    ('counts', 'least', 'words'),
    [
        ((20, 0), 2, ('20 visible tracklets but no infrared', 'add a folder CAMERA_ir')),
        ((0, 20), 2, ('no visible', 'CAMERA_rgb')),
        ((20, 15), 2, ('15 infrared tracklets, but a batch draws 16', 'sampler.infrared=(2, 2)')),
        ((7, 20), 2, ('7 visible tracklets, but a batch draws 8', 'sampler.visible=(2, 2)')),
        ((20, 16), 5, ('too few for 4 clusters of at least 5', 'at least 20')),
    ],
)
def test_what_cannot_work_is_refused_with_what_would(counts, least, words):
    reason = refusal(dict(zip(Modality, counts, strict=True)), BATCH, least)
    assert all(word in reason for word in words)
    assert '\n' not in reason


def test_what_can_work_is_not_refused():
    assert refusal({Modality.RGB: 8, Modality.IR: 16}, BATCH, 4) is None
