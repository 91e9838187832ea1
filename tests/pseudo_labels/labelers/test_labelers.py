"""The registered labelers on planted identities."""

import contextlib

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import (
    choose_for_same_people,
    choose_settings,
    correct_labels,
    dbscan,
    jaccard_distance,
    settings_for,
    unify_labels,
)
from dscreid.pseudo_labels.labelers import unification
from dscreid.pseudo_labels.unification import pool_votes
from dscreid.pseudo_labels.whitening import whitened
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures

CLUSTERING = {'type': 'ClusterLabeler', 'k1': 12, 'k2': 3, 'eps': 0.6, 'min_samples': 3}


def _world(seed=0, identities=6, each=9, gap=0.15, noise=0.15, d=24):
    """Visible and infrared features of a few identities with a common shift between the modalities."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(2, identities, d, generator=g)
    pids, features = {}, {}
    for modality in Modality:
        ids = torch.arange(identities).repeat_interleave(each)[torch.randperm(identities * each, generator=g)]
        shift = gap * torch.randn(2, 1, d, generator=g)
        both = centres[:, ids] + shift + noise * torch.randn(2, len(ids), d, generator=g)
        features[modality] = TrackletFeatures(*torch.nn.functional.normalize(both, dim=2))
        pids[modality] = ids.numpy()
    return features[Modality.RGB], features[Modality.IR], pids[Modality.RGB], pids[Modality.IR]


def test_clustering_finds_planted_identities():
    rgb, ir, rgb_pids, ir_pids = _world()
    labels = LABELERS.build(CLUSTERING)(rgb, ir)
    assert not labels.shared
    assert adjusted_rand_score(labels.rgb, rgb_pids) == 1
    assert adjusted_rand_score(labels.ir, ir_pids) == 1


def test_clustering_weighs_both_halves_alike():
    rgb, ir, *_ = _world(noise=0.5)
    scaled = TrackletFeatures(static=rgb.static * 100, dynamic=rgb.dynamic)
    labeler = LABELERS.build(CLUSTERING)
    np.testing.assert_array_equal(labeler(scaled, ir).rgb, labeler(rgb, ir).rgb)
    expected = dbscan(jaccard_distance(rgb.concatenated(), 12, 3), 0.6, 3)
    np.testing.assert_array_equal(labeler(rgb, ir).rgb, expected)


def test_settings_per_modality():
    rgb, ir, *_ = _world(noise=0.5)
    labeler = LABELERS.build({**CLUSTERING, 'visible': {'k1': 5, 'eps': 0.4}, 'infrared': {'min_samples': 2}})
    labels = labeler(rgb, ir)
    visible = dbscan(jaccard_distance(rgb.concatenated(), 5, 3, max_distance=0.4), 0.4, 3)
    np.testing.assert_array_equal(labels.rgb, visible)
    np.testing.assert_array_equal(labels.ir, dbscan(jaccard_distance(ir.concatenated(), 12, 3), 0.6, 2))


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    """What the labeler logs."""
    logged = []
    monkeypatch.setattr(
        'dscreid.pseudo_labels.clustering.density.print_log', lambda message, **_: logged.append(message)
    )
    return logged


AUTO = {'type': 'ClusterLabeler', 'k1': 'auto', 'k2': 'auto', 'eps': 'auto', 'min_samples': 'auto'}


def test_chosen_settings_are_used_and_logged(lines):
    rgb, ir, rgb_pids, _ = _world(identities=20)
    few = torch.arange(len(ir)) % 3 == 0  # a third of the tracklets: another density
    ir = TrackletFeatures(ir.static[few], ir.dynamic[few])
    labels = LABELERS.build(AUTO)(rgb, ir)
    joined = [features.concatenated() for features in (rgb, ir)]
    choices = choose_for_same_people(joined, [{}, {}])
    for modality, features, choice in zip(Modality, joined, choices, strict=True):
        chosen = choice.settings
        expected = dbscan(jaccard_distance(features, chosen.k1, chosen.k2, chosen.eps), chosen.eps, chosen.min_samples)
        np.testing.assert_array_equal(labels.of(modality), expected)
        assert f'clustering of {modality.value}: {chosen}' in lines
    assert choices[1].settings.k1 < choices[0].settings.k1
    assert adjusted_rand_score(labels.rgb, rgb_pids) > 0.95


def test_the_clearer_modality_decides_for_both():
    rgb, *_ = _world(identities=20)
    each = len(rgb) // 20
    blurred = rgb.concatenated() + 3 * torch.randn(len(rgb), 48, generator=torch.Generator().manual_seed(5))
    clear, vague = choose_for_same_people([rgb.concatenated(), blurred], [{}, {'k2': 1}])
    assert clear.settings == choose_settings(rgb.concatenated()).settings
    assert each <= clear.settings.k1 <= 1.7 * each
    assert vague.settings == settings_for(clear.settings.k1, k2=1)
    half = blurred[::2]
    assert choose_for_same_people([half, rgb.concatenated()], [{}, {}])[0].settings == settings_for(
        round(clear.settings.k1 * len(half) / len(rgb))
    )


def test_where_nothing_is_clear_each_modality_stays_by_itself():
    few = torch.eye(8)[:3]
    choices = choose_for_same_people([few, few[:2]], [{}, {'k2': 1}])
    assert [choice.settings for choice in choices] == [settings_for(2), settings_for(2, k2=1)]
    assert all(choice.silent for choice in choices)


def test_some_settings_chosen(lines):
    rgb, ir, *_ = _world(noise=0.5)
    labeler = LABELERS.build({**CLUSTERING, 'k2': 'auto', 'visible': {'k1': 'auto', 'min_samples': 'auto'}})
    labels = labeler(rgb, ir)
    visible = choose_settings(rgb.concatenated(), eps=0.6).settings
    assert lines == [
        f'clustering of rgb: {visible}',
        f'clustering of ir: {settings_for(12, eps=0.6, min_samples=3)}',
    ]
    expected = dbscan(jaccard_distance(rgb.concatenated(), visible.k1, visible.k2), 0.6, visible.min_samples)
    np.testing.assert_array_equal(labels.rgb, expected)


def test_fixed_settings_are_not_touched(monkeypatch, lines):
    def choose(*_, **__):
        raise AssertionError('nothing is left to choose')

    for name in ('choose_settings', 'choose_for_same_people'):
        monkeypatch.setattr(f'dscreid.pseudo_labels.clustering.density.{name}', choose)
    rgb, ir, *_ = _world(noise=0.5)
    labels = LABELERS.build(CLUSTERING)(rgb, ir)
    np.testing.assert_array_equal(labels.rgb, dbscan(jaccard_distance(rgb.concatenated(), 12, 3), 0.6, 3))
    assert not lines


def test_nothing_to_choose_from_is_explained(lines):
    rgb, *_ = _world()
    empty = TrackletFeatures(torch.zeros(0, 24), torch.zeros(0, 24))
    with pytest.raises(LabelingError, match=r'modality ir \(N=0\).*k1=2'):
        LABELERS.build(AUTO)(rgb, empty)
    assert lines[-1].startswith('clustering of ir: k1=2, k2=2, eps=0.55, min_samples=2 (the smallest: no number of')


@pytest.mark.parametrize(
    'bad',
    [
        {'eps': 0},
        {'eps': 1.2},
        {'k1': 0},
        {'visible': {'radius': 3}},
        {'k1': 'many'},
        {'k1': None},
        {'k1': 2.5},
        {'min_samples': True},
        {'k1': 'auto', 'k2': 0},
        {'k2': 'auto', 'eps': 1.0},
    ],
)
def test_clustering_refuses_bad_settings(bad):
    with pytest.raises(ConfigError, match='ClusterLabeler'):
        LABELERS.build({**CLUSTERING, **bad})


def test_no_cluster_is_explained():
    rgb, ir, *_ = _world()
    lonely = TrackletFeatures(*torch.randn(2, 40, 24, generator=torch.Generator().manual_seed(0)))
    labeler = LABELERS.build({**CLUSTERING, 'k2': 1, 'eps': 0.01})
    message = r'modality rgb \(N=40\); raise eps.* \(k1=12, k2=1, eps=0.01, min_samples=3\)'
    with pytest.raises(LabelingError, match=message):
        labeler(lonely, ir)
    empty = TrackletFeatures(torch.zeros(0, 24), torch.zeros(0, 24))
    with pytest.raises(LabelingError, match=r'modality ir \(N=0\)'):
        LABELERS.build(CLUSTERING)(rgb, empty)


def test_diverged_features_are_refused():
    rgb, ir, *_ = _world()
    ir.dynamic[3, 2] = torch.nan
    with pytest.raises(ValueError, match='1 of 54 rows of features hold NaN'):
        LABELERS.build(CLUSTERING)(rgb, ir)


def test_dslu_carries_infrared_labels_over():
    rgb, ir, rgb_pids, ir_pids = _world()
    labels = LABELERS.build({'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 9}})(rgb, ir)
    assert labels.shared
    name = dict(zip(ir_pids, labels.ir, strict=True))
    np.testing.assert_array_equal(labels.rgb, [name[pid] for pid in rgb_pids])


@pytest.mark.parametrize('inter', [None, {'topk': 5, 'outliers_vote': True}, {'topk': 7, 'min_votes': 2}])
@pytest.mark.parametrize('intra', [None, {'topk': 4, 'static_weight': 0.4, 'dynamic_weight': 0.6}])
@pytest.mark.parametrize('require_own_cluster', [False, True])
def test_dslu_composes_the_functions(inter, intra, require_own_cluster):
    rgb, ir, *_ = _world(noise=0.6)
    labeler = LABELERS.build(
        {
            'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': inter, 'intra': intra,
            'require_own_cluster': require_own_cluster,
        }
    )  # fmt: skip
    labels = labeler(rgb, ir)
    clusters = LABELERS.build(CLUSTERING)(rgb, ir)
    expected = clusters.rgb
    if inter is not None:
        expected = unify_labels(rgb.static, rgb.dynamic, ir.static, ir.dynamic, clusters.ir, **inter)
    if intra is not None:
        expected = correct_labels(rgb.static, rgb.dynamic, expected, **intra)
    if require_own_cluster:
        expected = np.where(clusters.rgb == -1, -1, expected)
    np.testing.assert_array_equal(labels.rgb, expected)
    np.testing.assert_array_equal(labels.ir, clusters.ir)
    assert labels.shared == (inter is not None)


def test_dslu_defaults_switch_both_halves_on():
    rgb, ir, *_ = _world(noise=0.6)
    labels = LABELERS.build({'type': 'DSLULabeler', 'clustering': CLUSTERING})(rgb, ir)
    explicit = {'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 20}, 'intra': {'topk': 20}}
    np.testing.assert_array_equal(labels.rgb, LABELERS.build(explicit)(rgb, ir).rgb)
    assert LABELERS.build({'type': 'DSLULabeler'}).clustering.fixed[Modality.RGB]['k1'] == 30


def test_dslu_refuses_unknown_settings():
    with pytest.raises(ConfigError, match=r"inter=.*unexpected keyword argument 'k'; settings are topk, outliers_vote"):
        LABELERS.build({'type': 'DSLULabeler', 'inter': {'k': 3}})
    with pytest.raises(ConfigError, match='static_weight'):
        LABELERS.build({'type': 'DSLULabeler', 'intra': {'weight': 3}})


def test_dslu_with_nothing_left_is_explained():
    rgb, ir, *_ = _world()
    labeler = LABELERS.build({'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 3, 'min_votes': 4}})
    with pytest.raises(LabelingError, match=r'no visible tracklet with a label.*min_votes'):
        labeler(rgb, ir)


@pytest.mark.parametrize(('min_votes', 'warns'), [(9, False), (10, True)])
def test_clusters_that_are_too_small_for_the_votes_are_warned_of(min_votes, warns, monkeypatch):
    said = []
    monkeypatch.setattr(unification, 'print_log', lambda message, **_: said.append(message))
    rgb, ir, *_ = _world()  # nine tracklets of each person
    config = {'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 12, 'min_votes': min_votes}}
    with contextlib.suppress(LabelingError):  # nobody can get ten votes
        LABELERS.build(config)(rgb, ir)
    assert [line.split(';')[0] for line in said] == warns * [
        'label unification: 6 of 6 infrared clusters have fewer than 10 tracklets, so no visible tracklet can get '
        'their labels'
    ]


def test_pooled_votes_give_each_visible_cluster_one_label():
    rgb, ir, *_ = _world(noise=0.6)
    config = {'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 9}, 'intra': None}
    single, pooled = (LABELERS.build(config | extra)(rgb, ir) for extra in ({}, {'pooled': {'min_share': 0.5}}))
    clusters = LABELERS.build(CLUSTERING)(rgb, ir)
    halves = rgb.static, rgb.dynamic, ir.static, ir.dynamic
    labels, votes = unify_labels(*halves, clusters.ir, topk=9, return_votes=True)
    np.testing.assert_array_equal(single.rgb, labels)
    np.testing.assert_array_equal(pooled.rgb, pool_votes(labels, votes, clusters.rgb, 0.5))


def test_clusters_without_a_partner_may_keep_labels_of_their_own():
    rgb, ir, _, ir_pids = _world()
    kept = torch.from_numpy(ir_pids < 4)  # two people are not seen in the infrared
    ir = TrackletFeatures(ir.static[kept], ir.dynamic[kept])
    config = {'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 9}, 'intra': None}
    left, own = (
        LABELERS.build(config | {'pooled': {'one_to_one': True} | extra})(rgb, ir)
        for extra in ({}, {'own_labels': True})
    )
    clusters = LABELERS.build(CLUSTERING)(rgb, ir)
    alone = (left.rgb < 0) & (clusters.rgb >= 0)
    assert alone.any()
    np.testing.assert_array_equal(own.rgb[~alone], left.rgb[~alone])
    assert not np.isin(own.rgb[alone], own.ir).any()
    pairs = zip(own.rgb[alone].tolist(), clusters.rgb[alone].tolist(), strict=True)
    assert len(set(pairs)) == len(set(own.rgb[alone].tolist()))


def test_whitening_changes_only_the_comparison_of_modalities():
    rgb, ir, *_ = _world(noise=0.6)
    config = {'type': 'DSLULabeler', 'clustering': CLUSTERING, 'inter': {'topk': 9}}
    labels = LABELERS.build(config | {'whitening': {'shrinkage': 0.5}})(rgb, ir)
    clusters = LABELERS.build(CLUSTERING)(rgb, ir)
    halves = (whitened(half, 0.5) for half in (rgb.static, rgb.dynamic, ir.static, ir.dynamic))
    expected = correct_labels(rgb.static, rgb.dynamic, unify_labels(*halves, clusters.ir, topk=9))
    np.testing.assert_array_equal(labels.rgb, expected)
    np.testing.assert_array_equal(labels.ir, clusters.ir)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'pooled': {}, 'inter': None}, 'pooled needs inter'),
        ({'pooled': {'min_share': -1}}, 'min_share must lie in'),
        ({'whitening': {}, 'inter': None}, 'whitening needs inter'),
        ({'whitening': {'shrinkage': 0}}, 'shrinkage must be positive'),
    ],
)
def test_what_cannot_work_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LABELERS.build({'type': 'DSLULabeler', 'clustering': CLUSTERING} | settings)
