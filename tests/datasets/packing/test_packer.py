"""Writing: resuming, verifying, refusing."""

import multiprocessing
import os
import signal
import time

import cv2
import numpy as np
import pytest

from dscreid.datasets import packing
from dscreid.datasets.packing import encode_frame, load_frame, pack, plan_packing, verify
from dscreid.datasets.storage import FrameFormat, open_frames
from dscreid.datasets.storage.manifest import read_manifest
from dscreid.errors import ConfigError, DatasetError

SIZE = (12, 8)
RAW = FrameFormat(SIZE, encoding='raw', quality=None)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / 'shards').iterdir()}


@pytest.fixture
def plan(worlds):
    """312 frames in seven shards."""
    return plan_packing('hitsz', worlds.hitsz(), RAW, frames_per_shard=50)


def test_every_listed_frame_is_packed_once(packed):
    root, out = packed('bupt', frames_per_shard=7)
    manifest = verify(out)
    pictures = [str(path.relative_to(root)) for path in root.rglob('*.jpg')]
    assert manifest.num_frames == len(pictures)
    storage = open_frames(out)
    for frame in pictures:
        pixels = np.frombuffer(storage.read(frame), np.uint8).reshape(*SIZE, 3)
        expected = cv2.resize(cv2.imread(str(root / frame)), SIZE[::-1])[..., ::-1]
        np.testing.assert_array_equal(pixels, expected)


def test_frames_of_a_tracklet_lie_together(plan):
    positions = {frame: number for number, frame in enumerate(plan.frames)}
    first = [positions[f'Train/0001/ir/D1/{n}.jpg'] for n in range(13)]
    assert first == list(range(first[0], first[0] + 13))


def test_processes_write_the_same_bytes(plan, worlds):
    for jobs in (1, 2):
        pack(plan, worlds.folder / f'out{jobs}', jobs)
    assert files(worlds.folder / 'out1') == files(worlds.folder / 'out2')


def test_a_finished_folder_is_kept(plan, worlds):
    out = worlds.folder / 'out'
    pack(plan, out)
    before, contents = times(out), files(out)
    pack(plan, out)
    assert times(out) == before
    assert files(out) == contents


def test_what_is_finished_stays_and_the_rest_is_written(plan, worlds, monkeypatch):
    out, original = worlds.folder / 'out', packing.make_shard
    started = []

    def fail_at_the_fourth(*arguments):
        started.append(arguments)
        if len(started) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(packing, 'make_shard', fail_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        pack(plan, out)
    with pytest.raises(DatasetError, match=r'not all frames are packed yet; .*dscreid pack hitsz'):
        verify(out)
    before = times(out)
    assert len(before) == 3
    (out / 'shards/.00003.safetensors.dscreid-partial-abcdefgh').write_bytes(b'half')
    monkeypatch.setattr(packing, 'make_shard', original)
    pack(plan, out)
    assert {name: when for name, when in times(out).items() if name in before} == before
    assert len(times(out)) == 7
    pack(plan, worlds.folder / 'at_once')
    assert files(out) == files(worlds.folder / 'at_once')


def pack_four_and_hang(plan, out):
    """What runs in the process that is killed."""
    original, made = packing.make_shard, []

    def make(*arguments):
        record = original(*arguments)
        made.append(record)
        if len(made) == 5:
            time.sleep(600)
        return record

    packing.make_shard = make
    pack(plan, out)


def finished_shards(out):
    if not (out / 'packing.json').is_file():
        return 0
    return sum(record is not None for record in read_manifest(out).shards)


def test_a_killed_job_goes_on(worlds):
    """The fifth shard is written but not recorded when the kill comes."""
    root, out = worlds.hitsz(), worlds.folder / 'out'
    plan = plan_packing('hitsz', root, RAW, frames_per_shard=20)
    process = multiprocessing.get_context('fork').Process(target=pack_four_and_hang, args=(plan, out))
    process.start()
    deadline = time.monotonic() + 120
    while not (out / 'shards/00004.safetensors').is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert finished_shards(out) == 4
    before = times(out)
    pack(plan, out)
    kept = {name for name, when in times(out).items() if before.get(name) == when}
    assert kept == {f'{number:05d}.safetensors' for number in range(4)}
    verify(out)
    pack(plan, worlds.folder / 'at_once')
    assert files(out) == files(worlds.folder / 'at_once')


def damage(out):
    shard = out / 'shards/00002.safetensors'
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    (out / 'shards/00004.safetensors').unlink()
    (out / 'info/query_IDX.txt').write_text('1\n')


def test_verifying_names_all_damaged_files_and_the_command_that_mends_them(plan, worlds):
    out = worlds.folder / 'out'
    pack(plan, out)
    contents, before = files(out), times(out)
    damage(out)
    with pytest.raises(DatasetError) as error:
        verify(out)
    assert str(error.value) == (
        f'{out}: 3 files are missing or damaged: shards/00002.safetensors, shards/00004.safetensors, '
        'info/query_IDX.txt; this command writes them again: '
        f'dscreid pack hitsz {plan.manifest.source} {out}'
    )
    pack(plan, out)
    assert files(out) == contents
    rewritten = {name for name, when in times(out).items() if before.get(name) != when}
    assert rewritten == {'00002.safetensors', '00004.safetensors'}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'frame_format': FrameFormat(SIZE)},
            'frame_format was raw pixels, 12x8, now JPEG of quality 95, 12x8',
        ),
        ({'splits': ['test']}, 'splits was'),
        ({'frames_per_shard': 49}, 'frames_per_shard was 50, now 49'),
    ],
)
def test_a_folder_of_other_frames_is_not_continued(plan, worlds, change, message):
    out = worlds.folder / 'out'
    pack(plan, out)
    contents = files(out)
    options = {'frame_format': RAW, 'frames_per_shard': 50} | change
    with pytest.raises(DatasetError, match=rf'packed differently \({message}.*choose a new folder'):
        pack(plan_packing('hitsz', plan.manifest.source, **options), out)
    assert files(out) == contents


