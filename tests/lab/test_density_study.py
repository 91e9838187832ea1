"""The study of clustering settings chosen without labels, on planted features and on a real target."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from dscreid.errors import ConfigError
from dscreid.lab.density_study import (
    FAMILY,
    LabeledFeatures,
    best_fixed,
    outcome,
    read_target,
    study_markdown,
    study_target,
)
from dscreid.pseudo_labels import ClusteringSettings, dbscan, jaccard_distance
from dscreid.structures import Modality, TrackletFeatures

GRID = {'k1': (2, 6, 12), 'k2': (1, 3), 'eps': (0.4, 0.6), 'min_samples': (2, 4)}


def planted(people=20, each=6, noise=0.5, seed=0):
    """Features of people with so many tracklets each."""
    generator = torch.Generator().manual_seed(seed)
    pids = np.repeat(np.arange(people), each)
    halves = torch.randn(2, people, 24, generator=generator)[:, pids]
    halves = halves + noise * torch.randn(2, len(pids), 24, generator=generator)
    return LabeledFeatures(TrackletFeatures(*halves), pids)


@pytest.fixture
def target():
    return {Modality.RGB: planted(seed=1), Modality.IR: planted(each=3, seed=2)}


@pytest.mark.slow
def test_the_best_of_a_grid_is_the_best_of_all_its_clusterings():
    part = planted(noise=1.1)
    joined = part.features.concatenated()

    def ari(k1, k2, eps, min_samples):
        labels = dbscan(jaccard_distance(joined, k1, k2, eps), eps, min_samples)
        outliers = labels < 0
        labels[outliers] = labels.max() + 1 + np.arange(outliers.sum())
        return adjusted_rand_score(part.pids, labels)

    tried = {
        (k1, k2, eps, least): ari(k1, k2, eps, least)
        for k1 in GRID['k1']
        for k2 in GRID['k2']
        for eps in GRID['eps']
        for least in GRID['min_samples']
        if k2 <= k1
    }
    best = best_fixed(joined, part.pids, GRID)
    assert best == ClusteringSettings(*max(tried, key=tried.get))
    found = outcome(joined, part.pids, best)
    assert found.ari_all == pytest.approx(max(tried.values()))
    assert 0 < found.labeled <= 1


def test_outcomes_of_each_way(target):
    results = study_target(target, GRID)
    for modality, each in ((Modality.RGB, 6), (Modality.IR, 3)):
        ways = results[modality]
        assert list(ways) == ['best fixed', 'family', 'auto']
        assert ways['family'].settings == FAMILY
        assert ways['auto'].ari_all > 0.95
        assert each <= ways['auto'].settings.k1 <= 1.7 * each


def test_the_table(target):
    lines = study_markdown({'mine': target}, GRID).splitlines()
    assert len(lines) == 2 + 6
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    assert all(len(row) == len(cells[0]) for row in cells)
    assert [row[3] for row in cells[2:]] == ['best fixed', 'family', 'auto'] * 2
    assert cells[2][:3] == ['mine', 'rgb', '120, 20']
    assert cells[2][6] == '0.000'
    assert float(cells[3][6]) > 0.1  # k1=30 merges identities of six


def test_a_config_without_labels_to_make_is_named(tiny_runs, tmp_path):
    with pytest.raises(ConfigError, match='no ClusterHook'):
        read_target(tiny_runs.bupt, tiny_runs.source, tmp_path / 'any.pth')


def test_features_of_a_real_target(tiny_runs, tiny_experiment, one_thread):
    found = read_target(tiny_runs.hitsz, tiny_runs.adapt, tiny_experiment.source_checkpoint)
    for part in found.values():
        assert len(part.pids) == 6 * 4  # tracklets per identity of the preset
        assert np.unique(part.pids, return_counts=True)[1].tolist() == [4] * 6
        assert part.features.static.shape == part.features.dynamic.shape == (24, 32)
