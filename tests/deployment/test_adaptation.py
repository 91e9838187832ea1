"""Label-free comparison before and after, against brute force and against features whose quality is known."""

import math

import numpy as np
import pytest
import torch

from dscreid.deployment.adaptation import compare, near_share, side_of
from dscreid.deployment.verdict import HARMED, HELPED, UNCLEAR
from dscreid.evaluation import FeatureTable
from dscreid.pseudo_labels import ClusterLabeler
from dscreid.pseudo_labels.clustering.silhouette import silhouette_of_all, silhouettes
from dscreid.pseudo_labels.criteria import CRITERIA, JudgedRound
from dscreid.structures import Modality, TrackletFeatures

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


def test_few_clusters_give_no_interval():
    def people(table, num):
        return FeatureTable(**{name: one[num > WHO] for name, one in table.arrays().items()})

    for num, direction in ((4, 'undefined'), (PEOPLE, 'better')):
        clustering = ClusterLabeler(k1=4, k2=1, eps=0.9, min_samples=2)
        found = compare(people(BAD, num), people(GOOD, num), clustering, np.zeros((0, 2), np.int64))
        assert found.clusters[Modality.RGB][1] > 0
        assert found.changes[0].direction == direction, num
    assert found.verdict == HELPED


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
    units = np.random.default_rng(2).integers(0, 20, len(BAD))
    draws = np.random.default_rng(1).multinomial(20, np.full(20, 1 / 20), size=5)
    for share, drawn in zip(near_share(side, pairs, units, draws), draws, strict=True):
        draw = drawn[units]
        rows = np.repeat(np.arange(len(BAD)), draw)
        threshold = np.median(side.nearest[rows])
        near = [
            similarity > threshold
            for (i, j), similarity in zip(pairs, side.pairs, strict=True)
            for _ in range(draw[i] * draw[j])
        ]
        assert share == pytest.approx(np.mean(near))
    assert np.isnan(near_share(side, pairs, units, np.zeros((1, 20), np.int64))).all()
