"""The page of an adaptation: neighbors, texts and escaping."""

import math

import numpy as np

from dscreid.deployment.adaptation_page import adaptation_html, comparison_text, neighbor_examples
from dscreid.deployment.verdict import CAVEAT_HELD_OUT, CAVEAT_USED, Change, Comparison
from dscreid.evaluation import FeatureTable
from dscreid.structures import Modality

NAMES = ['gate', 'yard <1>']


def table(seed):
    rng = np.random.default_rng(seed)
    modality = np.array([0, 1] * 6)
    unknown, index = np.full(12, -1), np.arange(12) + 100
    feature = rng.standard_normal((12, 4)).astype(np.float32)
    return FeatureTable(feature, unknown, modality, modality, np.zeros(12, bool), index)


def test_neighbors_are_the_nearest_of_the_other_modality():
    tables = {'before': table(0), 'after': table(1)}
    examples = neighbor_examples(tables, NAMES, count=3, topk=2)
    assert [len(found) for found in examples.values()] == [3, 3]
    for modality, found in examples.items():
        for example in found:
            row = example.index - 100
            assert example.camera == NAMES[row % 2]
            for name, hits in example.lists:
                unit = tables[name].feature / np.linalg.norm(tables[name].feature, axis=1, keepdims=True)
                others = np.arange(12)[tables[name].modality != (modality is Modality.IR)]
                best = others[np.argsort(-(unit[others] @ unit[row]), kind='stable')][:2]
                assert [hit.index for hit in hits] == (best + 100).tolist()
                np.testing.assert_allclose([hit.similarity for hit in hits], unit[best] @ unit[row], atol=1e-6)


def test_the_page_says_the_verdict_and_escapes_names():
    changes = (
        Change('cycle consistency', True, 0.25, 0.5, 0.1, 0.4),
        Change('silhouette, visible', True, -0.25, 0.5, 0.1, 0.4),
        Change('different people near', False, math.nan, math.nan, math.nan, math.nan),
    )
    comparison = Comparison(changes, {Modality.RGB: (4, 3)})
    tables = {'before': table(0), 'after': table(1)}
    html = adaptation_html('a & b', comparison, neighbor_examples(tables, NAMES), lambda index: f'data:{index}')
    assert 'Adaptation to a &amp; b' in html
    assert f'the adaptation probably helped. {CAVEAT_USED}' in html
    assert 'can make the adaptation look better than it is' in html
    assert 'yard &lt;1&gt;' in html
    assert '<1>' not in html
    assert '+0.100 to +0.400' in html
    assert 'undefined' in html
    assert html.count('src="data:') == 8 * (1 + 2 * 5)
    text = comparison_text(comparison)
    assert 'probably helped' in text
    assert CAVEAT_USED in text
    assert '−0.250' in text


def test_a_verdict_on_other_tracklets_says_so():
    changes = (
        Change('cycle consistency', True, 0.25, 0.5, 0.1, 0.4),
        Change('different people near', False, *[math.nan] * 4),
    )
    comparison = Comparison(changes, held_out=True)
    html = adaptation_html('a', comparison, {}, str)
    assert CAVEAT_HELD_OUT in html
    assert 'look better than it is' not in html
    assert CAVEAT_HELD_OUT in comparison_text(comparison)
