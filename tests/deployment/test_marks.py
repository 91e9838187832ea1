import json
import multiprocessing
import threading
from dataclasses import replace

import pytest

from dscreid.deployment.marks import append_mark, erase_missing, labeled_pairs, make_mark, marks_file, read_marks
from dscreid.errors import GalleryError
from dscreid.structures import Modality

RGB, IR = Modality


def mark(query='a', answer='b', same=True, similarity=0.5, model='m', modalities=(RGB, RGB)):
    return make_mark((query, modalities[0]), (answer, modalities[1]), same, similarity, model)


@pytest.fixture
def path(tmp_path):
    return marks_file(tmp_path / 'gallery')


def append_many(path, name):
    for number in range(50):
        append_mark(path, mark(name, f'{name}{number}'))


def test_marks_lie_next_to_the_gallery_and_come_back(path, tmp_path):
    assert path == tmp_path / 'gallery.marks.jsonl'
    assert read_marks(path) == []
    marks = [mark(), mark('a', 'ü\n"', False, -0.25), mark('c', 'd', None)]
    for one in marks:
        append_mark(path, one)
    assert read_marks(path) == marks
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ('modalities', 'pair'), [((RGB, RGB), 'rgb-rgb'), ((IR, IR), 'ir-ir'), ((RGB, IR), 'rgb-ir'), ((IR, RGB), 'rgb-ir')]
)
def test_a_pair_of_modalities_has_one_name(modalities, pair):
    assert mark(modalities=modalities).modalities == pair


def test_pairs_are_the_last_marks_of_a_model(path):
    last = mark('b', 'a', False)
    for one in (mark('a', 'b'), mark('e', 'f'), mark('c', 'd'), mark('c', 'd', None), mark('g', 'h', model='x'), last):
        append_mark(path, one)
    assert [(one.query, one.tracklet, one.same) for one in labeled_pairs(path, 'm')] == [
        ('e', 'f', True),
        ('b', 'a', False),
    ]


def test_who_is_who_does_not_depend_on_the_model(path):
    for one in (mark('a', 'b', model='m'), mark('c', 'd', model='x'), mark('b', 'a', False, model='x')):
        append_mark(path, one)
    found = [(one.query, one.tracklet, one.same) for one in labeled_pairs(path)]
    assert found == [('c', 'd', True), ('b', 'a', False)]


def test_what_a_killed_writer_left_is_ignored_then_removed(path):
    append_mark(path, mark('a', 'b'))
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole + whole[:end])
        assert len(read_marks(path)) == 1
    append_mark(path, mark('c', 'd'))
    assert [one.query for one in read_marks(path)] == ['a', 'c']
    assert path.read_bytes().startswith(whole)


def test_threads_and_processes_lose_nothing(path):
    context = multiprocessing.get_context('fork')
    workers = [threading.Thread(target=append_many, args=(path, f't{number}')) for number in range(2)]
    workers += [context.Process(target=append_many, args=(path, f'p{number}')) for number in range(2)]
    for worker in reversed(workers):
        worker.start()
    for worker in workers:
        worker.join()
    marks = read_marks(path)
    assert len(marks) == len({one.tracklet for one in marks}) == 200


@pytest.mark.parametrize(
    'change', [{'same': 'yes'}, {'similarity': 'high'}, {'modalities': 'rgb'}, {'query': 3}, {'surprise': 1}]
)
def test_malformed_lines_are_named(path, change):
    append_mark(path, mark())
    line = json.loads(path.read_text())
    with path.open('a') as file:
        file.write(json.dumps(line | change) + '\n')
    with pytest.raises(GalleryError, match=r'marks.jsonl:2: is not a mark of dscreid serve .*; remove the line'):
        read_marks(path)


def test_a_mark_knows_when_it_was_made():
    assert mark().time.endswith('+00:00')
    assert replace(mark(), time='') == replace(mark(), time='')


class Names:
    """Stands for a gallery of tracklets of these names."""

    def __init__(self, *names):
        self.names = names

    def folders(self, names):
        return {name: '' for name in names if name in self.names}


def pairs(path):
    return [(one.query, one.tracklet) for one in read_marks(path)]


def test_marks_of_removed_tracklets_are_erased_whatever_their_model(path):
    assert erase_missing(path, Names('a')) == 0
    assert not list(path.parent.iterdir())
    for one in (('a', 'b'), ('b', 'ü'), ('a', 'gone'), ('gone', 'b'), ('upload-1', 'a'), ('upload-1', 'gone')):
        append_mark(path, mark(*one))
        append_mark(path, mark(*one, same=None, model='other'))
    before = path.read_bytes()
    assert erase_missing(path, Names('a', 'b', 'ü')) == 6
    assert pairs(path) == 2 * [('a', 'b')] + 2 * [('b', 'ü')] + 2 * [('upload-1', 'a')]
    assert set(path.read_bytes().splitlines()) < set(before.splitlines())
    assert b'gone' not in path.read_bytes()
    assert erase_missing(path, Names('a', 'b', 'ü')) == 0
    assert erase_missing(path, Names('b', 'ü')) == 4
    assert erase_missing(path, Names()) == 2
    assert path.read_bytes() == b''


def test_erased_marks_leave_no_other_file_and_keep_the_permissions(path, monkeypatch):
    append_mark(path, mark('a', 'gone'))
    path.chmod(0o600)
    (path.parent / '.other.marks.jsonl.dscreid-partial-01234567.jsonl').touch()
    with monkeypatch.context() as killed:
        killed.setattr('pathlib.Path.unlink', lambda *arguments, **options: None)
        killed.setattr('pathlib.Path.replace', lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase_missing(path, Names('a'))
    assert pairs(path) == [('a', 'gone')]
    assert len(list(path.parent.glob(f'.{path.name}.dscreid-partial-*'))) == 1
    assert erase_missing(path, Names('a')) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == [
        f'.{path.name}.lock', '.other.marks.jsonl.dscreid-partial-01234567.jsonl', path.name,
    ]  # fmt: skip


def test_marks_made_while_others_are_erased_are_not_lost(path):
    append_many(path, 'gone')
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=append_many, args=(path, 'kept'))]
    workers += [threading.Thread(target=append_many, args=(path, 'here'))]
    for worker in workers:
        worker.start()
    names = [f'{name}{number}' for name in ('kept', 'here') for number in range(50)]
    erased = sum(erase_missing(path, Names('kept', 'here', *names)) for _ in range(20))
    for worker in workers:
        worker.join()
    assert erased == 50
    assert sorted(one[1] for one in pairs(path)) == sorted(names)
