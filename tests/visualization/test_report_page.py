import os
import re

import pytest

from dscreid.errors import DatasetError
from dscreid.visualization import (
    ReportRun,
    RetrievalGallery,
    TrackletPictures,
    collect_environment,
    distance_density,
    format_duration,
    make_scalars,
    retrieval_examples,
    write_report,
)


@pytest.fixture
def content(features, metrics, dataset):
    runs = [ReportRun('CD', metrics(0.3), features(1, 1.5)), ReportRun('DSC', metrics(0.4), features(1, 0.5))]
    scalars = make_scalars([{'loss': 1.0 / i, 'iter': i, 'epoch': 1} for i in range(1, 5)])
    return {
        'title': 'A & B',
        'runs': runs,
        'curves': {'Source': scalars, 'Adaptation': scalars},
        'retrieval': RetrievalGallery(
            retrieval_examples(runs, 'hitsz_vcm', count=2), TrackletPictures(dataset)
        ),
        'densities': [distance_density(run.name, run.features) for run in runs],
        'timings': {'Adaptation': 185.0, 'Evaluation': 0.4},
        'environment': {'torch': '2.11'},
        'notes': ['Synthetic data. Made by `make demo`.', 'Second <note>.'],
    }


def test_the_page_is_valid_and_asks_for_nothing_from_outside(tmp_path, content, parse):
    write_report(tmp_path / 'report.html', **content)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    page = parse(text)
    assert page.elements[0][0] == 'html'
    assert page.find('html')[0]['lang'] == 'en'
    for _, attributes in page.elements:
        for name in ('src', 'href', 'action', 'data', 'srcset', 'poster', 'xlink:href'):
            if attributes.get(name) is not None:
                assert attributes[name].startswith(('data:image/', '#'))
    assert not {'script', 'link', 'iframe', 'object'} & {tag for tag, _ in page.elements}
    assert not re.search(r'url\(|@import|https?:', text)
    identifiers = [attributes['id'] for _, attributes in page.elements if 'id' in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {a['href'][1:] for a in page.find('a')} <= set(identifiers)


def test_the_page_can_be_read_without_seeing_it(tmp_path, content, parse):
    write_report(tmp_path / 'report.html', **content)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    page = parse(text)
    assert all(attributes.get('alt') for attributes in page.find('img'))
    assert all(attributes.get('aria-label') for attributes in page.find('svg'))
    assert all(attributes.get('scope') for attributes in page.find('th'))
    assert 'prefers-color-scheme: dark' in text
    assert any(a.get('name') == 'viewport' for a in page.find('meta'))


def test_the_page_says_what_it_was_given(tmp_path, content, parse):
    write_report(tmp_path / 'report.html', **content)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    page = parse(text)
    assert page.texts.count('A & B') == 2
    assert '<code>make demo</code>' in text
    assert 'Second <note>.' in page.texts
    assert ['Adaptation', '3 min 05 s'] in page.rows
    assert ['Together', '3 min 05 s'] in page.rows
    assert ['torch', '2.11'] in page.rows
    assert len(page.find('img')) == 2 * 2 * (1 + 2 * 6)


def test_equal_arguments_give_equal_bytes(tmp_path, content):
    for name in ('a.html', 'b.html'):
        write_report(tmp_path / name, **content)
    assert (tmp_path / 'a.html').read_bytes() == (tmp_path / 'b.html').read_bytes()


def test_an_empty_report_is_still_a_page(tmp_path, parse):
    write_report(tmp_path / 'deep' / 'report.html', title='Empty', runs=[])
    page = parse((tmp_path / 'deep' / 'report.html').read_text(encoding='utf-8'))
    for sentence in ('No run', 'no curves', 'no retrieval lists', 'no distances', 'Nothing was recorded'):
        assert sentence in page.text


def test_within_modality_results_have_their_own_table(tmp_path, metrics):
    run = ReportRun('CD', metrics(0.3, ('rgb2ir', 'ir2rgb', 'rgb2rgb', 'ir2ir')))
    write_report(tmp_path / 'report.html', title='BUPT', runs=[run], target='bupt_campus')
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert 'Within one modality' in text
    assert text.count('The paper, Table 1') == 1


def test_a_failure_leaves_the_old_report_and_no_rest(tmp_path, content, monkeypatch, dataset):
    folder = tmp_path / 'out'
    folder.mkdir()
    path = folder / 'report.html'
    path.write_text('old')

    def fail(*_):
        raise OSError('disk full')

    with monkeypatch.context() as patched:
        patched.setattr(os, 'replace', fail)
        with pytest.raises(OSError, match='disk full'):
            write_report(path, **content)
    for frame in dataset.root.iterdir():
        frame.unlink()
    content['retrieval'] = RetrievalGallery(content['retrieval'].examples, TrackletPictures(dataset))
    with pytest.raises(DatasetError, match='is missing'):
        write_report(path, **content)
    assert path.read_text() == 'old'
    assert list(folder.iterdir()) == [path]


def test_the_report_has_ordinary_permissions(tmp_path):
    write_report(tmp_path / 'report.html', title='Empty', runs=[])
    (tmp_path / 'plain').write_text('')
    assert (tmp_path / 'report.html').stat().st_mode == (tmp_path / 'plain').stat().st_mode


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0.42, '0.4 s'), (9.96, '10 s'), (59.6, '1 min 00 s'), (185, '3 min 05 s'), (7600, '2 h 07 min')],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_the_environment_names_versions():
    facts = collect_environment()
    assert {'dscreid', 'Python', 'torch', 'Processor', 'Cores'} <= set(facts)
    assert all(isinstance(value, str) and value for value in facts.values())
