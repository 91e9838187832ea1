"""Paired gains against scipy's paired t-test, and the choice of the reference."""

import numpy as np
import pytest
from scipy import stats

from dscreid.lab.reproduction.gains import best_reference, measured, paired_gain, paired_interval


@pytest.mark.parametrize('count', [2, 3, 10])
def test_interval_is_that_of_a_paired_t_test(count):
    rng = np.random.default_rng(count)
    ours, theirs = rng.random(count), rng.random(count)
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert paired_interval((ours - theirs).tolist()) == pytest.approx(tuple(expected))


def test_one_world_has_no_interval_and_none_no_gain():
    gain = paired_gain({('a', 1): 0.5}, {('a', 1): 0.4, ('b', 1): 0.9})
    assert (gain.mean, gain.interval, gain.better, gain.worlds) == (pytest.approx(0.1), None, 1, 1)
    assert not gain.is_certain
    assert str(gain) == '+10.0, 1 of 1'
    assert paired_gain({('a', 1): 0.5}, {('a', 2): 0.4}) is None


def test_equal_differences_are_certain_unless_they_are_zero():
    worlds = [('a', seed) for seed in range(3)]
    above = paired_gain(dict.fromkeys(worlds, 0.50), dict.fromkeys(worlds, 0.25))
    assert above.is_certain
    assert str(above) == '+25.0 (+25.0 to +25.0), 3 of 3'
    same = paired_gain(dict.fromkeys(worlds, 0.5), dict.fromkeys(worlds, 0.5))
    assert (same.is_certain, same.better) == (False, 0)


def test_a_loss_is_certain_too():
    gain = paired_gain({('a', 1): 0.1, ('a', 2): 0.11}, {('a', 1): 0.2, ('a', 2): 0.2})
    assert gain.mean == pytest.approx(-0.095)
    assert gain.interval[0] < gain.mean < gain.interval[1]
    assert str(gain).startswith('-9.5 (')
    assert gain.better == 0


def test_the_reference_is_best_in_the_mean_over_shared_worlds_not_in_each():
    candidates = {
        'CD': {('a', 1): 0.5, ('a', 2): 0.1, ('a', 3): 0.9},
        'other': {('a', 1): 0.4, ('a', 2): 0.3},
        'none': {},
    }
    best = best_reference(candidates)
    assert best.name == 'other'
    assert best.values == candidates['other']
    assert best_reference({'none': {}}) is None


def test_candidates_without_common_worlds_leave_the_first():
    assert best_reference({'CD': {('a', 1): 0.1}, 'other': {('a', 2): 0.9}}).name == 'CD'


def test_measured_reads_the_run_or_one_of_its_rankings():
    card = {'metrics': {'mean/mAP': 0.3}, 'rankings': {'vld': {'mean/mAP': 0.4}}}
    assert measured(card) == 0.3
    assert measured(card, 'vld') == 0.4
    assert measured(card, 'raw_both') is None
    assert measured({'metrics': {}}) is None
    assert measured({'metrics': {'mean/mAP': float('nan')}}) is None
