import csv
from collections import Counter
from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_cameras import make_tracklet_folder
from sklearn.metrics import adjusted_rand_score

from dscreid.datasets import TrackletFolder
from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment import linking
from dscreid.deployment.calibration import PAIRS
from dscreid.deployment.linking import constrained_clusters, link_tracklets, thresholds_of, write_identities
from dscreid.deployment.presence import presence_of
from dscreid.errors import ConfigError, ResourceError
from dscreid.structures import Modality


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
    count, seed = draw(st.integers(0, size)), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    margins = rng.normal(draw(st.sampled_from([-0.5, 0.0, 0.5, 2.0])), 1, (count, count))
    margins = np.triu(margins, 1) + np.triu(margins, 1).T
    forbidden = np.triu(rng.random((count, count)) < draw(st.sampled_from([0.0, 0.1, 0.5])), 1)
    margins[forbidden | forbidden.T] = -np.inf
    return margins


@settings(max_examples=300, deadline=None)
@given(problems())
def test_clusters_are_those_of_the_search_for_the_best_pair(margins):
    assert members(constrained_clusters(margins.copy())) == greedy_clusters(margins)


@settings(deadline=None)
@given(problems(size=60), st.randoms())
def test_no_cluster_has_a_forbidden_pair_and_order_does_not_matter(margins, random):
    labels = constrained_clusters(margins.copy())
    np.fill_diagonal(margins, 0)
    for group in members(labels):
        assert np.isfinite(margins[np.ix_(group, group)]).all()
    order = list(range(len(margins)))
    random.shuffle(order)
    shuffled = constrained_clusters(margins[np.ix_(order, order)])
    assert {frozenset(order[i] for i in group) for group in members(shuffled)} == set(map(frozenset, members(labels)))


@pytest.mark.parametrize('margin', [1.0, 0.0, -1.0])
def test_equal_margins_end(margin):
    labels = constrained_clusters(np.full((20, 20), margin))
    assert labels.max() == (0 if margin > 0 else 19)


def test_forbidden_pairs_hold_transitively():
    # 0 and 1 are forbidden; 2 is most similar to 0, so that 1 cannot follow
    margins = np.array([[0, -np.inf, 3.0], [-np.inf, 0, 2.0], [3.0, 2.0, 0]])
    assert constrained_clusters(margins).tolist() == [0, 1, 0]


def test_each_pair_of_modalities_has_its_threshold():
    angles = np.array([0.0, 0.2, 1.0, 1.2])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    modalities = [Modality.RGB, Modality.RGB, Modality.IR, Modality.IR]
    none = np.zeros((4, 4), dtype=bool)
    alike = {'rgb-rgb': 0.9, 'ir-ir': 0.9, 'rgb-ir': 0.9}
    assert link_tracklets(features, modalities, none, alike).tolist() == [1, 1, 2, 2]
    assert link_tracklets(features, modalities, none, alike | {'rgb-ir': 0.4}).tolist() == [1, 1, 1, 1]
    assert link_tracklets(features, modalities, none, alike | {'ir-ir': 0.99}).tolist() == [1, 1, 2, 3]
    assert link_tracklets(features[:2], modalities[:2], none[:2, :2], {'rgb-rgb': 0.99}).tolist() == [1, 2]
    assert link_tracklets(features[:0], [], none[:0, :0], {}).tolist() == []


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
    forbidden = presence_of(rows).together() & (persons[:, None] != persons)
    features = np.eye(persons.max() + 1, dtype=np.float32)[persons]
    modalities = [row.modality for row in rows]
    identities = link_tracklets(features, modalities, forbidden, dict.fromkeys(PAIRS, 0.5))
    assert adjusted_rand_score(persons, identities) == 1
    assert len(set(identities.tolist())) == len(set(persons.tolist())) > 2


def test_tracklets_of_a_world_at_the_same_time_stay_apart(tiny_runs, tmp_path):
    rows = rows_of_a_world(tiny_runs, tmp_path)
    forbidden = presence_of(rows).together()
    assert forbidden.any()
    features = np.ones((len(rows), 1), dtype=np.float32)  # all alike
    modalities = [row.modality for row in rows]
    identities = link_tracklets(features, modalities, forbidden, dict.fromkeys(PAIRS, 0.5))
    assert not (forbidden & (identities[:, None] == identities)).any()
    assert len(set(identities.tolist())) < len(rows) / 2


def test_too_many_tracklets_are_refused(monkeypatch):
    monkeypatch.setattr(linking, 'free_memory', lambda: 100)
    with pytest.raises(ResourceError, match='linking 9 tracklets needs 1 KiB of memory, but 0 KiB are free'):
        link_tracklets(np.zeros((9, 2), np.float32), [Modality.RGB] * 9, np.zeros((9, 9), bool), {'rgb-rgb': 0})


def test_thresholds_are_of_the_pairs_that_occur(bundle):
    assert thresholds_of(bundle, [Modality.IR] * 2, ('similarity', 0.4)) == {'ir-ir': 0.4}
    assert thresholds_of(bundle, list(Modality), ('similarity', 0.4)) == dict.fromkeys(PAIRS, 0.4)
    with pytest.raises(ConfigError, match=r'not calibrated for a false-match rate of 0.001 of ir-ir'):
        thresholds_of(bundle, [Modality.IR], ('rate', 1e-3))


def test_identities_are_a_table(tmp_path):
    rows = [TrackletRow('a,1', 'gate', Modality.RGB, 'a'), TrackletRow('b', 'gate', Modality.IR, 'b')]
    write_identities(tmp_path / 'ids.csv', rows, [1, 2])
    with (tmp_path / 'ids.csv').open(newline='') as file:
        assert list(csv.reader(file)) == [
            ['tracklet', 'camera', 'modality', 'identity'],
            ['a,1', 'gate', 'rgb', '1'],
            ['b', 'gate', 'ir', '2'],
        ]
