"""The labelers of RPNR and HIL on planted and on noisy clusters."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import (
    Labeler,
    PseudoLabels,
    calibrated_labels,
    cluster_prototypes,
    match_clusters_by_transport,
    nearest_center_labels,
)
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

RGB, IR = Modality
MODULE = 'dscreid.pseudo_labels.labelers.prototypes'


@LABELERS.register_module()
class GivenLabels(Labeler):
    """Labels given beforehand, which may skip numbers."""

    def __init__(self, rgb, ir):
        self.labels = PseudoLabels(np.array(rgb, np.int64), np.array(ir, np.int64), shared=False)

    def __call__(self, visible, infrared, context=None):
        return self.labels


@pytest.fixture
def logged(monkeypatch):
    """Lines that the labelers log."""
    lines = []
    monkeypatch.setattr(f'{MODULE}.print_log', lambda message, **_: lines.append(message))
    return lines


def world(seed=0, identities=5, each=8, noise=0.15, width=16):
    """Features of both modalities and their identities, with infrared ones in another order."""
    g = torch.Generator().manual_seed(seed)
    centers = torch.randn(2, identities, width, generator=g)
    sides = []
    for _ in Modality:
        pids = torch.arange(identities).repeat_interleave(each)[torch.randperm(identities * each, generator=g)]
        halves = centers[:, pids] + noise * torch.randn(2, len(pids), width, generator=g)
        sides += [TrackletFeatures(*torch.nn.functional.normalize(halves, dim=2)), pids.numpy()]
    return sides


def noisy(seed=0):
    """Features with labels that are a quarter wrong, with outliers and numbers left out."""
    visible, rgb, infrared, ir = world(seed, noise=0.8)
    rng = np.random.default_rng(seed)
    planned = []
    for labels in (rgb, (ir + 2) % 5):
        wrong = rng.random(len(labels)) < 0.25
        labels = np.where(wrong, rng.integers(0, 5, len(labels)), labels)
        planned.append(np.where(rng.random(len(labels)) < 0.1, -1, 3 * labels))
    return visible, infrared, {'type': 'GivenLabels', 'rgb': planned[0], 'ir': planned[1]}


def descriptors(features):
    """Both halves, of length 1 each, joined and of length 1 again."""
    joined = torch.cat([half / half.norm(dim=1, keepdim=True) for half in (features.static, features.dynamic)], dim=1)
    return (joined / joined.norm(dim=1, keepdim=True)).numpy()


def means(rows, labels):
    return np.stack([rows[labels == c].mean(0) for c in range(labels.max() + 1)])


def build(name, **keywords):
    return LABELERS.build({'type': name, **keywords})


@pytest.mark.parametrize('samples', [2, 0.5])
@pytest.mark.parametrize('seed', range(2))
def test_rpnr_composes_the_functions(seed, samples):
    visible, infrared, planned = noisy(seed)
    options = dict(samples=samples, threshold=0.3, regularization=0.5)
    labels = build('PrototypeLabeler', clustering=planned, **options)(visible, infrared)
    rows = {RGB: descriptors(visible), IR: descriptors(infrared)}
    own = {m: np.where(planned[m.value] >= 0, planned[m.value] // 3, -1) for m in Modality}
    rgb_to_ir, ir_to_rgb, _ = match_clusters_by_transport(*(means(rows[m], own[m]) for m in Modality), 0.5)
    for m, partners in ((RGB, rgb_to_ir), (IR, ir_to_rgb)):
        prototypes, _ = cluster_prototypes(rows[m], own[m], samples, 0.3)
        expected = calibrated_labels(rows[m], own[m], prototypes)
        assert (expected != own[m]).any()
        np.testing.assert_array_equal(labels.of(m), expected)
        np.testing.assert_array_equal(labels.centers_of(m), own[m])
        np.testing.assert_array_equal(labels.cross.of(m), [partners[y] if y >= 0 else -1 for y in expected])
    np.testing.assert_array_equal(labels.partners, ir_to_rgb)
    assert labels.matches is None
    assert not labels.shared
    labels.numbered()


def test_rpnr_finds_planted_identities(logged):
    visible, rgb_pids, infrared, ir_pids = world()
    wrong = rgb_pids.copy()
    wrong[:3] = (wrong[:3] + 1) % 5
    labeler = build('PrototypeLabeler', clustering={'type': 'GivenLabels', 'rgb': wrong, 'ir': ir_pids}, samples=0.5)
    labels = labeler(visible, infrared)
    np.testing.assert_array_equal(labels.rgb, rgb_pids)
    np.testing.assert_array_equal(labels.cross.rgb, rgb_pids)
    np.testing.assert_array_equal(labels.cross.ir, ir_pids)
    assert labels.partners.tolist() == list(range(5))
    assert '7.5% of the clustered rgb tracklets change their label' in logged[0]
    assert '0.0% of the clustered ir tracklets' in logged[1]


def test_without_samples_labels_stay(logged):
    visible, infrared, planned = noisy()
    labels = build('PrototypeLabeler', clustering=planned, samples=None)(visible, infrared)
    for m in Modality:
        np.testing.assert_array_equal(labels.of(m), labels.centers_of(m))
    assert not logged


def test_a_transport_that_does_not_converge_is_told(logged):
    visible, infrared, planned = noisy()
    build('PrototypeLabeler', clustering=planned, samples=None, max_steps=1)(visible, infrared)
    assert 'transport of 5 visible to 5 infrared clusters did not converge in 1 steps' in logged[0]


@pytest.mark.parametrize('ratio', [0.0, 0.5, 1.0])
def test_hil_composes_the_function(ratio):
    visible, infrared, planned = noisy()
    labels = build('NearestCenterLabeler', clustering=planned, ratio=ratio)(visible, infrared)
    ir = np.where(planned['ir'] >= 0, planned['ir'] // 3, -1)
    centers = means(descriptors(infrared), ir)
    expected = nearest_center_labels(descriptors(visible), planned['rgb'], centers, ratio)
    np.testing.assert_array_equal(labels.rgb, expected)
    np.testing.assert_array_equal(labels.ir, ir)
    assert labels.shared
    assert labels.cross is labels.partners is labels.center_labels is None
    labels.numbered()


def test_hil_finds_planted_identities():
    visible, rgb_pids, infrared, ir_pids = world()
    clustering = {'type': 'GivenLabels', 'rgb': (rgb_pids + 1) % 5, 'ir': ir_pids}
    labels = build('NearestCenterLabeler', clustering=clustering)(visible, infrared)
    np.testing.assert_array_equal(labels.rgb, rgb_pids)


def test_hil_without_any_label_is_refused():
    away = TrackletFeatures(-torch.eye(4), -torch.eye(4))
    toward = TrackletFeatures(torch.eye(4), torch.eye(4))
    clustering = {'type': 'GivenLabels', 'rgb': [0, 0, 1, 1], 'ir': [0, 0, 0, 0]}
    with pytest.raises(LabelingError, match='no visible tracklet is near an infrared center; lower ratio'):
        build('NearestCenterLabeler', clustering=clustering)(away, toward)


@pytest.mark.parametrize(
    ('name', 'bad', 'message'),
    [
        ('PrototypeLabeler', {'samples': 0}, 'samples must be an int of at least 1'),
        ('PrototypeLabeler', {'samples': 1.5}, 'samples must be an int of at least 1'),
        ('PrototypeLabeler', {'threshold': 2}, 'threshold'),
        ('PrototypeLabeler', {'regularization': 0}, 'regularization > 0'),
        ('PrototypeLabeler', {'max_steps': 0}, 'max_steps'),
        ('PrototypeLabeler', {'tolerance': -1}, 'tolerance'),
        ('NearestCenterLabeler', {'ratio': 1.5}, r'ratio must lie in \[0, 1\]'),
    ],
)
def test_settings_out_of_range_are_refused(name, bad, message):
    with pytest.raises(ConfigError, match=f'{name}: .*{message}'):
        build(name, **bad)
