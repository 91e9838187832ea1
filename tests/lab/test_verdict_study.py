"""Verdicts of planted runs, and how they are counted."""

import json

import numpy as np
import pytest

from dscreid.deployment.verdict import HARMED, HELPED, UNCLEAR
from dscreid.errors import ConfigError
from dscreid.evaluation import FeatureTable, save_features
from dscreid.lab.verdict_study import Judged, judge, verdicts_markdown
from dscreid.pseudo_labels import ClusterLabeler

CLUSTERING = ClusterLabeler(k1=6, k2=2, eps=0.6, min_samples=2)
PEOPLE, EACH = 12, 4
WHO = np.tile(np.repeat(np.arange(PEOPLE), EACH), 2)


def write_run(folder, noise, gap, score, index=None):
    """A tested run whose infrared features are moved by ``gap`` for each person."""
    rng = np.random.default_rng(0)
    people, elsewhere = rng.standard_normal((2, PEOPLE, 16))
    modality = np.repeat([0, 1], PEOPLE * EACH)
    moved = people[WHO] + gap * modality[:, None] * elsewhere[WHO]
    static, dynamic = ((moved + noise * rng.standard_normal(moved.shape)).astype(np.float32) for _ in range(2))
    index = np.arange(len(WHO)) if index is None else index
    table = FeatureTable(static, WHO, modality, modality, np.zeros(len(WHO), bool), index, static, dynamic)
    folder.mkdir()
    save_features(folder / 'features.safetensors', table)
    (folder / 'metrics.json').write_text(json.dumps({'mean/mAP': score, 'rgb2ir/mAP': score}))
    return folder


@pytest.fixture
def bad(tmp_path):
    return write_run(tmp_path / 'bad', noise=0.9, gap=1.5, score=0.3)


@pytest.fixture
def good(tmp_path):
    return write_run(tmp_path / 'good', noise=0.2, gap=0.1, score=0.8)


def test_an_adaptation_is_judged_by_its_features_and_its_gain(bad, good):
    forward, back = judge(bad, good, CLUSTERING), judge(good, bad, CLUSTERING)
    assert (forward.verdict, back.verdict) == (HELPED, HARMED)
    assert (forward.gain, back.gain) == (pytest.approx(0.5), pytest.approx(-0.5))
    assert not forward.is_wrong
    assert not back.is_wrong


@pytest.mark.parametrize(
    ('verdict', 'gain', 'truth', 'wrong'),
    [
        (HELPED, 0.02, HELPED, False), (HELPED, 0.005, UNCLEAR, False), (HELPED, -0.005, UNCLEAR, True),
        (HELPED, -0.1, HARMED, True), (HARMED, 0.1, HELPED, True), (HARMED, -0.1, HARMED, False),
        (UNCLEAR, 0.3, HELPED, False), (UNCLEAR, 0.0, UNCLEAR, False), (HELPED, 0.0, UNCLEAR, True),
    ],
)  # fmt: skip
def test_a_verdict_is_wrong_if_its_sign_is(verdict, gain, truth, wrong):
    judged = Judged('run', verdict, gain)
    assert (judged.truth, judged.is_wrong) == (truth, wrong)


def test_the_table_counts_each_adaptation_once():
    judged = [Judged('a', HELPED, 0.1), Judged('b', HELPED, -0.1), Judged('c', UNCLEAR, 0.2), Judged('d', HARMED, 0.0)]
    text = verdicts_markdown(judged)
    assert f'| {HELPED} | 1 | 0 | 1 |' in text
    assert f'| {UNCLEAR} | 1 | 0 | 0 |' in text
    assert f'| {HARMED} | 0 | 1 | 0 |' in text
    assert 'Wrong sign: 2 of 3 clear verdicts, 4 adaptations.' in text
    assert f'| b | {HELPED} | -10.0 |' in text
    with pytest.raises(ConfigError, match='there is no adaptation to judge'):
        verdicts_markdown([])


def test_runs_that_cannot_be_compared_are_one_sentence(bad, tmp_path):
    other = write_run(tmp_path / 'other', 0.2, 0.1, 0.5, index=np.arange(len(WHO))[::-1].copy())
    with pytest.raises(ConfigError, match=r'other and .*bad: the features before and after must be of the same'):
        judge(bad, other, CLUSTERING)
    (other / 'metrics.json').write_text('{"evaluated": false, "reason": "no person has an id"}')
    with pytest.raises(ConfigError, match=r'other: has no mean/mAP \(no person has an id\)'):
        judge(bad, other, CLUSTERING)
