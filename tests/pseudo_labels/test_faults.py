"""What counts as useless labels and features."""

import itertools
import re

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.pseudo_labels import PseudoLabels
from dscreid.pseudo_labels.faults import LabelLimits, feature_faults, label_faults, mean_cosine
from dscreid.structures import Modality, TrackletFeatures

GOOD = np.repeat(np.arange(3), 4)


def labels(rgb, ir=GOOD):
    return PseudoLabels(np.asarray(rgb, np.int64), np.asarray(ir, np.int64), shared=False)


def test_mean_cosine_is_the_mean_over_pairs():
    rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    pairs = [
        torch.nn.functional.cosine_similarity(rows[i], rows[j], dim=0) for i, j in itertools.permutations(range(7), 2)
    ]
    assert mean_cosine(rows) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-6)
    assert np.isnan(mean_cosine(rows[:1]))


@pytest.mark.parametrize(
    ('rgb', 'message'),
    [
        ([-1] * 12, r'^0 clusters of 12 rgb tracklets \(0% labeled\), but 2 are needed.*raise eps'),
        ([0] * 12, r'^1 clusters of 12 rgb tracklets \(100% labeled\), but 2 are needed.*lower eps'),
        ([0, 0, *[-1] * 10], r'^1 clusters of 12 rgb tracklets \(17% labeled\).*raise eps'),
        (range(12), r'^12 clusters of 12 rgb tracklets, more than 0\.5 per tracklet.*raise min_samples'),
        ([*range(7), *[0] * 5], r'^7 clusters of 12 rgb tracklets, more than 0\.5'),
    ],
)
def test_labels_of_no_use(rgb, message):
    (fault,) = label_faults(labels(rgb))
    assert re.search(message, fault), fault
    (other,) = label_faults(labels(GOOD, rgb))
    assert ' ir tracklets' in other


def test_labels_of_use():
    assert label_faults(labels(GOOD)) == []
    assert label_faults(labels([*range(6), *range(6)])) == []  # exactly a half
    assert label_faults(labels([0] * 12), LabelLimits(min_clusters=1)) == []
    assert label_faults(labels(range(12)), LabelLimits(max_cluster_share=1)) == []


def test_collapsed_features():
    generator = torch.Generator().manual_seed(1)
    spread = torch.randn(20, 8, generator=generator)
    point = torch.ones(20, 8) + 0.01 * spread
    collapsed, half = TrackletFeatures(point, point), TrackletFeatures(point, spread)
    assert feature_faults({Modality.RGB: half, Modality.IR: half}) == []
    (fault,) = feature_faults({Modality.RGB: half, Modality.IR: collapsed})
    assert fault.startswith('the ir features have collapsed: the mean cosine between two tracklets is 0.999')
    assert feature_faults({Modality.IR: collapsed}, LabelLimits(max_cosine=1)) == []
    assert feature_faults({Modality.IR: TrackletFeatures(point[:1], point[:1])}) == []


@pytest.mark.parametrize(
    'wrong', [dict(min_clusters=0), dict(max_cluster_share=0), dict(max_cluster_share=2), dict(max_cosine=0)]
)
def test_limits_out_of_range(wrong):
    with pytest.raises(ConfigError, match='limits of pseudo labels'):
        LabelLimits(**wrong)
