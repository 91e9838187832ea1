"""The commands gallery and search."""

import pytest

from dscreid.datasets.tracklet_table import read_table, write_table
from dscreid.deployment import make_bundle
from dscreid.deployment.marks import append_mark, make_mark, marks_file, read_marks
from dscreid.structures import Modality

pytest.importorskip('lancedb')


@pytest.fixture(scope='module')
def bundle(tiny_runs, tiny_experiment, tmp_path_factory):
    out = tmp_path_factory.mktemp('bundle') / 'tiny'
    notes = dict(license='for tests only', training_data='rendered worlds')
    return make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, out, **notes).folder


@pytest.fixture(scope='module')
def root(tiny_runs, tmp_path_factory):
    from own_cameras import make_tracklet_folder

    out = make_tracklet_folder(tiny_runs.hitsz, tmp_path_factory.mktemp('own') / 'own', persons=False)
    rows = read_table(out / 'tracklets.csv')
    write_table(out / 'tracklets.csv', rows[:8])
    return out


def test_a_gallery_on_a_server(load_tool, root, bundle, milvus_server, capsys):
    place = f'{milvus_server}/tool'

    def printed(run, *arguments):
        load_tool(run).main([*map(str, arguments), '--gallery', place])
        return capsys.readouterr().out

    added = printed('gallery.py', 'add', root, '--bundle', bundle)
    assert added.endswith(f'{place}: 8 tracklets added, 0 were there, 8 in all\n')
    assert f'{place}: 8 tracklets, size unknown, no index' in printed('gallery.py', 'stats')
    rows = read_table(root / 'tracklets.csv')
    query = (root / rows[0].frames[0]).parent
    assert rows[1].tracklet in printed('search.py', query, '--bundle', bundle)
    removed = printed('gallery.py', 'remove', rows[1].tracklet)
    assert removed == f'{place}: 1 tracklets removed, which the server erases later, 7 left\n'
    assert rows[1].tracklet not in printed('search.py', query, '--bundle', bundle)
    assert printed('gallery.py', 'compact') == f'{place}: size unknown\n'


def test_from_a_folder_to_a_page(load_tool, root, bundle, tmp_path, capsys):
    tool, search = load_tool('gallery.py'), load_tool('search.py')
    gallery = ['--gallery', str(tmp_path / 'g')]
    model = [*gallery, '--bundle', str(bundle)]

    def printed(run, *arguments):
        run.main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    assert '8 tracklets added, 0 were there, 8 in all' in printed(tool, 'add', root, *model)
    assert '0 tracklets added, 8 were there, 8 in all' in printed(tool, 'add', root, *model, '--no-thumbnails')
    stats = printed(tool, 'stats', *gallery)
    assert 'license: for tests only; training data: rendered worlds' in stats
    assert '8 tracklets' in stats
    listed = printed(tool, 'query', *gallery, '--modality', 'ir', '--limit', '2')
    assert listed.splitlines()[0].split() == ['tracklet', 'camera', 'time', 'folder']
    assert listed.splitlines()[-1] == '2 of 4 tracklets'

    query = (root / read_table(root / 'tracklets.csv')[0].frames[0]).parent
    page = tmp_path / 'found.html'
    text = printed(search, query, *model, '--top', '3', '--html', page)
    assert len(text.split(str(query))[1].splitlines()) >= 5
    assert f'written: {page}' in text
    assert page.read_text().startswith('<!DOCTYPE html>')
    assert 'no match' in printed(search, query, *model, '--threshold', 'similarity=1.5')
    picture = sorted(query.iterdir())[0]
    found = printed(search, picture, *model, '--box', '0,0,16,20', '--top', '2', '--html', page)
    assert len(found.split(str(picture))[1].splitlines()) >= 4
    assert page.read_text().count('1 picture') == 1

    name, other = (read_table(root / 'tracklets.csv')[row].tracklet for row in (3, 0))
    marks = marks_file(tmp_path / 'g')
    for query in (name, 'upload-0'):
        append_mark(marks, make_mark((query, Modality.RGB), (other, Modality.IR), True, 0.5, 'm'))
    removed = printed(tool, 'remove', name, 'absent', *gallery)
    assert 'not in the gallery: absent' in removed
    assert '1 tracklets removed and erased, 7 left' in removed
    assert f'{marks}: 1 marks of removed tracklets erased' in removed
    assert [one.query for one in read_marks(marks)] == ['upload-0']
    assert '0 tracklets removed and erased, 7 left' in printed(tool, 'prune', '--older-than', '30d', *gallery)
    assert ' MB' in printed(tool, 'compact', *gallery)
    # they have no time, so their age counts from when they were added
    assert '7 tracklets removed and erased, 0 left' in printed(tool, 'prune', '--older-than', '0h', *gallery)
    assert marks.read_bytes() == b''


@pytest.mark.parametrize(
    ('name', 'arguments', 'message'),
    [
        ('gallery.py', ['stats'], 'is not a gallery; create one with dscreid gallery add'),
        ('gallery.py', ['prune', '--older-than', '30'], "'30' is not an age such as 30d"),
        ('gallery.py', ['query', '--from', 'now'], "'now' is not a time such as"),
        ('search.py', ['x', '--bundle', 'B', '--threshold', '7'], 'or write similarity=7'),
        ('search.py', ['x', '--bundle', 'B'], 'B: contains no bundle.json'),
        ('search.py', ['x', 'y', '--bundle', 'B', '--box', '0,0,9,9'], '--box and --frames apply to one query'),
        ('search.py', ['x', '--bundle', 'B', '--box', '0,0,9'], "'0,0,9' is not a box such as"),
        ('search.py', ['x', '--bundle', 'B', '--frames', '9-3'], "'9-3' is not a range of frames such as"),
    ],
)
def test_mistakes_are_one_sentence(load_tool, tmp_path, capsys, name, arguments, message):
    with pytest.raises(SystemExit) as stop:
        load_tool(name).main([*arguments, '--gallery', str(tmp_path / 'g')])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert not (tmp_path / 'g').exists()
