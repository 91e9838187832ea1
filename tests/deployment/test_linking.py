from collections import Counter
from datetime import datetime, timedelta
from itertools import combinations
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_cameras import make_tracklet_folder
from sklearn.metrics import adjusted_rand_score

from dscreid.datasets import TrackletFolder
from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment import linking
from dscreid.deployment.calibration import PAIRS, pair_of
from dscreid.deployment.linking import link_tracklets, thresholds_of
from dscreid.deployment.presence import presence_of
from dscreid.errors import ConfigError, ResourceError
from dscreid.structures import Modality

LIMITS = {'rgb-rgb': 0.1, 'ir-ir': -0.1, 'rgb-ir': 0.05}
NOBODY = np.zeros((0, 2), dtype=np.int64)


class Problem(NamedTuple):
    features: np.ndarray
    modalities: list
    apart: np.ndarray

    def solve(self):
        return link_tracklets(self.features, self.modalities, self.apart, LIMITS) - 1

    def margins(self):
        """Similarities minus thresholds, -inf for pairs that are apart."""
        pairs = np.array([[LIMITS[pair_of(a, b)] for b in self.modalities] for a in self.modalities])
        wide = self.features.astype(np.float64)
        margins = wide @ wide.T - pairs.reshape(len(wide), len(wide))
        margins[tuple(self.apart.T)] = margins[tuple(self.apart.T[::-1])] = -np.inf
        return margins


def greedy_clusters(margins):
    """Merge the best pair of clusters, found by trying all, until none has a positive average."""
    clusters = [[i] for i in range(len(margins))]
    while True:
        averages = {(a, b): margins[np.ix_(clusters[a], clusters[b])].mean() for a, b in
                    combinations(range(len(clusters)), 2)}  # fmt: skip
        best = max(averages, key=averages.__getitem__, default=None)
        if best is None or averages[best] <= 0:
            return sorted(clusters)
        clusters[best[0]] = sorted(clusters[best[0]] + clusters[best[1]])
        del clusters[best[1]]


def members(labels):
    return [np.flatnonzero(labels == number).tolist() for number in range(labels.max(initial=-1) + 1)]


@st.composite
def problems(draw, size=10):
    count, dim, seed = draw(st.integers(0, size)), draw(st.sampled_from([2, 5])), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    features = rng.normal(draw(st.sampled_from([0.0, 0.3])), 1, (count, dim)).astype(np.float32)
    modalities = [list(Modality)[kind] for kind in rng.integers(0, 2, count)]
    apart = np.argwhere(np.triu(rng.random((count, count)) < draw(st.sampled_from([0.0, 0.1, 0.5])), 1))
    return Problem(features, modalities, apart)


@settings(max_examples=300, deadline=None)
@given(problems())
def test_groups_are_those_of_the_search_for_the_best_pair(problem):
    assert members(problem.solve()) == greedy_clusters(problem.margins())


@settings(deadline=None)
@given(problems(size=60), st.randoms(), st.sampled_from([1, 100, 10_000]))
def test_no_group_has_a_pair_apart_and_neither_order_nor_blocks_matter(problem, random, block):
    labels = problem.solve()
    margins = problem.margins()
    for group in members(labels):
        assert np.isfinite(margins[np.ix_(group, group)]).all()
    order = list(range(len(margins)))
    random.shuffle(order)
    place = np.argsort(order)
    shuffled = Problem(problem.features[order], [problem.modalities[i] for i in order], place[problem.apart])
    with mock.patch.object(linking, '_BLOCK', block):
        found = {frozenset(order[i] for i in group) for group in members(shuffled.solve())}
    assert found == set(map(frozenset, members(labels)))


@pytest.mark.parametrize('similarity', [1.0, 0.5, 0.0])
def test_equal_similarities_end(similarity):
    features = np.full((20, 1), similarity**0.5, dtype=np.float32)
    labels = link_tracklets(features, [Modality.IR] * 20, NOBODY, {'ir-ir': 0.75})
    assert labels.max() == (1 if similarity > 0.75 else 20)


