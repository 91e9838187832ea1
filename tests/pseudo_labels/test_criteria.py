"""Label-free criteria against scikit-learn, plain loops and hand-made cases."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, silhouette_score

from dscreid.errors import LabelingError
from dscreid.pseudo_labels import ClusterLabeler, Criterion, JudgedRound, Labeler, PseudoLabels
from dscreid.pseudo_labels.criteria import (
    LABEL_FREE_CRITERIA,
    label_agreement,
    label_free_criteria,
    silhouette,
)
from dscreid.registry import CRITERIA
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils import chunks


def ids(*values):
    return np.array(values, dtype=np.int64)


def clustered(num_rows=60, num_clusters=6, dim=8, spread=0.6, seed=0, rows_seed=100):
    """Features around random centres, float32 (N, D), and the number of each row's centre."""
    centres = torch.randn(num_clusters, dim, generator=torch.Generator().manual_seed(seed))
    numbers = torch.arange(num_rows) % num_clusters
    noise = torch.randn(num_rows, dim, generator=torch.Generator().manual_seed(rows_seed))
    return centres[numbers] + spread * noise, numbers.numpy()


def angles(*degrees):
    """Unit vectors in the plane."""
    radians = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([radians.cos(), radians.sin()], dim=1)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('chunk', [2**24, 50], ids=['whole', 'chunks'])
def test_silhouette_is_scikit_learns(seed, chunk, monkeypatch):
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', chunk)
    features, _ = clustered(seed=seed)
    generator = np.random.default_rng(seed)
    labels = generator.integers(-1, 9, size=60)
    labels[:2] = 30, 31  # clusters of one, and numbers with gaps
    kept = labels >= 0
    expected = silhouette_score(features.numpy()[kept], labels[kept], metric='cosine')
    assert silhouette(features, labels) == pytest.approx(expected, abs=1e-6)


def test_silhouette_of_true_clusters_and_of_random_ones():
    features, numbers = clustered(spread=0.3)
    shuffled = np.random.default_rng(0).permutation(numbers)
    assert silhouette(features, numbers) > 0.6
    assert silhouette(features, shuffled) < 0.05


def test_silhouette_by_hand():
    # rows at 0 and 60 degrees in one cluster, at 90 and 90 in the other; cosine distances 1/2, 1 and 1 - sqrt(3)/2
    near = 1 - math.sqrt(3) / 2
    expected = [(1 - 0.5) / 1, (near - 0.5) / 0.5, (1 + near) / 2 / ((1 + near) / 2), 1]
    value = silhouette(angles(0, 60, 90, 90), ids(0, 0, 1, 1))
    assert value == pytest.approx(np.mean(expected), abs=1e-5)


def test_silhouette_ignores_lengths_numbers_and_the_order():
    features, numbers = clustered()
    value = silhouette(features, numbers)
    scaled = features * torch.rand(60, 1, generator=torch.Generator().manual_seed(1)).add(0.1)
    assert silhouette(scaled, 3 * numbers + 5) == pytest.approx(value, abs=1e-6)
    order = np.random.default_rng(0).permutation(60)
    assert silhouette(features[order], numbers[order]) == pytest.approx(value, abs=1e-9)


def test_silhouette_edge_cases():
    assert math.isnan(silhouette(torch.empty(0, 3), ids()))
    assert math.isnan(silhouette(angles(0, 10), ids(-1, -1)))
    assert math.isnan(silhouette(angles(0, 10, 90), ids(4, 4, -1)))
    assert silhouette(angles(0, 90, 45), ids(0, 1, -1)) == 0  # nothing but clusters of one
    # collapsed features: whatever the rounding of their lengths, no cluster stands out
    same = torch.ones(12, 5) * torch.linspace(0.1, 7, 12)[:, None]
    assert silhouette(same, ids(*[0, 1, 2] * 4)) == 0
    assert silhouette(torch.zeros(4, 3), ids(0, 0, 1, 1)) == 0


def test_silhouette_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match='NaN'):
        silhouette(torch.tensor([[math.nan, 1.0]]), ids(0))


