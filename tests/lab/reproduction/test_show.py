"""Tables and curves of finished runs."""

import json
from functools import partial

import numpy as np
import pytest

from dscreid.errors import ConfigError
from dscreid.lab.reproduction import list_experiments, show_experiment
from dscreid.lab.reproduction.experiments import Row, find_experiment
from dscreid.lab.reproduction.show import curves_html, to_markdown
from dscreid.lab.reproduction.summary import Summary, SummaryRow
from dscreid.visualization import PAPER_FOOTNOTE, paper_table


def metrics(value):
    return {f'{side}/{name}': value for side in ('rgb2ir', 'ir2rgb', 'mean') for name in ('Rank-1', 'mAP')}


@pytest.fixture
def summary():
    paper = {row.method: row for row in paper_table(3).rows}
    rows = (
        SummaryRow(Row('first', 'a'), {1: metrics(0.30), 2: metrics(0.40), 3: metrics(0.50)}, paper['baseline']),
        SummaryRow(Row('second', 'b'), {1: metrics(0.4204)}, paper['+ clustering']),
        SummaryRow(Row('not run', 'c'), {}),
    )
    return Summary('table3: Components · SYNTHETIC worlds', rows, ('A note.',))


def test_mean_and_sample_deviation_over_seeds(summary):
    figure = summary.rows[0].figure('rgb2ir/mAP')
    assert (figure.mean, figure.deviation) == pytest.approx((0.4, 0.1))
    assert summary.rows[1].figure('rgb2ir/mAP').deviation is None
    assert summary.rows[2].figure('rgb2ir/mAP') is None


def test_values_that_are_no_numbers_are_left_out():
    row = SummaryRow(Row('r', 'm'), {1: {'a': float('nan')}, 2: {'a': 0.5}})
    assert row.figure('a').mean == 0.5


def test_markdown_of_different_seeds_shows_the_paper_beside_and_calls_no_run_best(summary):
    text = to_markdown(summary)
    lines = text.splitlines()
    assert lines[0] == '### table3: Components · SYNTHETIC worlds'
    first, second, third = lines[4:7]
    assert first.startswith('| first | 40.0 ± 10.0 | 40.0 ± 10.0 |')
    assert first.endswith('| 1, 2, 3 | 22.2 | 23.3 | 25.2 | 26.8 | 19.1 | 19.8 |')
    assert second.startswith('| second | 42.0 |')
    assert second.endswith('| 1 | **25.4** | **26.6** | **25.3** | **27.5** | **25.4** | **25.7** |')
    assert third == '| not run |' + ' – |' * 13
    assert lines[2].startswith('| Row | mean Rank-1 | mean mAP | RGB→IR Rank-1 |')
    assert lines[2].endswith(
        '| seeds | paper, mean Rank-1 | paper, mean mAP | paper, RGB→IR Rank-1 | paper, RGB→IR mAP '
        '| paper, IR→RGB Rank-1 | paper, IR→RGB mAP |'
    )
    assert PAPER_FOOTNOTE in lines[-3]
    assert lines[-1] == 'A note.'
    assert 'Rows have different seeds' in text
    assert 'is bold.' not in text
    assert len({line.count('|') for line in lines[2:7]}) == 1


def test_equal_figures_are_both_best_and_a_single_row_is_none(summary):
    tie = Summary('t', (SummaryRow(Row('a', 'a'), {1: metrics(0.4)}), SummaryRow(Row('b', 'b'), {1: metrics(0.40004)})))
    assert to_markdown(tie).count('**40.0**') == 12
    alone = Summary('t', (SummaryRow(Row('a', 'a'), {1: metrics(0.4)}), SummaryRow(Row('b', 'b'), {})))
    assert '**' not in to_markdown(alone)


def test_rows_with_labels_of_the_target_are_named_and_not_best():
    supervised = SummaryRow(Row('s', 's', supervised=True), {1: metrics(0.9)})
    others = [SummaryRow(Row(name, name), {1: metrics(value)}) for name, value in (('a', 0.4), ('b', 0.5))]
    text = to_markdown(Summary('t', (supervised, *others)))
    first, second, third = text.splitlines()[4:7]
    assert first == '| s | supervised on the target |' + ' 90.0 |' * 6 + ' 1 |'
    assert second == '| a | none |' + ' 40.0 |' * 6 + ' 1 |'
    assert third == '| b | none |' + ' **50.0** |' * 6 + ' 1 |'
    assert 'used its identity labels' in text
    # among themselves, one is
    alone = to_markdown(Summary('t', (supervised, SummaryRow(Row('u', 'u', supervised=True), {1: metrics(0.8)}))))
    assert '**90.0**' in alone


def test_titles_name_no_other_target_than_that_of_the_runs(bench):
    bench.run('table3', rows=['cd'], seeds=(1,))
    text, _ = show_experiment('table3', bench.place, ('bupt2hitsz',))
    assert 'bupt2hitsz' in text.splitlines()[0]
    assert not any('BUPTCampus' in find_experiment(f'table{n}').heading for n in range(1, 7))


# ---- from run cards ----
def test_a_table_of_both_directions_has_their_mean(bench):
    bench.run('table3', rows=['cd', 'dsc'], seeds=(1, 2), directions=('bupt2hitsz', 'hitsz2bupt'))
    text, files = show_experiment('table3', bench.place, ('bupt2hitsz', 'hitsz2bupt'))
    forward, backward, mean = text.split('### ')[1:]
    assert 'SYNTHETIC worlds (synthetic-demo)' in mean
    assert '| baseline | 22.0 ± 7.1 |' in mean
    assert 'paper RGB' not in forward  # the paper's Table 3 is of BUPTCampus
    assert 'The paper has this table only for hitsz2bupt' in forward
    assert '| 25.2 | 26.8 |' in backward
    assert 'Warning' not in text
    pages = [f'table3_{name}.html' for name in ('bupt2hitsz', 'hitsz2bupt', 'both')]
    assert [path.name for path in files] == ['table3.md', *pages]
    assert files[0].read_text() == text
    assert files[0].parent == bench.place.out / 'synthetic-demo' / 'tables'


