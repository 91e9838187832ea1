"""The labelers of ADCA, PGM and NG on planted identities."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import (
    Labeler,
    PseudoLabels,
    confidence_weights,
    count_votes,
    greedy_matches,
    label_shares,
    match_clusters_progressively,
    overlap_shares,
    soft_targets,
    transport_labels,
)
from dscreid.pseudo_labels.descriptors import mean_descriptors, tracklet_descriptors
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

CLUSTERING = {'type': 'ClusterLabeler', 'k1': 12, 'k2': 3, 'eps': 0.6, 'min_samples': 3}
NAMES = ['AggregationLabeler', 'MatchingLabeler', 'NeighborSoftLabeler', 'TransportLabeler']
RGB, IR = Modality


@LABELERS.register_module()
class PlannedLabels(Labeler):
    """Labels given beforehand."""

    def __init__(self, rgb, ir, shared=False):
        self.labels = PseudoLabels(np.array(rgb, np.int64), np.array(ir, np.int64), shared)

    def __call__(self, visible, infrared, context=None):
        return self.labels


@LABELERS.register_module()
class CuriousLabels(PlannedLabels):
    """A labeler that cannot be called with features alone."""

    needs_context = True


def _world(seed=0, identities=6, each=9, gap=0.15, noise=0.15, d=24):
    """Visible and infrared features of a few identities with a common shift between the modalities."""
    g = torch.Generator().manual_seed(seed)
    centers = torch.randn(2, identities, d, generator=g)
    pids, features = {}, {}
    for modality in Modality:
        ids = torch.arange(identities).repeat_interleave(each)[torch.randperm(identities * each, generator=g)]
        shift = gap * torch.randn(2, 1, d, generator=g)
        both = centers[:, ids] + shift + noise * torch.randn(2, len(ids), d, generator=g)
        features[modality] = TrackletFeatures(*torch.nn.functional.normalize(both, dim=2))
        pids[modality] = ids.numpy()
    return features[RGB], features[IR], pids[RGB], pids[IR]


def _noisy(seed=0):
    """A world whose clusters are imperfect: outliers, and more clusters on one side."""
    visible, infrared, *_ = _world(seed, noise=0.55)
    rng = np.random.default_rng(seed)
    planned = {'type': 'PlannedLabels', 'rgb': rng.permutation(54) % 8 - 1, 'ir': rng.permutation(54) % 6 - 1}
    return visible, infrared, planned


def _pids_of(labels, pids):
    return {label: pids[labels == label][0] for label in np.unique(labels[labels >= 0])}


def _descriptors(features):
    """Both halves of length 1, joined, of length 1 again, written out."""
    halves = [half / half.norm(dim=1, keepdim=True) for half in (features.static, features.dynamic)]
    joined = torch.cat(halves, dim=1)
    return joined / joined.norm(dim=1, keepdim=True)


@pytest.fixture
def logged(monkeypatch):
    """Lines that the labelers log."""
    lines = []
    for module in ('matching', 'neighbor_guided'):
        monkeypatch.setattr(
            f'dscreid.pseudo_labels.labelers.{module}.print_log', lambda message, **_: lines.append(message)
        )
    return lines


def test_descriptors_weigh_both_halves_alike():
    visible, *_ = _world()
    scaled = TrackletFeatures(static=visible.static * 100, dynamic=visible.dynamic * 3)
    torch.testing.assert_close(tracklet_descriptors(scaled), _descriptors(visible))
    torch.testing.assert_close(tracklet_descriptors(visible).norm(dim=1), torch.ones(54))


def test_mean_descriptors_are_plain_means():
    rows = torch.arange(8.0).reshape(4, 2)
    means = mean_descriptors(rows, np.array([1, 0, 1, -1]))
    torch.testing.assert_close(means, torch.tensor([[2.0, 3.0], [2.0, 3.0]]))
    torch.testing.assert_close(mean_descriptors(rows, np.array([0, 0, 1, 1])), torch.tensor([[1.0, 2], [5, 6]]))


@pytest.mark.parametrize('name', NAMES)
def test_the_clusters_are_those_of_the_clustering(name):
    visible, infrared, rgb_pids, ir_pids = _world()
    labels = LABELERS.build({'type': name, 'clustering': CLUSTERING})(visible, infrared)
    plain = LABELERS.build(CLUSTERING)(visible, infrared)
    assert not labels.shared
    np.testing.assert_array_equal(labels.rgb, plain.rgb)
    np.testing.assert_array_equal(labels.ir, plain.ir)
    assert adjusted_rand_score(labels.rgb, rgb_pids) == 1
    assert adjusted_rand_score(labels.ir, ir_pids) == 1


@pytest.mark.parametrize('name', NAMES)
def test_numbers_left_out_are_closed_and_outliers_stay(name):
    visible, infrared, rgb_pids, ir_pids = _world()
    rgb, ir = 3 * rgb_pids + 2, 2 * ir_pids
    rgb[:4] = ir[5] = -1
    planned = {'type': 'PlannedLabels', 'rgb': rgb, 'ir': ir}
    labels = LABELERS.build({'type': name, 'clustering': planned})(visible, infrared)
    np.testing.assert_array_equal(labels.rgb, np.where(rgb >= 0, rgb_pids, -1))
    np.testing.assert_array_equal(labels.ir, np.where(ir >= 0, ir_pids, -1))
    if labels.cross is not None:
        np.testing.assert_array_equal(labels.cross.rgb == -1, labels.rgb == -1)
        np.testing.assert_array_equal(labels.cross.ir == -1, labels.ir == -1)


@pytest.mark.parametrize('name', NAMES)
def test_unfit_clusterings_are_refused(name):
    visible, infrared, rgb_pids, ir_pids = _world()
    planned = {'type': 'PlannedLabels', 'rgb': rgb_pids, 'ir': ir_pids}
    with pytest.raises(ConfigError, match=f'{name}: CuriousLabels needs a context'):
        LABELERS.build({'type': name, 'clustering': {**planned, 'type': 'CuriousLabels'}})
    with pytest.raises(ConfigError, match=f'{name} needs a numbering per modality'):
        LABELERS.build({'type': name, 'clustering': {**planned, 'shared': True}})(visible, infrared)
    with pytest.raises(LabelingError, match=rf'{name}: no cluster in modality ir \(N=54\)'):
        LABELERS.build({'type': name, 'clustering': {**planned, 'ir': [-1] * 54}})(visible, infrared)


@pytest.mark.parametrize(
    ('name', 'bad', 'message'),
    [
        ('AggregationLabeler', {'threshold': 1.5}, 'threshold'),
        ('MatchingLabeler', {'passes': 0}, 'passes'),
        ('NeighborSoftLabeler', {'topk': 0}, 'topk'),
        ('NeighborSoftLabeler', {'max_cluster_ratio': 0}, 'max_cluster_ratio'),
        ('NeighborSoftLabeler', {'sharpness': -1}, 'sharpness'),
        ('NeighborSoftLabeler', {'balance': 2}, 'balance'),
        ('NeighborSoftLabeler', {'passes': 0}, 'passes'),
        ('TransportLabeler', {'marginals': 'even'}, "marginals must be one of .*'even'"),
        ('TransportLabeler', {'sharpness': 0}, 'sharpness'),
        ('TransportLabeler', {'tolerance': -1}, 'tolerance'),
        ('TransportLabeler', {'max_steps': 0}, 'max_steps'),
        ('TransportLabeler', {'topk': -1}, 'topk'),
        ('TransportLabeler', {'max_cluster_ratio': 0}, 'max_cluster_ratio'),
        ('TransportLabeler', {'balance': 2}, 'balance'),
    ],
)
def test_settings_out_of_range_are_refused(name, bad, message):
    with pytest.raises(ConfigError, match=f'{name}: .*{message}'):
        LABELERS.build({'type': name, **bad})


def test_aggregation_pairs_the_same_person(logged):
    visible, infrared, rgb_pids, ir_pids = _world()
    labels = LABELERS.build({'type': 'AggregationLabeler', 'clustering': CLUSTERING})(visible, infrared)
    assert labels.cross is labels.soft is None
    assert labels.matches.shape == (6, 2)
    rgb_name, ir_name = _pids_of(labels.rgb, rgb_pids), _pids_of(labels.ir, ir_pids)
    assert all(rgb_name[p] == ir_name[q] for p, q in labels.matches)
    assert len(logged) == 1
    assert logged[0].startswith('aggregation: 6 of 6 possible')


@pytest.mark.parametrize('threshold', [-0.2, 0.1, 0.4])
def test_aggregation_composes_the_function(threshold, logged):
    visible, infrared, planned = _noisy()
    labels = LABELERS.build({'type': 'AggregationLabeler', 'clustering': planned, 'threshold': threshold})(
        visible, infrared
    )
    votes, _ = count_votes(_descriptors(visible), _descriptors(infrared), planned['rgb'], planned['ir'], threshold)
    expected = greedy_matches(votes)
    assert len(expected)
    np.testing.assert_array_equal(labels.matches, expected)


def test_aggregation_says_when_the_threshold_is_useless(logged):
    visible, infrared, *_ = _world()
    matches = [
        LABELERS.build({'type': 'AggregationLabeler', 'clustering': CLUSTERING, 'threshold': threshold})(
            visible, infrared
        ).matches
        for threshold in (1.0, -1.0)
    ]
    assert matches[0].shape == (0, 2)
    assert 'lower threshold' in logged[0]
    assert len(matches[1]) == 6
    assert '100.00% of the tracklet pairs' in logged[1]
    assert 'raise threshold' in logged[1]


def test_matching_names_the_same_person():
    visible, infrared, rgb_pids, ir_pids = _world()
    labels = LABELERS.build({'type': 'MatchingLabeler', 'clustering': CLUSTERING})(visible, infrared)
    assert labels.matches is labels.soft is labels.cross.soft is None
    rgb_name, ir_name = _pids_of(labels.rgb, rgb_pids), _pids_of(labels.ir, ir_pids)
    np.testing.assert_array_equal([ir_name[label] for label in labels.cross.rgb], rgb_pids)
    np.testing.assert_array_equal([rgb_name[label] for label in labels.cross.ir], ir_pids)


@pytest.mark.parametrize('swap', [False, True])
def test_matching_composes_the_function(swap):
    visible, infrared, planned = _noisy()
    if swap:  # more infrared clusters
        visible, infrared = infrared, visible
        planned = {**planned, 'rgb': planned['ir'], 'ir': planned['rgb']}
    labels = LABELERS.build({'type': 'MatchingLabeler', 'clustering': planned})(visible, infrared)
    centers = []
    for features, own in ((visible, planned['rgb']), (infrared, planned['ir'])):
        rows = _descriptors(features).numpy()
        centers.append(np.stack([rows[own == c].mean(0) for c in range(own.max() + 1)]))
    rgb_to_ir, ir_to_rgb = match_clusters_progressively(*centers)
    np.testing.assert_array_equal(labels.cross.rgb, [rgb_to_ir[y] if y >= 0 else -1 for y in planned['rgb']])
    np.testing.assert_array_equal(labels.cross.ir, [ir_to_rgb[y] if y >= 0 else -1 for y in planned['ir']])


def test_matching_hands_its_options_on():
    visible, infrared, planned = _noisy()
    planned['ir'] = np.where(np.arange(54) < 20, np.arange(54) % 3, -1)  # 7 visible, 3 infrared clusters

    def cross(**options):
        labeler = LABELERS.build({'type': 'MatchingLabeler', 'clustering': planned, **options})
        return labeler(visible, infrared).cross

    known = planned['rgb'] >= 0
    assert (cross().rgb[known] >= 0).all()
    assert (cross(passes=2).rgb[known] == -1).any()
    swapped = LABELERS.build(
        {
            'type': 'MatchingLabeler', 'mirror': False,
            'clustering': {**planned, 'rgb': planned['ir'], 'ir': planned['rgb']},
        }
    )  # fmt: skip
    assert (swapped(infrared, visible).cross.rgb == -1).all()


def _nearest(queries, gallery, k, itself):
    """Plain sort; a tracklet is its own nearest neighbour."""
    similarity = (queries @ gallery.T).numpy()
    if itself:
        np.fill_diagonal(similarity, np.inf)
    return np.argsort(-similarity, axis=1, kind='stable')[:, :k]


def _assert_same(targets, probabilities, weights):
    assert targets.probabilities.dtype == targets.weights.dtype == np.float32
    np.testing.assert_allclose(targets.probabilities.toarray(), probabilities.toarray(), atol=1e-6)
    np.testing.assert_allclose(targets.weights, weights, atol=1e-6)


def test_neighbor_soft_composes_the_functions(logged):
    visible, infrared, planned = _noisy(1)
    settings = {'topk': 5, 'max_cluster_ratio': 0.5, 'balance': 0.6, 'sharpness': 4.0}
    labels = LABELERS.build({'type': 'NeighborSoftLabeler', 'clustering': planned, **settings})(visible, infrared)
    matched = LABELERS.build({'type': 'MatchingLabeler', 'clustering': planned})(visible, infrared).cross
    counts = {RGB: 3, IR: 4}  # half of the mean sizes 47 / 7 and 45 / 5
    rows = {RGB: _descriptors(visible), IR: _descriptors(infrared)}
    for own, other in ((RGB, IR), (IR, RGB)):
        np.testing.assert_array_equal(labels.cross.of(own), matched.of(own))
        for asked, wanted, got in (
            (own, planned[own.value], labels.soft[own]),
            (other, matched.of(own), labels.cross.soft[own]),
        ):
            shares = overlap_shares(_nearest(rows[own], rows[asked], counts[asked], own is asked), planned[asked.value])
            _assert_same(got, soft_targets(wanted, shares, 0.6), confidence_weights(wanted, shares, 4.0))
            assert got.probabilities.shape[1] == planned[asked.value].max() + 1
    assert 'rgb 3 neighbors' in logged[0]
    assert 'ir 4 neighbors' in logged[0]


def test_neighbors_are_as_many_as_the_clusters_bear(logged):
    visible, infrared, rgb_pids, ir_pids = _world()
    ir_pids = np.where(np.arange(54) % 3, -1, ir_pids)  # three tracklets a cluster, roughly
    mean = (ir_pids >= 0).sum() / len(np.unique(ir_pids[ir_pids >= 0]))
    planned = {'type': 'PlannedLabels', 'rgb': rgb_pids, 'ir': ir_pids}
    LABELERS.build({'type': 'NeighborSoftLabeler', 'clustering': planned})(visible, infrared)
    assert 'rgb 18 neighbors' in logged[0]
    assert f'ir {int(2 * mean)} neighbors' in logged[0]
    LABELERS.build({'type': 'NeighborSoftLabeler', 'clustering': planned, 'max_cluster_ratio': None})(visible, infrared)
    assert 'rgb 30 neighbors' in logged[1]
    assert 'ir 30 neighbors' in logged[1]


def test_neighbors_in_pure_clusters_are_trusted():
    visible, infrared, *_ = _world()
    labels = LABELERS.build({'type': 'NeighborSoftLabeler', 'clustering': CLUSTERING, 'topk': 9})(visible, infrared)
    for modality in Modality:
        for targets, wanted in (
            (labels.soft[modality], labels.of(modality)),
            (labels.cross.soft[modality], labels.cross.of(modality)),
        ):
            np.testing.assert_allclose(targets.probabilities.toarray(), np.eye(6)[wanted], atol=1e-6)
            np.testing.assert_allclose(targets.weights, 1)


def test_a_tracklet_is_among_its_own_neighbors_even_beside_a_twin():
    visible, infrared, rgb_pids, ir_pids = _world()
    visible.static[1], visible.dynamic[1] = visible.static[0], visible.dynamic[0]
    rgb_pids[:2] = 0, 1
    planned = {'type': 'PlannedLabels', 'rgb': rgb_pids, 'ir': ir_pids}
    labels = LABELERS.build({'type': 'NeighborSoftLabeler', 'clustering': planned, 'topk': 1})(visible, infrared)
    np.testing.assert_allclose(labels.soft[RGB].weights, 1)


def test_more_neighbors_than_tracklets_and_none_in_a_cluster():
    visible, infrared, rgb_pids, _ = _world()
    lonely = np.full(54, -1)
    lonely[0] = 0  # one infrared tracklet alone carries a label
    planned = {'type': 'PlannedLabels', 'rgb': rgb_pids, 'ir': lonely}
    build = LABELERS.build
    labels = build({'type': 'NeighborSoftLabeler', 'clustering': planned, 'topk': 1})(visible, infrared)
    cross = labels.cross.soft[RGB]
    np.testing.assert_allclose(cross.probabilities.toarray(), np.ones((54, 1)))  # the hard label where none was met
    nearest = _nearest(_descriptors(visible), _descriptors(infrared), 1, False)[:, 0]
    np.testing.assert_allclose(cross.weights, nearest == 0)
    assert np.isfinite(labels.soft[IR].weights).all()
    wide = build({'type': 'NeighborSoftLabeler', 'clustering': planned, 'topk': 500, 'max_cluster_ratio': None})
    assert np.isfinite(wide(visible, infrared).soft[RGB].probabilities.data).all()


@pytest.mark.parametrize('marginals', ['uniform', 'empirical'])
def test_transport_names_the_same_person(marginals):
    visible, infrared, rgb_pids, ir_pids = _world()
    labels = LABELERS.build({'type': 'TransportLabeler', 'clustering': CLUSTERING, 'marginals': marginals})(
        visible, infrared
    )
    rgb_name, ir_name = _pids_of(labels.rgb, rgb_pids), _pids_of(labels.ir, ir_pids)
    np.testing.assert_array_equal([ir_name[label] for label in labels.cross.rgb], rgb_pids)
    np.testing.assert_array_equal([rgb_name[label] for label in labels.cross.ir], ir_pids)


@pytest.mark.parametrize('marginals', ['uniform', 'empirical'])
def test_transport_composes_the_functions(marginals):
    visible, infrared, planned = _noisy(2)
    planned['ir'][planned['ir'] == 0] = 1  # clusters of different sizes
    planned['ir'] -= planned['ir'] > 0
    labels = LABELERS.build(
        {'type': 'TransportLabeler', 'clustering': planned, 'marginals': marginals, 'topk': 5, 'balance': 0.4}
    )(visible, infrared)
    rows = {RGB: _descriptors(visible), IR: _descriptors(infrared)}
    for own, other in ((RGB, IR), (IR, RGB)):
        mine, theirs = planned[own.value], planned[other.value]
        numbers = range(theirs.max() + 1)
        means = np.stack([rows[other].numpy()[theirs == c].mean(0) for c in numbers])
        sizes = np.array([(theirs == c).sum() for c in numbers]) if marginals == 'empirical' else None
        expected = np.full(54, -1)
        expected[mine >= 0] = transport_labels(rows[own].numpy()[mine >= 0], means, sizes)[0]
        np.testing.assert_array_equal(labels.cross.of(own), expected)
        shares = label_shares(_nearest(rows[own], rows[other], 5, False), theirs)
        _assert_same(labels.cross.soft[own], soft_targets(expected, shares, 0.4), mine >= 0)
    assert labels.soft is None


def test_transport_without_refinement_and_without_convergence(logged):
    visible, infrared, planned = _noisy()
    labels = LABELERS.build({'type': 'TransportLabeler', 'clustering': planned, 'topk': 0})(visible, infrared)
    assert labels.cross.soft is None
    assert not logged
    LABELERS.build({'type': 'TransportLabeler', 'clustering': planned, 'max_steps': 1})(visible, infrared)
    assert len(logged) == 2
    assert 'did not converge in 1 steps' in logged[0]


def test_joint_clusters_span_both_modalities():
    visible, infrared, rgb_ids, ir_ids = _world(gap=0.05)
    settings = dict(joint_k1=20, joint_k2=6, joint_eps=0.6, joint_min_samples=3)
    labels = LABELERS.build(dict(type='JointMatchingLabeler', clustering=CLUSTERING, **settings))(visible, infrared)
    plain = LABELERS.build(dict(type='MatchingLabeler', clustering=CLUSTERING))(visible, infrared)
    assert (labels.cross.rgb == plain.cross.rgb).all()
    joint, ids = np.concatenate([labels.joint[m] for m in Modality]), np.concatenate([rgb_ids, ir_ids])
    assert adjusted_rand_score(ids, joint) > 0.95
    assert set(labels.joint[RGB]) & set(labels.joint[IR]) - {-1}
    assert labels.numbered().joint[RGB].max() == labels.joint[RGB].max()


def test_joint_clusters_of_one_modality_each_are_refused():
    visible, infrared, *_ = _world(gap=5.0)
    labeler = LABELERS.build(dict(type='JointMatchingLabeler', clustering=CLUSTERING, joint_k1=6, joint_k2=1))
    with pytest.raises(LabelingError, match=r'none of the \d+ joint clusters has tracklets of both modalities'):
        labeler(visible, infrared)


def test_joint_settings_are_checked():
    with pytest.raises(ConfigError, match=r'JointMatchingLabeler, joint clustering: .*eps'):
        LABELERS.build(dict(type='JointMatchingLabeler', joint_eps=1.5))
