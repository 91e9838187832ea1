"""Claims against sums made by hand, and the paper's own figures, with which it must agree."""

import json

import numpy as np
import pytest

from dscreid.lab.reproduction.claims import (
    CLAIMS,
    WITHOUT,
    Claim,
    Judgment,
    Term,
    claims_markdown,
    find_row,
    judge_claims,
    paper_sums,
    weighted_sum,
)
from dscreid.lab.reproduction.experiments import EXPERIMENTS
from dscreid.lab.reproduction.gains import Gain

DSC = '+ clustering + DSJL + DSLU'


def set_map(bench, run, seed, value, rankings=None):
    file = bench.folder_of(run, seed=seed) / 'run_card.json'
    card = json.loads(file.read_text())
    card['metrics']['mean/mAP'] = value
    card['rankings'] = {name: {'mean/mAP': own} for name, own in (rankings or {}).items()}
    file.write_text(json.dumps(card))


def test_every_claim_names_rows_that_exist():
    for claim in CLAIMS:
        for term in (*claim.terms, *claim.premise):
            assert term.row == WITHOUT or find_row(claim, term)


def test_the_paper_agrees_with_its_own_claims():
    for claim in CLAIMS:
        sums = paper_sums(claim)
        assert all(value > 0 for value in sums.values()), claim.text
        ours = any(term.ranking for term in claim.terms) or all(
            EXPERIMENTS[name].table is None for name in claim.experiments
        )
        assert bool(sums) is not ours


def test_the_papers_figure_is_that_of_its_table():
    claim = Claim('', ('table3',), (Term('+ clustering + DSLU', 1), Term('+ clustering', -1)))
    assert paper_sums(claim) == pytest.approx({3: 0.387 - 0.266})
    against_cd = Claim('', ('table1', 'table2'), (Term('DSC', 1), Term(WITHOUT, -1)))
    assert paper_sums(against_cd) == pytest.approx({1: 0.401 - 0.234, 2: 0.501 - 0.257}, abs=1e-3)


def test_a_weighted_sum_counts_only_worlds_with_all_terms():
    rng = np.random.default_rng(0)
    worlds = [('a', seed) for seed in range(5)]
    first, second, third = (dict(zip(worlds, rng.random(5).tolist(), strict=True)) for _ in range(3))
    del second[worlds[2]]
    gain = weighted_sum([(1.0, first), (-2.0, second), (0.5, third)])
    expected = [first[w] - 2 * second[w] + third[w] / 2 for w in worlds if w in second]
    assert gain.differences == pytest.approx(expected)
    assert weighted_sum([(1.0, first), (1.0, {})]) is None


@pytest.mark.parametrize(
    ('differences', 'verdict'),
    [((0.1, 0.11, 0.12), 'agrees'), ((-0.1, -0.11), 'disagrees'), ((0.1, -0.1), 'cannot be told'),
     ((0.5,), 'cannot be told'), ((0.0, 0.0), 'cannot be told'), (None, 'not run')],
)  # fmt: skip
def test_a_verdict_needs_an_interval_without_zero(differences, verdict):
    judgment = Judgment(CLAIMS[0], differences and Gain(differences), {1: 0.1})
    assert judgment.verdict == verdict
    assert f'| {verdict} |' in claims_markdown([judgment])
    assert '+10.0 (Table 1)' in claims_markdown([judgment])


@pytest.mark.parametrize(
    ('premise', 'verdict'),
    [((0.1, 0.11), 'agrees'), ((-0.1, -0.11), 'cannot be told'), ((0.1, -0.1), 'cannot be told'),
     (None, 'cannot be told')],
)  # fmt: skip
def test_a_claim_on_a_share_of_a_gain_needs_that_gain(premise, verdict):
    claim = next(claim for claim in CLAIMS if claim.premise)
    assert Judgment(claim, Gain((0.1, 0.11)), {}, premise and Gain(premise)).verdict == verdict


def test_runs_are_judged_world_by_world(bench):
    bench.run('table3', rows=['cd', 'adabn', 'bclu', 'dsc'], seeds=(1, 2))
    for seed, (cd, adabn, bclu, dsc) in {1: (0.3, 0.32, 0.33, 0.4), 2: (0.5, 0.52, 0.56, 0.61)}.items():
        for run, value in {'cd': cd, 'adabn': adabn, 'bclu': bclu}.items():
            set_map(bench, f'{run}_demo', seed, value)
        set_map(bench, 'dsc_demo', seed, dsc, {'neck_both': dsc - 0.02, 'neck_static': dsc})
    judged = {one.claim.text: one for one in judge_claims(bench.place, ['bupt2hitsz'])}
    gain = judged['DSC is better than without adaptation'].gain
    assert gain.differences == pytest.approx((0.4 - 0.32, 0.61 - 0.52))
    little = judged['clustering alone gives less than half of the gain of DSC'].gain
    assert little.differences == pytest.approx((0.4 - 2 * 0.33 + 0.32, 0.61 - 2 * 0.56 + 0.52))
    assert judged['clustering alone gives less than half of the gain of DSC'].premise.differences == gain.differences
    halves = judged['both halves of DSC rank better than its static half']
    assert halves.gain.differences == pytest.approx((-0.02, -0.02))
    assert halves.verdict == 'disagrees'
    assert judged['DSC is better than ADCA'].verdict == 'not run'
    one_seed = judge_claims(bench.place, ['bupt2hitsz'], [2])
    assert one_seed[0].gain.worlds == 1
