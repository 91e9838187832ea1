import dataclasses
import pickle

import pytest
import torch

from dscreid.structures import Modality, ReIDDataSample, Tracklet, TrackletFeatures


def test_modalities_are_their_names():
    assert [modality.value for modality in Modality] == ['rgb', 'ir']
    assert Modality('ir') is Modality.IR
    assert Modality.RGB == 'rgb'
    assert (Modality.RGB.other, Modality.IR.other) == (Modality.IR, Modality.RGB)
    with pytest.raises(ValueError, match='thermal'):
        Modality('thermal')


def test_a_tracklet_is_as_long_as_its_frames_and_does_not_change():
    tracklet = Tracklet(('a.jpg', 'b.jpg'), Modality.IR, camera=3)
    assert len(tracklet) == 2
    assert (tracklet.pid, tracklet.is_query) == (None, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tracklet.pid = 4
    assert pickle.loads(pickle.dumps(tracklet)) == tracklet


def test_features_are_aligned_and_joined():
    features = TrackletFeatures(torch.zeros(2, 3), torch.ones(2, 3))
    assert len(features) == 2
    assert features.concatenated().tolist() == [[0, 0, 0, 1, 1, 1]] * 2


@pytest.mark.parametrize('shapes', [((2, 3), (3, 3)), ((2, 3), (2, 4)), ((6,), (6,))])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError, match='matrices of one shape'):
        TrackletFeatures(*map(torch.zeros, shapes))


def test_a_data_sample_keeps_facts_and_features_apart():
    sample = ReIDDataSample(metainfo=dict(index=3, modality='ir', camera=1))
    sample.feature = torch.ones(2)
    assert sample.index == 3
    assert set(sample.metainfo_keys()) == {'index', 'modality', 'camera'}
    assert sample.keys() == ['feature']
    assert 'pid' not in sample