def test_rows_of_other_revisions_or_data_are_never_shown_silently(bench):
    bench.run('table3', rows=['cd'])
    bench.change_code()
    bench.run('table3', rows=['cd', 'dsc'], accept_revision=True)
    text, _ = show_experiment('table3', bench.place, ('bupt2hitsz',))
    assert 'mix 2 code revisions (other code, present code)' in text
    assert 'different data' not in text
    card = bench.card('dsc_demo')
    card['identity']['data']['world'] = 'elsewhere'
    (bench.folder_of('dsc_demo') / 'run_card.json').write_text(json.dumps(card))
    assert 'rows of seed 1 were tested on different data' in show_experiment('table3', bench.place, ('bupt2hitsz',))[0]


def test_rows_whose_config_has_changed_since_are_marked(bench):
    bench.run('table3', rows=['cd', 'dsc'])
    card = bench.card('dsc_demo')
    card['identity']['config'] = 'of an older config'
    (bench.folder_of('dsc_demo') / 'run_card.json').write_text(json.dumps(card))
    text = show_experiment('table3', bench.place, ('bupt2hitsz',))[0]
    assert 'measured with other settings than the config has now: + clustering + DSJL + DSLU.' in text


def test_runs_that_were_not_evaluated_are_counted(bench):
    bench.run('table3', rows=['cd', 'dsc'])
    assert 'not evaluated' not in show_experiment('table3', bench.place, ('bupt2hitsz',))[0]
    card = bench.card('dsc_demo') | {'metrics': {}}
    (bench.folder_of('dsc_demo') / 'run_card.json').write_text(json.dumps(card))
    assert (
        '1 of 2 runs were not evaluated; their metrics.json says why.'
        in show_experiment('table3', bench.place, ('bupt2hitsz',))[0]
    )


def test_means_over_other_seeds_are_marked(bench):
    bench.run('table3', rows=['cd', 'dsc'], seeds=(1, 2))
    bench.run('table3', rows=['cd'], seeds=(3,))
    show = partial(show_experiment, 'table3', bench.place)
    warning = 'the rows have different seeds, so their means cannot be compared; compare'
    assert show(('bupt2hitsz',))[0].count(f'{warning} them with --seeds 1 2.') == 1
    assert 'Warning' not in show(('bupt2hitsz',), seeds=(1, 2))[0]
    assert 'Warning' not in show(('bupt2hitsz',), seeds=(3,))[0]
    bench.run('table3', rows=['cd'], seeds=(1, 2), directions=('hitsz2bupt',))
    both = show(('bupt2hitsz', 'hitsz2bupt'))[0].split('### ')
    assert ['different seeds' in part for part in both[1:]] == [True, False, False]


def test_rows_without_a_common_seed_are_marked(bench):
    bench.run('table3', rows=['cd'], seeds=(1,))
    bench.run('table3', rows=['dsc'], seeds=(2,))
    assert 'cannot be compared; they have none in common.' in show_experiment('table3', bench.place, ('bupt2hitsz',))[0]


def test_nothing_run_is_an_error_that_names_the_command(bench):
    with pytest.raises(ConfigError, match='run table3 --data synthetic-demo'):
        show_experiment('table3', bench.place)


def test_seeds_can_be_chosen(bench):
    bench.run('table3', rows=['cd'], seeds=(1, 2))
    text, _ = show_experiment('table3', bench.place, ('bupt2hitsz',), seeds=(2,))
    assert '| baseline | 27.0 |' in text


def test_a_figure_of_curves_is_a_plot_with_its_table(bench):
    path = bench.configs / 'dsc_demo.py'
    path.write_text(path.read_text() + 'model = dict(neighbor_losses=[dict(alpha=0.9), dict(alpha=0.9)])\n')
    bench.run('figure4', rows=['alpha 0.8', 'alpha 0.9'])
    text, files = show_experiment('figure4', bench.place, ('bupt2hitsz',), rows=['alpha 0.8', 'alpha 0.9'])
    assert '| alpha 0.8 |' in text
    assert [path.name for path in files] == ['figure4.md', 'figure4_bupt2hitsz.html']
    assert files[-1].read_text().count('data:image/svg+xml') == 1


def test_curves_have_one_chart_per_parameter():
    rows = tuple(
        SummaryRow(row, {1: metrics(0.4 + number / 100), 2: metrics(0.42)})
        for number, row in enumerate(find_experiment('figure4').rows)
    )
    page = curves_html(Summary('figure4', rows))
    assert page == curves_html(Summary('figure4', rows))
    assert page.count('data:image/svg+xml') == 2
    assert all(name in page for name in ('mAP against alpha', 'mAP against K', 'RGB→IR mAP'))
    assert curves_html(Summary('figure4', (SummaryRow(rows[0].row, {}),))).count('data:image') == 0


def test_the_list_marks_missing_configs(bench):
    lines = list_experiments(bench.place).splitlines()
    assert 'table3: Components of DSC (hitsz2bupt)' in lines
    assert any('GUR' in line and 'config missing' in line for line in lines)
    assert any('alpha 0.6' in line and line.endswith('dsc_demo.py (alpha=0.6)') for line in lines)
    assert np.all([len(line) < 130 for line in lines])
