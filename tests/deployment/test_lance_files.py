"""A disk that becomes full at any place of a file leaves a gallery as it was."""

import errno
import shutil

import numpy as np
import pytest
from full_disks import files_of_at_most
from galleries import entry, feature, fill, made_up_bundle

from dscreid.deployment import open_gallery
from dscreid.deployment.lance_files import system_error, undone_if_incomplete

NUMBERS = range(1000, 1200)


def add(gallery):
    random = np.random.default_rng(0)
    entries = [entry(number, thumbnail=random.bytes(3000)) for number in NUMBERS]
    gallery.add(entries, np.stack([feature(number) for number in NUMBERS]))


#: Changes that write large files.
CHANGES = {
    'add': add,
    'remove': lambda gallery: gallery.remove(['t3']),
    'compact': lambda gallery: gallery.compact(),
    'index': lambda gallery: gallery.compact(index=True),
}


@pytest.fixture(scope='module')
def filled(tmp_path_factory):
    """A gallery of 1,000 tracklets; nobody may change it."""
    folder = tmp_path_factory.mktemp('galleries') / 'g'
    fill(open_gallery(folder, made_up_bundle(), create=True), range(1000))
    return folder


def content(gallery):
    gallery.search(np.zeros((1, 8), np.float32), filters=None)  # can be searched
    return [(one.tracklet, one.folder, one.start_time) for one in gallery.query()]


def sizes_of_new_files(folder, copy, change):
    """Sizes of the largest file, and of the largest of an index, that a change writes."""
    shutil.copytree(folder, copy)
    gallery, before = open_gallery(copy), set(copy.rglob('*'))
    change(gallery)
    written = {path: path.stat().st_size for path in set(copy.rglob('*')) - before if path.is_file()}
    parts = [[size for path, size in written.items() if path.suffix == suffix] for suffix in ('.lance', '.idx')]
    return [max(sizes) for sizes in parts if sizes]


@pytest.mark.parametrize('name', CHANGES)
def test_a_file_that_ends_early_changes_nothing(filled, tmp_path, name):
    change = CHANGES[name]
    for size in sizes_of_new_files(filled, tmp_path / 'clean', change):
        # the last bytes are those whose error LanceDB loses
        for missing in (1, 300, size // 2, size - 10):
            folder = tmp_path / f'{size}_{missing}'
            shutil.copytree(filled, folder)
            gallery = open_gallery(folder)
            with files_of_at_most(size - missing), pytest.raises(OSError, match=str(folder)) as error:
                change(gallery)
            assert error.value.errno in (errno.ENOSPC, errno.EFBIG)
            # a removal first hides the tracklet, then writes the others anew
            everything = content(open_gallery(filled))
            hidden = [one for one in everything if name != 'remove' or one[0] != 't3']
            found = content(open_gallery(folder))
            assert found in (everything, hidden)
            assert content(gallery) == found
            change(gallery)
            gallery.compact()
            assert len(open_gallery(folder)) == {'add': 1200, 'remove': 999}.get(name, 1000)


def write_incomplete(table, unneeded=''):
    with undone_if_incomplete(table):
        (table / '_versions/2.manifest').write_bytes(b'content LANC')
        (table / 'data/d.lance').write_bytes(b'LAN')
        if unneeded:
            (table / unneeded).unlink()


def test_complete_files_are_left_alone(tmp_path):
    table = tmp_path / 'x.lance'
    with undone_if_incomplete(table):
        for name in ('data/a.lance', '_versions/1.manifest', '_indices/b/c.idx'):
            (table / name).parent.mkdir(parents=True)
            (table / name).write_bytes(b'content LANC')
        (table / '_versions/hint.json').write_bytes(b'{}')
    names = {path.name for path in table.rglob('*.*')}
    assert names == {'a.lance', '1.manifest', 'c.idx', 'hint.json'}
    with pytest.raises(OSError, match='No space left'):
        write_incomplete(table)
    assert {path.name for path in table.rglob('*.*')} == names
    with pytest.raises(OSError, match='No space left'):  # without an earlier version, nothing can be undone
        write_incomplete(table, unneeded='_versions/1.manifest')
    assert {path.name for path in table.rglob('*.*')} == names - {'1.manifest'} | {'2.manifest', 'd.lance'}


@pytest.mark.parametrize(
    ('message', 'number'),
    [
        ('LanceError(IO): File too large (os error 27), /x.rs:1:2', errno.EFBIG),
        ('LanceError(IO): Generic LocalFileSystem error: Unable to copy: no storage space', errno.ENOSPC),
        ('LanceError(IO): file too large', errno.EFBIG),
        ('LanceError(IO): failed to fill whole buffer', None),
    ],
)
def test_errors_of_the_operating_system_are_recognized(message, number):
    assert system_error(message) == number
