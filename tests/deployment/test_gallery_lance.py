import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import galleries
import pytest
from galleries import SIZE, START, entry, feature, fill, killed, made_up_bundle, names

from dscreid.deployment import open_gallery
from dscreid.errors import GalleryError

pytest.importorskip('lancedb')


@pytest.fixture
def gallery(tmp_path):
    """Tracklets t0 to t29."""
    made = open_gallery(tmp_path / 'gallery', made_up_bundle(), create=True)
    assert fill(made, range(30)) == 30
    return made


def content(gallery):
    """Bytes of all files."""
    return b''.join(path.read_bytes() for path in sorted(gallery.storage.folder.rglob('*')) if path.is_file())


def test_damage_is_one_sentence(gallery):
    for path in (gallery.storage.folder / 'tracklets.lance/data').iterdir():
        path.unlink()
    with pytest.raises(GalleryError, match=r'cannot be read or written .* restore the folder') as caught:
        open_gallery(gallery.place).query()
    assert '\n' not in str(caught.value)
    assert '.cargo' not in str(caught.value)


def test_removed_tracklets_are_erased_from_the_disk(gallery):
    assert b'picture of t7,' in content(gallery)
    assert gallery.remove(['t7', 'absent']) == 1
    assert gallery.remove(['t7']) == 0
    erased = content(gallery)
    assert b'picture of t7,' not in erased
    assert feature(7).tobytes() not in erased
    assert b'picture of t8,' in erased
    assert set(names(gallery.query())) == {f't{number}' for number in range(30)} - {'t7'}


def test_compacting_joins_parts_and_erases_what_was_replaced(gallery):
    for number in range(30, 40):
        fill(gallery, [number])
    gallery.add([entry(5, thumbnail=b'new')], feature(5)[None], replace=True)
    assert b'picture of t5,' in content(gallery)
    before = gallery.query()
    gallery.compact()
    assert b'picture of t5,' not in content(gallery)
    assert len(list((gallery.storage.folder / 'tracklets.lance/data').iterdir())) == 1
    assert gallery.query() == before
    assert gallery.about == open_gallery(gallery.place, made_up_bundle()).about


def test_many_small_additions_are_joined(tmp_path):
    gallery = open_gallery(tmp_path / 'g', made_up_bundle(), create=True)
    for number in range(70):
        fill(gallery, [number])
    gallery.finish_adding()
    assert gallery.storage.table.stats()['fragment_stats']['num_fragments'] == 1
    assert len(gallery) == 70


@pytest.mark.slow
def test_compacting_erases_what_a_killed_removal_left(gallery):
    fill(gallery, range(30, 400))
    finished = killed('remove', gallery.storage.folder, seconds=0.3)
    again = open_gallery(gallery.place)
    count = finished[-1] + 1
    left = set(names(again.query()))
    assert left in [{f't{number}' for number in range(first, 400)} for first in (count, count + 1)]
    again.compact()
    stored = content(again)
    erased = [number for number in range(400) if b'picture of t%d,' % number not in stored]
    assert {f't{number}' for number in erased} == {f't{number}' for number in range(400)} - left


def test_a_gallery_whose_making_was_killed_is_made_again(tmp_path):
    (tmp_path / 'g/tracklets.lance/data').mkdir(parents=True)
    with pytest.raises(GalleryError, match='is not a gallery'):
        open_gallery(tmp_path / 'g')
    assert fill(open_gallery(tmp_path / 'g', made_up_bundle(), create=True), range(3)) == 3


@pytest.mark.slow
def test_a_writer_and_one_that_compacts_wait_for_each_other(tmp_path):
    folder = tmp_path / 'g'
    open_gallery(folder, made_up_bundle(), create=True)
    start = 'import sys; from galleries import *; gallery = open_gallery(sys.argv[1]);'
    codes = [
        f'{start} [fill(gallery, range(k, k + 9)) for k in range(0, 60, 3)]',
        f'{start} [fill(gallery, range(k, k + 9)) for k in range(300, 360, 3)]',
        f'{start} [gallery.compact() for _ in range(20)]',
    ]
    processes = [
        subprocess.Popen([sys.executable, '-c', code, str(folder)], cwd=Path(galleries.__file__).parent)
        for code in codes
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    expected = [f't{number}' for number in (*range(66), *range(300, 366))]
    assert sorted(names(open_gallery(folder).query())) == sorted(expected)


def test_compacting_deletes_what_killed_writers_left(gallery):
    data = gallery.storage.folder / 'tracklets.lance/data'
    (data / '.tmpw2ab9m').write_bytes(b'picture of somebody')
    gallery.compact()
    assert len(gallery) == 30
    assert b'picture of somebody' not in content(gallery)


def test_no_folder_is_made_by_looking_for_a_gallery(tmp_path):
    with pytest.raises(GalleryError, match='is not a gallery'):
        open_gallery(tmp_path / 'absent')
    assert not (tmp_path / 'absent').exists()


def test_pruned_tracklets_are_erased_from_the_disk(gallery):
    assert gallery.prune(timedelta(days=1, hours=6), (START + timedelta(days=2)).astimezone()) == 18
    assert b'picture of t17,' not in content(gallery)
    assert b'picture of t18,' in content(gallery)


def test_the_size_is_that_of_the_folder(gallery):
    assert gallery.statistics().num_bytes == len(content(gallery))
    assert gallery.statistics().num_bytes > 30 * 4 * SIZE
