"""The page of a file of results: what it holds, what it leaves out, and that the committed pages are current."""

from dataclasses import replace
from pathlib import Path

import pytest

from dscreid.lab.reproduction import collect_results, find_preset, read_results, write_result_page
from dscreid.lab.reproduction.presets import Place

FOLDER = Path(__file__).parents[3] / 'docs' / 'results'


@pytest.mark.parametrize('file', sorted(FOLDER.glob('*.json')), ids=lambda file: file.stem)
def test_committed_pages_are_those_of_their_results(file, tmp_path):
    place = Place(tmp_path / 'nothing', find_preset(file.stem), recorded=read_results(file))
    page = write_result_page(place, tmp_path / file.name)
    assert page.read_text() == file.with_suffix('.md').read_text(), 'run dscreid reproduce collect again'
    pictures = sorted(path.name for path in tmp_path.glob('*.svg'))
    assert pictures == sorted(path.name for path in FOLDER.glob(f'{file.stem}_*.svg'))


def test_a_page_holds_claims_tables_and_pictures_of_runs_only(bench):
    bench.run('table3', rows=['cd', 'adabn', 'bclu', 'dsc'], seeds=(0, 1, 2))
    file = bench.folder / 'results' / 'fake.json'
    collect_results(bench.place, file)
    (file.parent / 'fake_old.svg').write_text('')
    text = write_result_page(bench.place, file).read_text()
    assert text.startswith('# Results on `synthetic-demo`')
    assert '## Claims\n' in text
    assert 'Seed 0, on which settings were chosen, is left out.' in text
    assert '## Table 2: Comparison with and without labels of the target · bupt2hitsz · SYNTHETIC' in text
    assert 'Table 3: Components' not in text  # its rows are in Table 2
    assert '| 1, 2 |' in text
    assert '0, 1, 2' not in text
    assert '| ADCA |' not in text
    pictures = {path.name for path in file.parent.glob('*.svg')}
    assert pictures == {f'fake_{name}_bupt2hitsz_gains.svg' for name in ('table2',)}
    assert all(f']({name})' in text for name in pictures)


def test_worlds_that_settings_were_chosen_on_support_no_claim(bench):
    bench.run('table3', rows=['cd', 'adabn', 'bclu', 'dsc'], seeds=(0,))
    file = bench.folder / 'fake.json'
    collect_results(bench.place, file)
    assert '## Claims' not in write_result_page(bench.place, file).read_text()
    free = replace(bench.place, preset=replace(bench.place.preset, tuning_seeds=()))
    text = write_result_page(free, file).read_text()
    assert '## Claims\n' in text
    assert 'on which settings were chosen' not in text.partition('## ')[2]
