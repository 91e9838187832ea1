"""GUR's labelers on planted identities seen by several cameras."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import normalize

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import LabelingContext, dbscan, jaccard_distance, smooth_labels, vote_across
from dscreid.pseudo_labels.descriptors import tracklet_descriptors
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

RGB, IR = Modality
LOOSE = {'k1': 8, 'k2': 2, 'eps': 0.6, 'min_samples': 3}
CLUSTERING = {'type': 'ClusterLabeler', **LOOSE}
AUTO = {'k1': 'auto', 'k2': 'auto', 'eps': 'auto', 'min_samples': 'auto'}


class World:
    """Identities with five tracklets in each of two cameras of each modality; cameras and modalities shift them."""

    def __init__(self, gap=0.3, camera_gap=0.2, noise=0.05, identities=5, each=5, seed=0):
        g = torch.Generator().manual_seed(seed)
        people = torch.randn(2, identities, 24, generator=g)
        self.pids, self.cameras, self.features = {}, {}, {}
        for modality in Modality:
            rows = torch.randperm(identities * 2 * each, generator=g)
            pids, cameras = (
                torch.arange(identities).repeat_interleave(2 * each)[rows],
                torch.arange(2).repeat(identities * each)[rows],
            )
            shifts = camera_gap * torch.randn(2, 2, 24, generator=g)
            both = people[:, pids] + gap * torch.randn(2, 1, 24, generator=g) + shifts[:, cameras]
            both = both + noise * torch.randn(2, len(pids), 24, generator=g)
            self.features[modality] = TrackletFeatures(*normalize(both, dim=2))
            self.pids[modality] = pids.numpy()
            self.cameras[modality] = 3 + 4 * cameras.numpy()  # numbers 3 and 7

    def context(self, epoch=1, labels=None):
        """After an epoch on some labels, with their centres."""
        if labels is None:
            return LabelingContext(epoch, self.cameras)
        centers = {m: means(self.features[m], labels.of(m)) for m in Modality}
        return LabelingContext(epoch, self.cameras, centers, labels.groups)

    def label(self, config, context=None):
        return LABELERS.build(config)(self.features[RGB], self.features[IR], *([] if context is None else [context]))


def means(features, labels):
    halves = (features.static, features.dynamic)
    rows = [torch.stack([half[labels == c].mean(dim=0) for c in range(labels.max() + 1)]) for half in halves]
    return TrackletFeatures(*(normalize(part, dim=1) for part in rows))


def no_world(num=30):
    """Features without any structure."""
    return TrackletFeatures(*torch.randn(2, num, 24, generator=torch.Generator().manual_seed(3)))


@pytest.fixture
def world():
    return World()


# ---- phase A


def test_cameras_are_clustered_alone_and_numbered_on(world):
    labels = world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    assert not labels.shared
    for modality in Modality:
        values, cameras = labels.of(modality), world.cameras[modality]
        # five identities in each of two cameras, none across cameras
        both = world.pids[modality] * 10 + cameras
        assert adjusted_rand_score(both, values) == 1
        assert labels.groups[modality].tolist() == [3] * 5 + [7] * 5
        np.testing.assert_array_equal(labels.groups[modality][values], cameras)


def test_a_camera_is_clustered_as_if_it_were_all(world):
    features = tracklet_descriptors(world.features[RGB])
    labels = world.label({'type': 'CameraLabeler', **LOOSE, 'eps': 0.5}, world.context()).rgb
    first = world.cameras[RGB] == 3
    expected = dbscan(jaccard_distance(features[torch.from_numpy(first)], 8, 2, 0.5), 0.5, 3)
    np.testing.assert_array_equal(labels[first], expected)


def test_a_camera_without_clusters_is_left_out(world):
    world.cameras[IR][:2] = 99
    world.cameras[IR][2:4] = 1
    labels = world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    assert (labels.ir[:4] == -1).all()
    assert set(labels.groups[IR]) == {3, 7}
    assert sorted(np.unique(labels.ir[labels.ir >= 0])) == list(range(len(labels.groups[IR])))


def test_the_log_of_empty_cameras(world, monkeypatch):
    lines = []
    monkeypatch.setattr('dscreid.pseudo_labels.labelers.gur.print_log', lambda text, **_: lines.append(text))
    world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    assert not lines
    world.cameras[IR][:2] = 99
    world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    assert [line.split(';')[0] for line in lines] == ['CameraLabeler: ir cameras 99 have no cluster']


def test_no_cluster_in_any_camera_is_an_error(world):
    world.features[IR] = no_world(50)
    with pytest.raises(LabelingError, match=r'CameraLabeler: no cluster in modality ir \(N=50\).*without cameras'):
        world.label({'type': 'CameraLabeler', 'k1': 8, 'k2': 1, 'eps': 0.01}, world.context())


def test_cameras_with_too_few_tracklets_are_refused_before_training(world):
    labeler = LABELERS.build({'type': 'CameraLabeler', 'min_samples': 25})
    labeler.check_cameras(world.cameras)
    labeler = LABELERS.build({'type': 'CameraLabeler', 'min_samples': 26})
    with pytest.raises(
        ConfigError,
        match=r'needs 26 rgb tracklets of one camera, but the largest of 2 cameras has 25; lower min',
    ):
        labeler.check_cameras(world.cameras)
    with pytest.raises(ConfigError, match='the largest of 0 cameras has 0'):
        labeler.check_cameras({RGB: np.zeros(30), IR: np.empty(0)})


# ---- phase B with cameras


def test_affinities_join_what_cameras_part():
    world = World(camera_gap=0.9)
    plain = world.label(CLUSTERING)
    cameras = world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    labels = world.label({'type': 'ProxyAffinityLabeler', **LOOSE}, world.context(labels=cameras))
    assert not labels.shared
    assert labels.groups is None
    for modality in Modality:
        score = adjusted_rand_score(world.pids[modality], labels.of(modality))
        assert score > adjusted_rand_score(world.pids[modality], plain.of(modality)) + 0.1


def test_affinities_need_camera_clusters(world):
    config = {'type': 'ProxyAffinityLabeler', **LOOSE}
    for context in (world.context(4), world.context(4, labels=world.label(CLUSTERING))):
        with pytest.raises(ConfigError, match=r'before epoch 5 was not labeled by CameraLabeler'):
            world.label(config, context)


# ---- phase C


def test_joint_clusters_span_both_modalities():
    world = World(gap=0.8)
    separate = world.label(CLUSTERING)
    labels = world.label({'type': 'JointLabeler', **LOOSE, 'k1': 16}, world.context(labels=separate))
    assert labels.shared
    assert labels.rgb.dtype == labels.ir.dtype == np.int64
    both = np.concatenate([labels.rgb, labels.ir])
    assert sorted(np.unique(both[both >= 0])) == list(range(both.max() + 1))
    together = adjusted_rand_score(np.concatenate([world.pids[RGB], world.pids[IR]]), both)
    assert together > 0.9


def test_joint_descriptors_are_the_formula(world):
    context = world.context(labels=world.label(CLUSTERING))
    labels = world.label({'type': 'JointLabeler', **LOOSE, 'scale': 15.0}, context)
    tracklets = torch.cat([tracklet_descriptors(world.features[m]) for m in Modality])
    parts = [(15 * tracklets @ tracklet_descriptors(context.centers[m]).T).softmax(dim=1) for m in Modality]
    expected = dbscan(jaccard_distance(torch.cat(parts, dim=1), 8, 2, 0.6), 0.6, 3)
    np.testing.assert_array_equal(np.concatenate([labels.rgb, labels.ir]), expected)


def test_joint_clustering_needs_centres_and_both_modalities(world):
    config = {'type': 'JointLabeler', **LOOSE}
    with pytest.raises(ConfigError, match='no centers before the first epoch'):
        world.label(config, world.context(0))
    context = world.context(labels=world.label(CLUSTERING))
    empty = TrackletFeatures(torch.zeros(0, 24), torch.zeros(0, 24))
    with pytest.raises(LabelingError, match=r'JointLabeler: no cluster in modality ir \(N=0\)'):
        LABELERS.build(config)(world.features[RGB], empty, context)


# ---- unification


def test_infrared_labels_are_taken_over():
    world = World(camera_gap=0)
    config = {'type': 'UnificationLabeler', 'clustering': CLUSTERING, 'topk': 10, 'smoothing_topk': 5}
    labels = world.label(config)
    assert labels.shared
    assert labels.center_modality is IR
    np.testing.assert_array_equal(labels.ir, world.label(CLUSTERING).ir)
    name = dict(zip(world.pids[IR], labels.ir, strict=True))
    np.testing.assert_array_equal(labels.rgb, [name[pid] for pid in world.pids[RGB]])
    assert world.label({**config, 'infrared_centers': False}).center_modality is None


@pytest.mark.parametrize('smoothing_topk', [None, 6])
@pytest.mark.parametrize('outliers_vote', [True, False])
def test_unification_composes_the_functions(smoothing_topk, outliers_vote):
    world = World(gap=0.5, noise=1.3)
    config = {'type': 'UnificationLabeler', 'clustering': CLUSTERING, 'topk': 4, 'temperature': 0.5}
    labels = world.label({**config, 'smoothing_topk': smoothing_topk, 'outliers_vote': outliers_vote})
    visible, infrared = (tracklet_descriptors(world.features[m]) for m in Modality)
    voted = vote_across(visible, infrared, world.label(CLUSTERING).ir, 4, 0.5, outliers_vote)
    smooth = smooth_labels(visible, voted, 6, outliers_vote)
    np.testing.assert_array_equal(labels.rgb, voted if smoothing_topk is None else smooth)
    assert (voted != smooth).any()


def test_the_clustering_gets_the_context(world):
    inner = {'type': 'ProxyAffinityLabeler', **LOOSE}
    config = {'type': 'UnificationLabeler', 'clustering': inner, 'topk': 10}
    cameras = world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    context = world.context(labels=cameras)
    np.testing.assert_array_equal(world.label(config, context).ir, world.label(inner, context).ir)
    labeler = LABELERS.build(config)
    assert labeler.needs_context
    assert labeler.needs_centers
    assert not LABELERS.build({'type': 'UnificationLabeler', 'clustering': CLUSTERING}).needs_context
    with pytest.raises(ConfigError, match='ProxyAffinityLabeler needs a LabelingContext'):
        world.label(config)


def test_nothing_unified_is_explained(world):
    config = {'type': 'UnificationLabeler', 'clustering': CLUSTERING, 'smoothing_topk': None, 'topk': 1}
    labeler = LABELERS.build(config)
    # visible tracklets all next to one infrared outlier
    lonely = torch.full((1, 24), 1.0)
    infrared = TrackletFeatures(*(torch.cat([half, lonely]) for half in (
        world.features[IR].static, world.features[IR].dynamic)))  # fmt: skip
    visible = TrackletFeatures(*(lonely + 0.01 * no_world(50).static for _ in range(2)))
    with pytest.raises(LabelingError, match=r'no visible tracklet got an infrared label.*outliers_vote'):
        labeler(visible, infrared)


# ---- all


@pytest.mark.parametrize(
    'bad',
    [
        {'type': 'CameraLabeler', 'eps': 0},
        {'type': 'CameraLabeler', 'k1': 0},
        {'type': 'JointLabeler', 'eps': 1.0},
        {'type': 'JointLabeler', 'scale': 0},
        {'type': 'ProxyAffinityLabeler', 'min_samples': 0},
        {'type': 'ProxyAffinityLabeler', 'scale': -1},
        {'type': 'UnificationLabeler', 'topk': 0},
        {'type': 'UnificationLabeler', 'smoothing_topk': 0},
        {'type': 'UnificationLabeler', 'temperature': 0},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ConfigError, match=rf'^{bad["type"]}: .*(at least 1|positive)'):
        LABELERS.build(bad)


@pytest.mark.parametrize('kind', ['CameraLabeler', 'JointLabeler', 'ProxyAffinityLabeler'])
def test_diverged_features_are_refused(world, kind):
    cameras = world.label({'type': 'CameraLabeler', **LOOSE}, world.context())
    context = world.context(labels=cameras)
    world.features[IR].dynamic[3, 2] = torch.nan
    with pytest.raises(ValueError, match=r'1 of .* rows of features hold NaN'):
        world.label({'type': kind, **LOOSE}, context)


# ---- settings chosen from the features


def test_every_phase_takes_chosen_settings(monkeypatch):
    lines = []
    monkeypatch.setattr('dscreid.pseudo_labels.clustering.density.print_log', lambda text, **_: lines.append(text))
    world = World(identities=16)
    cameras = world.label({'type': 'CameraLabeler', **AUTO}, world.context())
    assert adjusted_rand_score(world.pids[RGB] * 10 + world.cameras[RGB], cameras.rgb) > 0.95
    assert not lines  # a line for each camera and epoch would drown the log
    within = world.label({'type': 'ProxyAffinityLabeler', **AUTO}, world.context(labels=cameras))
    assert adjusted_rand_score(world.pids[IR], within.ir) > 0.9
    assert [line.split(':')[0] for line in lines] == ['clustering of rgb', 'clustering of ir']
    joint = world.label({'type': 'JointLabeler', **AUTO}, world.context(labels=within))
    assert joint.shared
    assert lines[-1].startswith('clustering of both modalities: k1=')


def test_cameras_of_single_tracklets_are_refused_with_chosen_settings(world):
    labeler = LABELERS.build({'type': 'CameraLabeler', **AUTO})
    labeler.check_cameras(world.cameras)
    with pytest.raises(ConfigError, match='a cluster needs 2 rgb tracklets of one camera') as error:
        labeler.check_cameras({m: np.arange(50) for m in Modality})
    assert 'lower min_samples' not in str(error.value)
