from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dscreid.pseudo_labels.labelers import true_labels
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

PIDS = np.array([7, 3, 7, 9, 3])
IS_RGB = np.array([True, False, False, True, True])


@pytest.fixture
def labeler(monkeypatch):
    dataset = SimpleNamespace(
        read_ground_truth=lambda: SimpleNamespace(pids=PIDS),
        indices=lambda modality: np.flatnonzero((Modality(modality) is Modality.RGB) == IS_RGB),
    )
    monkeypatch.setattr(true_labels.DATASETS, 'build', lambda config: dataset)
    return LABELERS.build(dict(type='TrueLabels', dataset=dict(type='any')))


def features(n):
    return TrackletFeatures(torch.zeros(n, 2), torch.zeros(n, 2))


def test_one_numbering_for_both_modalities(labeler):
    labels = labeler(features(3), features(2))
    assert labels.shared
    assert labels.rgb.tolist() == [1, 2, 0]
    assert labels.ir.tolist() == [0, 1]
    assert labels.rgb.dtype == np.int64


@pytest.mark.parametrize('sizes', [(2, 2), (3, 3)])
def test_features_of_other_tracklets_are_refused(labeler, sizes):
    with pytest.raises(ValueError, match='different numbers of tracklets'):
        labeler(*map(features, sizes))


def test_the_target_s_own_ids(tiny_runs):
    config = dict(type='HITSZVCM', root=str(tiny_runs.hitsz), split='train', labelled=False, expected_statistics=None)
    labels = LABELERS.build(dict(type='TrueLabels', dataset=config)).labels
    for values in (labels.rgb, labels.ir):
        assert np.bincount(values).tolist() == [4] * 6
