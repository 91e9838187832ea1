"""Results in one file: what it holds, how it grows, and tables from it where nothing was run."""

import json
from dataclasses import replace

import pytest

from dscreid.errors import CheckpointError, ConfigError
from dscreid.lab.reproduction import show_experiment
from dscreid.lab.reproduction.execution import epoch_curves
from dscreid.lab.reproduction.experiments import EXPERIMENTS
from dscreid.lab.reproduction.results import collect_results, read_results
from dscreid.lab.reproduction.summary import summarize

BOTH = ('bupt2hitsz', 'hitsz2bupt')


def test_a_table_from_the_file_is_that_of_the_runs(bench, tmp_path):
    bench.run('table3', seeds=(1, 2), directions=BOTH)
    expected, _ = show_experiment('table3', bench.place, BOTH)
    file = tmp_path / 'new' / 'results.json'
    assert collect_results(bench.place, file) == 2 * 2 * 7
    elsewhere = replace(bench.place, out=tmp_path / 'elsewhere', recorded=read_results(file))
    text, _ = show_experiment('table3', elsewhere, BOTH)
    assert text == expected
    assert 'gain mAP' in text
    assert str(tmp_path) not in file.read_text()


def test_a_file_keeps_the_runs_of_another_machine_and_takes_newer_ones(bench, tmp_path):
    bench.run('table3', rows=['cd'])
    file = tmp_path / 'results.json'
    collect_results(bench.place, file)
    content = json.loads(file.read_text())
    other = content['runs'][0] | {'run': 'bupt2hitsz/seed9/cd_demo', 'wall_seconds': 9.0}
    old = content['runs'][0] | {'wall_seconds': 1e6}
    file.write_text(json.dumps(content | {'runs': [old, other, *content['runs'][1:]]}))
    assert collect_results(bench.place, file) == len(content['runs']) + 1
    cards = read_results(file)
    assert cards[other['run']]['wall_seconds'] == 9.0
    assert cards[old['run']] == content['runs'][0]
    assert list(cards) == sorted(cards)


def test_nothing_to_collect_and_files_of_other_kinds_are_one_sentence(bench, tmp_path):
    with pytest.raises(ConfigError, match=r'no run has finished in .*; start some with'):
        collect_results(bench.place, tmp_path / 'results.json')
    for text in ('{"runs": [{}]}', '{}', '{"runs": [{"run": 3}]}'):
        (tmp_path / 'other.json').write_text(text)
        with pytest.raises(CheckpointError, match='does not hold run cards; name a file'):
            read_results(tmp_path / 'other.json')


def test_curves_are_kept_by_epoch(tmp_path):
    lines = [
        {'loss': 1.0, 'step': 5, 'iter': 5, 'epoch': 1},
        {'labels/rgb_ari': 0.5, 'step': 1},
        {'labels/rgb_ari': 0.75, 'criteria/silhouette': 0.1, 'step': 2},
        {'mean/mAP': 0.3, 'rgb2ir/mAP': 0.2, 'step': 2},
    ]
    file = tmp_path / 'stamp' / 'vis_data' / 'scalars.json'
    assert epoch_curves(tmp_path) == {}
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, lines)))
    assert epoch_curves(tmp_path) == {
        'labels/rgb_ari': [(1.0, 0.5), (2.0, 0.75)], 'criteria/silhouette': [(2.0, 0.1)], 'mean/mAP': [(2.0, 0.3)],
    }  # fmt: skip
    file.write_text('{')
    assert epoch_curves(tmp_path) == {}


def test_the_data_may_say_what_all_rows_are_ranked_by(bench):
    bench.run('table3', rows=['cd', 'dsc'])
    card = bench.card('dsc_demo')
    better = {key: value + 0.125 for key, value in card['metrics'].items()}
    file = bench.folder_of('dsc_demo') / 'run_card.json'
    file.write_text(json.dumps(card | {'rankings': {'neck_static': better}}))
    place = replace(bench.place, preset=replace(bench.place.preset, ranking='neck_static'))
    assert place.card('bupt2hitsz', 1, 'dsc_demo')['metrics'] == better
    assert place.card('bupt2hitsz', 1, 'cd_demo')['metrics'] == bench.card('cd_demo')['metrics']
    own = replace(bench.place, preset=replace(bench.place.preset, ranking=None))
    assert own.card('bupt2hitsz', 1, 'dsc_demo')['metrics'] == card['metrics']
    assert 'ranked by `neck_static`' in show_experiment('table3', place, ('bupt2hitsz',))[0]
    assert 'All rows are ranked' not in show_experiment('table3', own, ('bupt2hitsz',))[0]


def test_a_table_is_also_a_page_with_gains_and_curves(bench, tmp_path):
    bench.run('table3', rows=['cd', 'dsc'], seeds=(1, 2))
    for seed in (1, 2):
        file = bench.folder_of('dsc_demo', seed=seed) / 'run_card.json'
        card = json.loads(file.read_text())
        card['curves'] = {'labels/rgb_ari': [(1, 0.5), (2, 0.25 * seed)], 'criteria/silhouette': [(1, 0.1)]}
        file.write_text(json.dumps(card))
    _, files = show_experiment('table3', bench.place, ('bupt2hitsz',))
    (page,) = [path.read_text() for path in files if path.suffix == '.html']
    assert 'Gains: baseline +0.0; + clustering + DSJL + DSLU ' in page
    assert 'Adjusted Rand index by epoch: visible from 0.5 to 0.375' in page
    assert 'silhouette' not in page
    assert 'in the mean of 2 worlds' in page


def test_curves_are_of_the_worlds_that_all_rows_share(bench):
    bench.run('table3', rows=['cd', 'bclu', 'dsc'], seeds=(1, 2, 3))
    values = {('dsc_demo', 1): 0.1, ('dsc_demo', 2): 0.3, ('dsc_demo', 3): 0.9, ('bclu_demo', 1): 0.2}
    rows, everyone = EXPERIMENTS['table3'].rows, (1, 2, 3)

    def curves():
        (summary,) = summarize(bench.place, EXPERIMENTS['table3'], rows, ['bupt2hitsz'], everyone)
        return {row.row.method: row.curves['labels/rgb_ari'][1] for row in summary.rows if row.curves}

    def write(run, seed, value):
        file = bench.folder_of(run, seed=seed) / 'run_card.json'
        file.write_text(json.dumps(json.loads(file.read_text()) | {'curves': {'labels/rgb_ari': [(1, value)]}}))

    for (run, seed), value in values.items():
        write(run, seed, value)
    assert curves() == {'bclu': 0.2, 'dsc': 0.1}
    write('bclu_demo', 3, 0.4)
    assert curves() == pytest.approx({'bclu': 0.3, 'dsc': 0.5})


def test_rows_that_share_no_world_are_drawn_over_their_own(bench):
    bench.run('table3', rows=['cd', 'bclu', 'dsc'], seeds=(1, 2))
    for run, seed in (('bclu_demo', 1), ('dsc_demo', 2)):
        file = bench.folder_of(run, seed=seed) / 'run_card.json'
        file.write_text(json.dumps(json.loads(file.read_text()) | {'curves': {'labels/rgb_ari': [(1, 0.5)]}}))
    (summary,) = summarize(bench.place, EXPERIMENTS['table3'], EXPERIMENTS['table3'].rows, ['bupt2hitsz'], (1, 2))
    assert [row.row.method for row in summary.rows if row.curves] == ['bclu', 'dsc']
