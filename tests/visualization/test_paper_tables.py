"""The tables of the paper in ``results``."""

from pathlib import Path

import pytest

from dscreid.visualization import PAPER_FOOTNOTE, paper_table


def test_every_table_of_the_paper_is_there():
    assert [len(paper_table(number).rows) for number in range(1, 7)] == [16, 12, 5, 4, 4, 6]


def test_dsc_on_both_targets():
    bupt, hitsz = (paper_table(number).rows[-1] for number in (1, 2))
    assert (bupt.method, bupt.rgb2ir, bupt.ir2rgb) == ('DSC', (41.8, 40.1), (41.4, 40.1))
    assert (hitsz.method, hitsz.rgb2ir, hitsz.ir2rgb) == ('DSC', (63.8, 50.9), (64.3, 49.3))


def test_supervised_methods_are_told_from_unsupervised_ones():
    for number, expected in ((1, ['CD', 'ADCA', 'PGM', 'GUR', 'NG', 'DSC']), (3, None)):
        rows = paper_table(number).rows
        unsupervised = [row.method for row in rows if row.unsupervised]
        assert unsupervised == (expected or [row.method for row in rows])
    assert [row.method for row in paper_table(2).rows if not row.unsupervised][-1] == 'AuxNet'


def test_metrics_have_the_names_and_range_of_a_run():
    assert paper_table(3).rows[0].metrics == pytest.approx(
        {
            'rgb2ir/Rank-1': 0.252,
            'rgb2ir/mAP': 0.268,
            'ir2rgb/Rank-1': 0.191,
            'ir2rgb/mAP': 0.198,
            'mean/Rank-1': 0.222,
            'mean/mAP': 0.233,
        }
    )


def test_the_docs_carry_the_footnote_next_to_the_figures():
    text = Path(__file__).parents[2].joinpath('docs', 'synthetic_benchmark.md').read_text(encoding='utf-8')
    assert ' '.join(PAPER_FOOTNOTE.split()) in ' '.join(text.split())


def test_all_ablations_end_in_the_full_method():
    assert {paper_table(number).rows[-1].rgb2ir for number in range(3, 7)} == {(41.8, 40.0)}