@pytest.mark.parametrize('seed', range(5))
def test_the_same_features_again_and_again_end(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(3, 40)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    numbers = rng.integers(0, 3, 90)
    labels = link_tracklets(features[numbers], [Modality.RGB] * 90, NOBODY, {'rgb-rgb': 0.9})
    assert adjusted_rand_score(numbers, labels) == 1


def test_pairs_apart_hold_transitively():
    # 0 and 1 are apart; 2 is most similar to 0, so that 1 cannot follow
    features = np.array([[1, 0.0], [0.8, 0.6], [0.95, 0.1]], dtype=np.float32)
    assert link_tracklets(features, [Modality.RGB] * 3, np.array([[1, 0]]), {'rgb-rgb': 0.1}).tolist() == [1, 2, 1]


def test_each_pair_of_modalities_has_its_threshold():
    angles = np.array([0.0, 0.2, 1.0, 1.2])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    modalities = [Modality.RGB, Modality.RGB, Modality.IR, Modality.IR]
    alike = {'rgb-rgb': 0.9, 'ir-ir': 0.9, 'rgb-ir': 0.9}
    assert link_tracklets(features, modalities, NOBODY, alike).tolist() == [1, 1, 2, 2]
    assert link_tracklets(features, modalities, NOBODY, alike | {'rgb-ir': 0.4}).tolist() == [1, 1, 1, 1]
    assert link_tracklets(features, modalities, NOBODY, alike | {'ir-ir': 0.99}).tolist() == [1, 1, 2, 3]
    assert link_tracklets(features[:2], modalities[:2], NOBODY, {'rgb-rgb': 0.99}).tolist() == [1, 2]
    assert link_tracklets(features[:0], [], NOBODY, {}).tolist() == []


def rows_of_a_world(tiny_runs, tmp_path):
    """The tracklets of a rendered world, with times at which several of one camera overlap."""
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own')
    start, rows = datetime(2026, 3, 1), []
    seen = Counter()
    for row in TrackletFolder(root, 'test').rows:
        moment = start + timedelta(seconds=seen[row.camera, row.modality] // 2)
        seen[row.camera, row.modality] += 1
        rows.append(TrackletRow(row.tracklet, row.camera, row.modality, '', row.frames, moment, moment, row.person))
    return rows


def test_perfect_features_of_a_world_give_perfect_identities(tiny_runs, tmp_path):
    rows = rows_of_a_world(tiny_runs, tmp_path)
    persons = np.unique([row.person for row in rows], return_inverse=True)[1]
    pairs = presence_of(rows).pairs()
    apart = pairs[persons[pairs[:, 0]] != persons[pairs[:, 1]]]
    features = np.eye(persons.max() + 1, dtype=np.float32)[persons]
    modalities = [row.modality for row in rows]
    identities = link_tracklets(features, modalities, apart, dict.fromkeys(PAIRS, 0.5))
    assert adjusted_rand_score(persons, identities) == 1
    assert len(set(identities.tolist())) == len(set(persons.tolist())) > 2


def test_tracklets_of_a_world_at_the_same_time_stay_apart(tiny_runs, tmp_path):
    rows = rows_of_a_world(tiny_runs, tmp_path)
    apart = presence_of(rows).pairs()
    assert len(apart)
    features = np.ones((len(rows), 1), dtype=np.float32)  # all alike
    modalities = [row.modality for row in rows]
    identities = link_tracklets(features, modalities, apart, dict.fromkeys(PAIRS, 0.5))
    assert (identities[apart[:, 0]] != identities[apart[:, 1]]).all()
    assert len(set(identities.tolist())) < len(rows) / 2


def test_too_many_pairs_are_refused(monkeypatch):
    monkeypatch.setattr(linking, 'free_memory', lambda: 1000)
    features = np.eye(100, dtype=np.float32)
    assert link_tracklets(features, [Modality.RGB] * 100, NOBODY, {'rgb-rgb': 0.5}).max() == 100
    monkeypatch.setattr(linking, '_BLOCK', 1000)
    with pytest.raises(ResourceError, match=r'100 tracklets needs more than the 1 KiB .* with the first 10% of'):
        link_tracklets(features, [Modality.RGB] * 100, NOBODY, {'rgb-rgb': -0.5})


def test_thresholds_are_of_the_pairs_that_occur(bundle):
    assert thresholds_of(bundle, [Modality.IR] * 2, ('similarity', 0.4)) == {'ir-ir': 0.4}
    assert thresholds_of(bundle, list(Modality), ('similarity', 0.4)) == dict.fromkeys(PAIRS, 0.4)
    with pytest.raises(ConfigError, match=r'not calibrated for a false-match rate of 0.001 for ir-ir'):
        thresholds_of(bundle, [Modality.IR], ('rate', 1e-3))