def test_a_changed_index_is_noticed(plan, worlds, edit_line):
    out = worlds.folder / 'out'
    pack(plan, out)
    root = worlds.folder / 'hitsz'
    edit_line(root / 'info/track_train_info.txt', 1, '1 1 12 1 1')
    with pytest.raises(DatasetError, match='the index files of the source changed'):
        pack(plan_packing('hitsz', root, RAW, frames_per_shard=50), out)


def test_other_folders_are_left_alone(plan, worlds):
    out = worlds.folder / 'mine'
    out.mkdir()
    (out / 'thesis.tex').write_text('x')
    with pytest.raises(DatasetError, match='contains files but no packed frames'):
        pack(plan, out)
    with pytest.raises(DatasetError, match='contains files but no packed frames'):
        pack(plan, plan.manifest.source)
    assert list(files(out)) == ['thesis.tex']


def test_packed_frames_are_not_packed_again(packed):
    _, out = packed()
    with pytest.raises(DatasetError, match='already packed'):
        plan_packing('hitsz', out)


@pytest.mark.parametrize('jobs', [1, 2])
@pytest.mark.parametrize(('content', 'message'), [(b'no image', 'not a complete image'), (None, 'is missing')])
def test_a_bad_frame_is_named(plan, worlds, jobs, content, message):
    picture = worlds.folder / 'hitsz/Test/0005/rgb/D1/3.jpg'
    picture.unlink()
    if content is not None:
        picture.write_bytes(content)
    with pytest.raises(DatasetError, match=rf'Test/0005/rgb/D1/3.jpg: .*{message}'):
        pack(plan, worlds.folder / 'out', jobs)


def test_links_out_of_the_source_are_refused(plan, worlds):
    picture = worlds.folder / 'hitsz/Test/0005/rgb/D1/3.jpg'
    picture.replace(worlds.folder / 'outside.jpg')
    picture.symlink_to(worlds.folder / 'outside.jpg')
    with pytest.raises(DatasetError, match='leads out of the data root'):
        pack(plan, worlds.folder / 'out')


def test_index_files_that_lead_out_of_the_source_are_never_copied(worlds):
    root = worlds.hitsz()
    secret = worlds.folder / 'secret.txt'
    secret.write_text('a private key')
    unread = root / 'info/query_IDX.txt'  # no reader of the training split opens it
    plan = plan_packing('hitsz', root, RAW, splits=['train'], frames_per_shard=50)
    unread.unlink()
    unread.symlink_to(secret)
    message = r'info/query_IDX\.txt: leads out of the data root'
    with pytest.raises(DatasetError, match=message):
        plan_packing('hitsz', root, RAW, splits=['train'], frames_per_shard=50)
    with pytest.raises(DatasetError, match=message):  # a link that was made after planning
        pack(plan, worlds.folder / 'out')
    assert b'a private key' not in files(worlds.folder / 'out').values()
    unread.unlink()
    unread.symlink_to('train_name.txt')
    plan_packing('hitsz', root, RAW, splits=['train'], frames_per_shard=50)  # a link within the root is fine


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'layout': 'sysu'}, "unknown layout 'sysu'"),
        ({'fake_ir': True}, 'no generated infrared frames'),
        ({'frames_per_shard': 0}, 'at least one frame'),
        ({'splits': ['val']}, "split must be one of .* got 'val'"),
    ],
)
def test_choices_are_checked(worlds, arguments, message):
    with pytest.raises(ConfigError, match=message):
        plan_packing(**{'layout': 'hitsz', 'source': worlds.hitsz(), **arguments})


@pytest.mark.parametrize(
    'arguments', [{'size': (0, 2)}, {'size': (1,)}, {'encoding': 'png'}, {'quality': 0}, {'quality': None}]
)
def test_formats_are_checked(arguments):
    with pytest.raises(ConfigError):
        FrameFormat(**arguments)


def test_grey_pixels_become_grey_jpegs_and_colour_stays():
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    grey = np.repeat(colour[..., :1], 3, 2)
    almost = grey.copy()
    almost[3, 3, 2] ^= 128
    for pixels, channels in ((colour, 3), (grey, 1), (almost, 3)):
        content = encode_frame(pixels, FrameFormat((16, 16)))
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR)
        assert (1 if image.ndim == 2 else 3) == channels


@pytest.mark.parametrize('area', [False, True])
def test_frames_are_made_as_the_loader_makes_them(plan, worlds, area):
    frame = plan.frames[5]
    pixels = cv2.imread(str(worlds.folder / 'hitsz' / frame))
    method = cv2.INTER_AREA if area else cv2.INTER_LINEAR
    expected = cv2.resize(pixels, (4, 5), interpolation=method)[..., ::-1]
    made = load_frame(worlds.folder / 'hitsz', frame, FrameFormat((5, 4), area_when_shrinking=area))
    np.testing.assert_array_equal(made, expected)
