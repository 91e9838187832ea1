import re
from pathlib import Path

import pytest

import dscreid.visualization
from dscreid.visualization import PAPER_FOOTNOTE, ReportRun, format_results_table
from dscreid.visualization.results import rankings_table_html, results_table_html


@pytest.fixture
def runs(metrics):
    return [
        ReportRun('CD <source>', metrics(0.3)),
        ReportRun('DSC', metrics(0.367)),
        ReportRun('bound', metrics(0.6), upper_bound=True),
    ]


def test_html_rows_hold_percentages_and_gains(runs, parse):
    rows = parse(results_table_html(runs)).rows
    assert rows[0] == ['Run', 'mean', 'RGB→IR', 'IR→RGB']
    assert rows[1] == ['mAP', *['Rank-1', 'Rank-5', 'Rank-10', 'Rank-20', 'mAP', 'mINP'] * 2]
    assert rows[2][:8] == ['CD <source>', '30.5', '31.0', '35.0', '40.0', '50.0', '30.0', '25.0']
    assert rows[3][:3] == ['DSC', '37.2+6.7', '37.7+6.7']


def test_html_marks_the_best_but_never_an_upper_bound(runs):
    html = results_table_html(runs)
    assert '<strong>37.7</strong>' in html
    assert html.count('<strong>') == 13
    assert '<tr class="bound">' in html


def test_a_loss_has_a_minus_and_ties_are_both_best(metrics, parse):
    worse = ReportRun('worse', {'rgb2ir/mAP': 0.25, 'rgb2ir/Rank-1': 0.4001})
    first = ReportRun('first', {'rgb2ir/mAP': 0.30, 'rgb2ir/Rank-1': 0.4})
    html = results_table_html([first, worse])
    assert parse(html).rows[-1] == ['worse', '40.0±0.0', '25.0−5.0']
    assert html.count('<strong>40.0</strong>') == 2


def test_a_missing_or_undefined_figure_is_a_dash(parse):
    runs = [
        ReportRun('a', {'rgb2ir/mAP': 0.5, 'rgb2ir/mINP': float('nan')}),
        ReportRun('b', {'rgb2ir/mINP': 0.2}),
    ]
    assert parse(results_table_html(runs)).rows[2:] == [['a', '50.0', '–'], ['b', '–', '20.0']]


def test_headers_have_scope(runs, parse):
    assert all('scope' in attributes for attributes in parse(results_table_html(runs)).find('th'))


def test_no_run_is_a_sentence():
    assert 'No run has been evaluated.' in results_table_html([])
    assert format_results_table([]) == 'No run has been evaluated.'


def test_a_run_that_was_not_evaluated_has_no_row_but_a_reason(runs, parse):
    other = ReportRun('other', {}, reason='its target has no identities')
    names = [row[0] for row in parse(results_table_html([*runs, other])).rows[2:]]
    assert names == ['CD <source>', 'DSC', 'bound']
    assert format_results_table([other]).endswith('  not evaluated: its target has no identities')


def test_console_table_says_the_same(runs):
    lines = format_results_table(runs).splitlines()
    assert lines[0].split() == ['Rank-1', 'Rank-5', 'Rank-10', 'Rank-20', 'mAP', 'mINP', 'gain', 'mAP']
    assert lines[1] == 'CD <source>'
    assert lines[2].split() == ['mean', '-', '-', '-', '-', '30.5', '-']
    assert lines[3].split() == ['RGB→IR', '31.0', '35.0', '40.0', '50.0', '30.0', '25.0']
    assert lines[6].split() == ['mean', '-', '-', '-', '-', '*37.2', '-', '+6.7']
    assert lines[7].split() == ['RGB→IR', '*37.7', '*41.7', '*46.7', '*56.7', '*36.7', '*31.7', '+6.7']
    assert '*' not in ''.join(lines[9:])
    assert max(map(len, lines)) <= 80


def test_html_table_next_to_the_paper(runs, parse):
    page = parse(results_table_html(runs, target='hitsz_vcm'))
    assert page.rows[-1] == ['DSC', '50.1', '63.8', *[''] * 3, '50.9', '', '64.3', *[''] * 3, '49.3', '']
    assert page.rows[6][:2] == ['MITML (target labels)', '46.5']
    assert PAPER_FOOTNOTE in page.texts


def test_within_modality_directions_are_separate(metrics, parse):
    run = ReportRun('CD', metrics(0.3, ('rgb2ir', 'ir2rgb', 'rgb2rgb', 'ir2ir')))
    assert parse(results_table_html([run])).rows[0][1:] == ['mean', 'RGB→IR', 'IR→RGB']
    within = parse(results_table_html([run], directions=('rgb2rgb', 'ir2ir'))).rows
    assert within[0] == ['Run', 'RGB→RGB', 'IR→IR']
    assert within[2][5] == '32.0'


def test_a_table_scrolls_in_its_frame_and_its_headers_do_not_break(runs, parse):
    html = results_table_html(runs)
    (frame,) = (attributes for attributes in parse(html).find('div'))
    assert (frame['class'], frame['role'], frame['tabindex']) == ('scroll', 'region', '0')
    assert 'scroll it sideways' in html
    style = Path(dscreid.visualization.__file__).with_name('templates').joinpath('style.css').read_text()
    assert re.search(r'\.scroll \{[^}]*overflow-x: auto', style)
    assert re.search(r'(?m)^th, td \{[^}]*white-space: nowrap', style)


def test_rankings_are_columns_in_a_fixed_order(metrics, parse):
    rankings = {'vld': {'mean/mAP': 0.412}, 'neck_both': {'mean/mAP': 0.4}, 'raw_dynamic': {'rgb2ir/mAP': 0.1}}
    runs = [ReportRun('CD', metrics(0.3), rankings=rankings), ReportRun('DSC', {}, rankings={'vld': {'mean/mAP': 0.5}})]
    rows = parse(rankings_table_html([*runs, ReportRun('old', metrics(0.3))])).rows
    assert rows == [['Run', 'neck_both', 'vld'], ['CD', '40.0', '41.2'], ['DSC', '–', '50.0']]
    assert rankings_table_html([ReportRun('old', metrics(0.3))]) == ''
