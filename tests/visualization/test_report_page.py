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
    make_scalars,
    report_html,
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
        'retrieval': RetrievalGallery(retrieval_examples(runs, 'hitsz_vcm', count=2), TrackletPictures(dataset)),
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
    assert ['Adaptation', '3.1 min'] in page.rows
    assert ['Together', '3.1 min'] in page.rows
    assert ['torch', '2.11'] in page.rows
    assert len(page.photos) == 2 * 2 * (1 + 2 * 6)


def test_equal_arguments_give_equal_bytes(tmp_path, content):
    for name in ('a.html', 'b.html'):
        write_report(tmp_path / name, **content)
    assert (tmp_path / 'a.html').read_bytes() == (tmp_path / 'b.html').read_bytes()


def test_sections_without_content_are_left_out(tmp_path, parse, metrics):
    write_report(tmp_path / 'deep' / 'report.html', title='Empty', runs=[])
    page = parse((tmp_path / 'deep' / 'report.html').read_text(encoding='utf-8'))
    assert len(page.find('h2')) == 1
    assert 'No run has been evaluated.' in page.texts
    assert page.find('nav') == []
    text = report_html(title='Own', runs=[ReportRun('CD', metrics(0.3))], environment={'torch': '2'})
    assert len(parse(text).find('h2')) == 2
    assert 'Wall times' not in text


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %} $\\frac$ \'&amp;'


def test_user_text_is_shown_and_never_run(features, metrics, dataset, parse):
    table = features(1, 0.5)
    runs = [ReportRun(HOSTILE, metrics(0.3), table), ReportRun(f'{HOSTILE} 2', {}, reason=HOSTILE)]
    scalars = make_scalars(
        [{f'loss_{HOSTILE}': 1.0 / at, f'criteria/{HOSTILE}': 0.5, 'iter': at} for at in range(1, 5)]
    )
    gallery = RetrievalGallery(retrieval_examples(runs, 'hitsz_vcm', count=1), TrackletPictures(dataset))
    text = report_html(
        title=HOSTILE,
        runs=runs,
        curves={HOSTILE: scalars, 'runs': {HOSTILE: scalars, 'other': scalars}},
        differences={HOSTILE: {}, 'other': {HOSTILE: [HOSTILE, [HOSTILE]]}},
        retrieval=gallery,
        densities=[distance_density(HOSTILE, table)],
        timings={HOSTILE: 1.0},
        environment={HOSTILE: HOSTILE},
        notes=[f'{HOSTILE} `{HOSTILE}`', HOSTILE],
    )
    page = parse(text)
    assert not {'script', 'object'} & {tag for tag, _ in page.elements}
    assert all(image['src'].startswith('data:image/') for image in page.find('img'))
    assert not any(name.startswith('on') for _, attributes in page.elements for name in attributes)
    assert page.texts.count(HOSTILE) >= 8
    assert '49' not in page.texts[0]


def test_config_differences_are_a_column_per_run(parse):
    differences = {'a': {}, 'b': {'lr': [0.1, 0.2], 'x.y': ['absent', [1, 2]]}, 'c': {'lr': [0.1, None]}}
    rows = parse(report_html(title='t', runs=[], differences=differences)).rows
    assert rows == [
        ['Setting', 'a', 'b', 'c'],
        ['lr', '0.1', '0.2', 'null'],
        ['x.y', 'absent', '[1, 2]', 'absent'],
    ]
    equal = report_html(title='t', runs=[], differences={'a': {}, 'b': {}})
    assert 'have the same settings' in equal


def test_runs_that_were_not_evaluated_are_named_with_their_reason(parse):
    run = ReportRun('mine', {}, reason='its target has no identities')
    text = report_html(title='t', runs=[run], notes=['n'])
    assert 'mine was not evaluated: its target has no identities.' in parse(text).texts


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


def test_the_environment_names_versions():
    facts = collect_environment()
    assert {'dscreid', 'Python', 'torch', 'Processor', 'Cores'} <= set(facts)
    assert all(isinstance(value, str) and value for value in facts.values())
