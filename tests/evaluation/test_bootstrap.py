"""Bootstrap intervals against a loop over draws, and against what they must cover."""

import numpy as np
import pytest

from dscreid.errors import ConfigError
from dscreid.evaluation import QueryRanks, bootstrap_intervals
from dscreid.evaluation.bootstrap import draw_clusters, resampled_means


def _ranks(precision, matches=None):
    precision = np.asarray(precision, float)
    matches = np.ones(len(precision), int) if matches is None else np.asarray(matches)
    return QueryRanks(matches, np.where(matches > 0, 2, 0), precision, precision / 2)


def test_means_equal_a_loop_that_repeats_clusters():
    generator = np.random.default_rng(0)
    values, clusters = generator.normal(size=(30, 3)), generator.integers(6, size=30)
    draws = draw_clusters(6, 20, seed=1)
    found = resampled_means(values, clusters, draws)
    for draw, mean in zip(draws, found, strict=True):
        drawn = [values[clusters == cluster] for cluster in np.repeat(np.arange(6), draw)]
        np.testing.assert_allclose(mean, np.concatenate(drawn).mean(axis=0))


def test_a_draw_without_observations_is_nan():
    found = resampled_means(np.array([[1.0]]), np.array([0]), np.array([[0, 2], [1, 1]]))
    np.testing.assert_array_equal(found, [[np.nan], [1]])


def test_draws():
    draws = draw_clusters(50, 400, seed=3)
    assert draws.shape == (400, 50)
    assert (draws.sum(axis=1) == 50).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    np.testing.assert_array_equal(draws, draw_clusters(50, 400, seed=3))
    assert (draws != draw_clusters(50, 400, seed=4)).any()


def test_intervals_are_quantiles_of_the_joint_draws():
    generator = np.random.default_rng(5)
    precision = {name: generator.random(40) for name in ('rgb2ir', 'ir2rgb')}
    pids = {name: generator.integers(100, 109, size=40) for name in precision}
    matches = generator.integers(2, size=40)
    ranks = {
        'rgb2ir': _ranks(np.where(matches > 0, precision['rgb2ir'], np.nan), matches),
        'ir2rgb': _ranks(precision['ir2rgb']),
    }
    found = bootstrap_intervals(ranks, pids, (1, 5), confidence=0.8, repeats=300, seed=7)
    persons = np.unique(np.concatenate([pids['rgb2ir'][matches > 0], pids['ir2rgb']]))
    samples = {'rgb2ir': [], 'ir2rgb': []}
    for draw in draw_clusters(len(persons), 300, seed=7):
        times = dict(zip(persons, draw, strict=True))
        for name, sample in samples.items():
            valid = ranks[name].matches > 0
            weight = [times[pid] for pid in pids[name][valid]]
            sample.append(np.average(precision[name][valid], weights=weight))
    samples['mean'] = np.mean([samples['rgb2ir'], samples['ir2rgb']], axis=0)
    for name, sample in samples.items():
        assert found[f'{name}/mAP'] == pytest.approx(tuple(np.quantile(sample, [0.1, 0.9])))
    assert found['mean/Rank-1'] == (0, 0)
    assert found['mean/Rank-5'] == (1, 1)
    assert {name.split('/')[1] for name in found} == {'mAP', 'mINP', 'Rank-1', 'Rank-5'}
    assert found == bootstrap_intervals(ranks, pids, (1, 5), confidence=0.8, repeats=300, seed=7)


def test_the_mean_of_directions_without_a_cross_modal_one_covers_all():
    intervals = bootstrap_intervals({'rgb2rgb': _ranks([0.5, 1])}, {'rgb2rgb': np.array([1, 2])})
    assert intervals['mean/mAP'] == intervals['rgb2rgb/mAP']


def test_queries_of_a_person_count_as_one_draw():
    """Ten equal queries per person: as uncertain as one per person, not less."""
    precision = np.random.default_rng(0).random(60)
    once = bootstrap_intervals({'a': _ranks(precision)}, {'a': np.arange(60)})['a/mAP']
    ten = bootstrap_intervals({'a': _ranks(np.repeat(precision, 10))}, {'a': np.repeat(np.arange(60), 10)})
    assert ten['a/mAP'] == pytest.approx(once)


def test_covers_the_truth_about_as_often_as_it_says():
    """200 worlds of 40 persons with 5 dependent queries each, true mean 0.5."""
    generator = np.random.default_rng(11)
    pids = np.repeat(np.arange(40), 5)
    inside = 0
    for _ in range(200):
        easy = generator.random(40)
        precision = np.clip(np.repeat(easy, 5) + 0.05 * generator.normal(size=200), 0, 1)
        low, high = bootstrap_intervals({'a': _ranks(precision)}, {'a': pids}, repeats=300)['a/mAP']
        inside += low <= 0.5 <= high
    assert 0.89 <= inside / 200 <= 0.99  # 0.95 ± 4 standard errors; single queries would give about 0.6


@pytest.mark.parametrize('wrong', [dict(confidence=0), dict(confidence=1), dict(confidence=95), dict(repeats=0)])
def test_refuses_parameters_out_of_range(wrong):
    with pytest.raises(ConfigError, match='confidence must lie between 0 and 1'):
        bootstrap_intervals({'a': _ranks([1])}, {'a': np.array([1])}, **wrong)
