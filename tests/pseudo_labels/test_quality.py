"""Diagnostics of pseudo labels, counted by hand."""

import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from dscreid.pseudo_labels import (
    PseudoLabels,
    ari_of_all,
    cross_modal_accuracy,
    label_diagnostics,
    label_statistics,
)
from dscreid.pseudo_labels.quality import quality, quiet_score


def _ids(*values):
    return np.array(values, dtype=np.int64)


def test_perfect_labels_under_other_names():
    values = quality(_ids(5, 5, 2, 2), _ids(1, 1, 9, 9))
    assert values == pytest.approx({'ari': 1, 'nmi': 1, 'purity': 1, 'labelled': 1})


def test_outliers_count_in_the_labelled_share_alone():
    values = quality(_ids(5, 5, 2, 2, -1, -1), _ids(1, 1, 9, 9, 1, 3))
    assert values == pytest.approx({'ari': 1, 'nmi': 1, 'purity': 1, 'labelled': 4 / 6})


def test_purity_by_hand():
    # cluster 0: two of three are 7; cluster 1: a tie, one of two
    assert quality(_ids(0, 0, 0, 1, 1), _ids(7, 7, 8, 3, 4))['purity'] == pytest.approx(3 / 5)


def test_all_outliers():
    values = quality(_ids(-1, -1), _ids(1, 2))
    assert values['labelled'] == 0
    assert all(math.isnan(values[name]) for name in ('ari', 'nmi', 'purity'))
    assert quality(_ids(), _ids())['labelled'] == 0


def test_cross_modal_accuracy_by_hand():
    labels = PseudoLabels(rgb=_ids(0, 0, 1, 1, 3, -1), ir=_ids(0, 0, 0, 1, 1, 2, -1), shared=True)
    ir_pids = _ids(10, 10, 11, 21, 20, 30, 10)  # 0 names 10, 1 is a tie and names the smaller 20
    rgb_pids = _ids(10, 11, 20, 21, 30, 10)  # right, wrong, right, wrong, label nobody carries, outlier
    assert cross_modal_accuracy(labels, rgb_pids, ir_pids) == pytest.approx(2 / 5)


def test_cross_modal_accuracy_undefined():
    separate = PseudoLabels(rgb=_ids(0), ir=_ids(0), shared=False)
    assert math.isnan(cross_modal_accuracy(separate, _ids(1), _ids(1)))
    nothing = PseudoLabels(rgb=_ids(-1), ir=_ids(0), shared=True)
    assert math.isnan(cross_modal_accuracy(nothing, _ids(1), _ids(1)))


def test_figures_for_the_log():
    labels = PseudoLabels(rgb=_ids(0, 0, -1, 1), ir=_ids(0, 0, -1), shared=True)
    assert label_statistics(labels) == {
        'rgb_clusters': 2, 'rgb_labelled': 0.75, 'rgb_median_size': 1.5,
        'ir_clusters': 1, 'ir_labelled': pytest.approx(2 / 3), 'ir_median_size': 2,
        'rgb_unified': 0.5,
    }  # fmt: skip
    figures = label_diagnostics(labels, _ids(4, 4, 4, 5), _ids(4, 4, 5))
    assert figures['rgb_purity'] == 1
    assert figures['cross_modal_accuracy'] == pytest.approx(2 / 3)
    assert set(figures) == {f'{m}_{k}' for m in ('rgb', 'ir') for k in ('ari', 'nmi', 'purity')} | {
        'cross_modal_accuracy'
    }
    separate = PseudoLabels(rgb=labels.rgb, ir=labels.ir, shared=False)
    assert 'rgb_unified' not in label_statistics(separate)
    assert 'cross_modal_accuracy' not in label_diagnostics(separate, _ids(4, 4, 4, 5), _ids(4, 4, 5))


@pytest.mark.parametrize('seed', range(3))
def test_ari_of_all_counts_each_outlier_as_a_cluster(seed):
    rng = np.random.default_rng(seed)
    labels, pids = rng.integers(-1, 6, 40), rng.integers(0, 5, 40)
    alone = labels.copy()
    alone[labels < 0] = 100 + np.arange((labels < 0).sum())
    assert ari_of_all(labels, pids) == pytest.approx(adjusted_rand_score(pids, alone))


def test_ari_of_all_by_hand():
    assert ari_of_all(_ids(0, 0, -1, -1), _ids(4, 4, 5, 6)) == 1  # the outliers are alone in truth
    # one pair together in both, two in truth, of six pairs
    assert ari_of_all(_ids(0, 0, -1, -1), _ids(4, 4, 5, 5)) == pytest.approx((1 - 2 / 6) / (1.5 - 2 / 6))
    assert ari_of_all(_ids(0, 0, 0), _ids(7, 7, 7)) == 1
    assert ari_of_all(_ids(-1, -1), _ids(1, 2)) == 1
    assert ari_of_all(_ids(-1), _ids(1)) == 1
    assert ari_of_all(_ids(-1, -1, -1), _ids(1, 1, 1)) == 0
    assert math.isnan(ari_of_all(_ids(), _ids()))


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('clusters', [1, 2, 20, 40, 60])
def test_indices_are_those_of_scikit_learn_without_its_warning_about_many_classes(clusters):
    generator = np.random.default_rng(clusters)
    first, second = generator.integers(0, clusters, (2, 60))
    for reference in (adjusted_rand_score, normalized_mutual_info_score):
        found = quiet_score(reference, first, second), quiet_score(reference, first, first)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            assert found == (reference(first, second), reference(first, first))