def test_inputs_stay_as_they_are():
    features, numbers = clustered()
    before, labels = features.clone(), numbers.copy()
    silhouette(features, numbers)
    round_trips(features, features)
    assert torch.equal(features, before)
    assert np.array_equal(numbers, labels)


def test_agreement_counts_what_both_label():
    first, second = ids(0, 0, 1, 1, -1, 2, 2), ids(5, 5, 5, 3, 3, -1, 3)
    expected = adjusted_rand_score([0, 0, 1, 1, 2], [5, 5, 5, 3, 3])
    assert label_agreement(first, second) == pytest.approx(expected)
    assert label_agreement(first, first + 0) == 1
    assert label_agreement(ids(0, 0, 1, 1), ids(7, 7, 2, 2)) == 1  # other numbers, the same clusters


def test_agreement_of_nothing_in_common():
    assert math.isnan(label_agreement(ids(), ids()))
    assert math.isnan(label_agreement(ids(-1, 0, 1), ids(2, -1, 3)))


def round_trips(visible, infrared):
    features = (TrackletFeatures(static=half, dynamic=half) for half in (visible, infrared))
    return JudgedRound(*features, PseudoLabels(rgb=ids(), ir=ids(), shared=False)).trips.values()


@pytest.mark.parametrize('seed', range(3))
def test_round_trips_by_brute_force(seed):
    generator = torch.Generator().manual_seed(seed)
    visible = torch.randn(30, 4, generator=generator)
    infrared = torch.randn(20, 4, generator=generator)
    similarity = torch.nn.functional.cosine_similarity(visible[:, None], infrared[None], dim=2)
    there, back = similarity.argmax(dim=1), similarity.argmax(dim=0)
    from_visible, from_infrared = round_trips(visible, infrared)
    assert from_visible.tolist() == [int(back[there[i]]) for i in range(30)]
    assert from_infrared.tolist() == [int(there[back[j]]) for j in range(20)]


def test_cycles_by_hand():
    # visible 0 and 1 both go to infrared 0, which goes back to 0; visible 2 and infrared 1 are mutually nearest
    trips, back = round_trips(angles(10, 30, 90), angles(0, 80))
    assert trips.tolist() == [0, 0, 2]
    assert back.tolist() == [0, 1]
    halves = angles(10, 30, 90), angles(0, 80)
    visible, infrared = (TrackletFeatures(static=half, dynamic=half) for half in halves)

    def cycles(name, *rgb):
        labels = PseudoLabels(rgb=ids(*rgb), ir=ids(-1, -1), shared=False)
        return SHIPPED[name](JudgedRound(visible, infrared, labels))

    assert cycles('cycle_return', 0, 0, 0) == {Modality.RGB: pytest.approx(2 / 3), Modality.IR: 1}
    assert cycles('cycle_consistency', 4, 4, 5)[Modality.RGB] == 1
    assert cycles('cycle_consistency', 4, 3, 5)[Modality.RGB] == pytest.approx(2 / 3)
    assert cycles('cycle_consistency', -1, 3, 5)[Modality.RGB] == pytest.approx(1 / 2)  # ends at an outlier
    assert cycles('cycle_consistency', 0, -1, -1)[Modality.RGB] == 1
    assert math.isnan(cycles('cycle_consistency', 0, -1, -1)[Modality.IR])


def pair(seed=0, spread=0.3):
    """Features of 48 visible and 36 infrared tracklets of six persons, and their true labels."""
    parts = []
    for rows in (48, 36):
        static, numbers = clustered(rows, spread=spread, seed=seed, rows_seed=rows)
        dynamic, _ = clustered(rows, spread=spread, seed=seed + 1, rows_seed=rows + 1)
        parts.append((TrackletFeatures(static=static, dynamic=dynamic), numbers))
    (visible, rgb), (infrared, ir) = parts
    return visible, infrared, PseudoLabels(rgb=rgb, ir=ir, shared=True)


CLUSTERING = ClusterLabeler(k1=8, k2=2, eps=0.6, min_samples=3)


def test_static_and_dynamic_features_are_clustered_by_themselves():
    visible, infrared, labels = pair()
    noise = torch.randn(48, 8, generator=torch.Generator().manual_seed(5))
    spoilt = TrackletFeatures(static=visible.static, dynamic=noise)
    alone = [TrackletFeatures(static=half, dynamic=half) for half in (visible.static, noise)]
    static, dynamic = (CLUSTERING(half, infrared).rgb for half in alone)
    assert label_agreement(static, labels.rgb) > 0.9
    values = SHIPPED['static_dynamic_agreement'](JudgedRound(spoilt, infrared, labels, clustering=CLUSTERING))
    assert values[Modality.RGB] == label_agreement(static, dynamic) < 0.9


def test_no_agreement_without_a_cluster():
    class Failing(Labeler):
        def __call__(self, visible, infrared, context=None):
            raise LabelingError('no cluster')

    assert SHIPPED['static_dynamic_agreement'](JudgedRound(*pair(), clustering=Failing())) == {}


SHIPPED = {name: CRITERIA.build(dict(type=name)) for name in LABEL_FREE_CRITERIA}


def test_all_criteria_together():
    visible, infrared, labels = pair()
    previous = PseudoLabels(rgb=labels.rgb + 3, ir=np.roll(labels.ir, 1), shared=True)
    values = label_free_criteria(JudgedRound(visible, infrared, labels, previous, CLUSTERING), SHIPPED)
    assert set(values) == {f'{name}{part}' for name in LABEL_FREE_CRITERIA for part in ('', '_rgb', '_ir')}
    for name in LABEL_FREE_CRITERIA:
        assert values[name] == pytest.approx((values[f'{name}_rgb'] + values[f'{name}_ir']) / 2)
        assert -1 <= values[name] <= 1
    joined = torch.nn.functional.normalize(
        torch.cat([torch.nn.functional.normalize(half) for half in (visible.static, visible.dynamic)], dim=1)
    )
    expected = silhouette_score(joined.numpy(), labels.rgb, metric='cosine')
    assert values['silhouette_rgb'] == pytest.approx(expected, abs=1e-6)
    assert values['stability_rgb'] == 1
    assert values['stability_ir'] == pytest.approx(adjusted_rand_score(previous.ir, labels.ir))
    assert values['cycle_consistency'] > 0.9 > values['cycle_return'] > 0


def test_criteria_fall_with_the_features():
    good = label_free_criteria(JudgedRound(*pair(spread=0.2)), SHIPPED)
    bad = label_free_criteria(JudgedRound(*pair(spread=3.0)), SHIPPED)
    for name in ('silhouette', 'cycle_consistency'):
        assert good[name] > bad[name] + 0.3


def test_undefined_criteria_are_left_out():
    visible, infrared, labels = pair()
    one_cluster = PseudoLabels(rgb=labels.rgb * 0, ir=labels.ir, shared=False)
    values = label_free_criteria(JudgedRound(visible, infrared, one_cluster), SHIPPED)
    assert not any(name.startswith(('stability', 'static_dynamic')) for name in values)
    assert 'silhouette_ir' in values
    # a mean over one modality would not compare with means over two
    assert 'silhouette' not in values
    assert 'silhouette_rgb' not in values


def test_the_base_class_says_what_to_define():
    assert Criterion.rule == 'greater'
    with pytest.raises(NotImplementedError, match='Criterion must define __call__'):
        Criterion()(JudgedRound(*pair()))


def test_a_criterion_of_a_user_is_computed_like_the_others():
    class Labeled(Criterion):
        def __call__(self, judged):
            return {m: judged.labels.labelled_share(m) for m in Modality}

    visible, infrared, labels = pair()
    half = PseudoLabels(rgb=np.where(np.arange(48) % 2, labels.rgb, -1), ir=labels.ir, shared=True)
    values = label_free_criteria(JudgedRound(visible, infrared, half), {'labeled': Labeled()})
    assert values == {'labeled': 0.75, 'labeled_rgb': 0.5, 'labeled_ir': 1.0}
