"""The dataset classes on packed frames: the same records and protocol, the same pixels, every fault named."""

import json
import pickle
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from dscreid.datasets import HITSZVCM, BUPTCampus, bad_frames
from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import FolderFrames, FrameFormat, PackedFrames, open_frames
from dscreid.datasets.storage.shards import read_columns, write_shard
from dscreid.errors import ConfigError, DatasetError, FrameError
from dscreid.structures import Draw

CLASSES = {'hitsz': HITSZVCM, 'bupt': BUPTCampus}
SIZE = (12, 8)
JPEG = FrameFormat(SIZE)
PIPELINE = (
    {'type': 'SampleFrames', 'num_frames': 3, 'rule': 'segment_random'},
    {'type': 'LoadFrames', 'size': SIZE},
    {'type': 'PackTracklet'},
)


def load(layout, root, split='train', **options):
    return CLASSES[layout](root, split, expected_statistics=None, pipeline=PIPELINE, **options)


@pytest.mark.parametrize(
    ('layout', 'split'),
    [('hitsz', 'train'), ('hitsz', 'test'), *(('bupt', split) for split in BUPTCampus.SPLITS)],
)
@pytest.mark.parametrize('labelled', [True, False])
def test_records_labels_and_raw_pixels_are_the_same(packed, layout, split, labelled):
    root, out = packed(layout)
    before, after = (load(layout, folder, split, labelled=labelled) for folder in (root, out))
    assert isinstance(before.storage, FolderFrames)
    assert isinstance(after.storage, PackedFrames)
    assert after.tracklets == before.tracklets
    assert after.fingerprint() == before.fingerprint()
    assert after.num_classes == before.num_classes
    for one, other in ((before.labels, after.labels), (before.cameras, after.cameras)):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(before.read_ground_truth(), after.read_ground_truth())
    for index in range(len(before)):
        one, other = before[Draw(index, 3)], after[Draw(index, 3)]
        assert torch.equal(one['inputs'], other['inputs'])
        assert dict(one['data_samples'].metainfo_items()) == dict(other['data_samples'].metainfo_items())


@pytest.mark.parametrize(
    'arguments',
    [{}, {'images': 'data'}, {'images': ''}, {'info': ''}],
    ids=['default', 'data', 'top', 'no info'],
)
def test_all_places_of_hitsz_files(worlds, arguments):
    root, out = worlds.hitsz(**arguments), worlds.folder / 'packed'
    pack(plan_packing('hitsz', root, JPEG), out)
    for split in HITSZVCM.SPLITS:
        assert load('hitsz', out, split).tracklets == load('hitsz', root, split).tracklets


def test_generated_frames_are_packed_on_request(worlds):
    root = worlds.bupt(fake=True)
    raw = FrameFormat(SIZE, encoding='raw', quality=None)
    for fake_ir in (True, False):
        pack(plan_packing('bupt', root, raw, fake_ir=fake_ir), worlds.folder / f'packed{fake_ir}')
    before, after = (load('bupt', folder, fake_ir=True) for folder in (root, worlds.folder / 'packedTrue'))
    assert torch.equal(before[0]['inputs'], after[0]['inputs'])
    assert torch.equal(load('bupt', root)[0]['inputs'], load('bupt', worlds.folder / 'packedTrue')[0]['inputs'])
    with pytest.raises(DatasetError, match=r'FakeIR/.* is not among the packed ones'):
        load('bupt', worlds.folder / 'packedFalse', fake_ir=True)[0]


def test_a_split_that_was_left_out_is_named(packed):
    _, out = packed(splits=['test'])
    assert len(load('hitsz', out, 'test')[0]['inputs']) == 3
    with pytest.raises(DatasetError, match='no folder with images of split'):
        load('hitsz', out, 'train')
    _, out = packed('bupt', splits=['test'])
    with pytest.raises(DatasetError, match=r'not among the packed ones \(splits packed: test\)'):
        load('bupt', out, 'train')[0]


def test_the_log_says_what_was_packed(packed, logged):
    _, out = packed(frame_format=JPEG)
    load('hitsz', out)
    assert 'frames packed as JPEG of quality 95, 12x8' in logged[-1]


@pytest.mark.parametrize('quality', [75, 95])
def test_jpeg_pixels_are_close_and_grey_stays_grey(worlds, quality):
    """PSNR of smooth pictures such as cameras give; noise would be far worse."""
    root = worlds.hitsz(people=1, tracklets=1)
    rng = np.random.default_rng(1)
    for path in sorted(root.rglob('*.jpg')):
        colours = rng.integers(0, 256, (6, 4, 1 if '/ir/' in str(path) else 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(colours, (64, 96), interpolation=cv2.INTER_CUBIC))
    size = (48, 32)
    pack(plan_packing('hitsz', root, FrameFormat(size, quality=quality)), worlds.folder / 'packed')
    pipeline = [PIPELINE[0], {'type': 'LoadFrames', 'size': size}, PIPELINE[2]]
    for modality, bound in (('rgb', {75: 28, 95: 32}[quality]), ('ir', {75: 36, 95: 45}[quality])):
        pixels = []
        for folder in (root, worlds.folder / 'packed'):
            dataset = HITSZVCM(folder, 'train', modality=modality, expected_statistics=None, pipeline=pipeline)
            pixels.append(torch.stack([item['inputs'] for item in dataset]).double())
        error = (pixels[0] - pixels[1]).square().mean()
        assert error > 0
        assert 10 * torch.log10(255**2 / error) > bound
        if modality == 'ir':
            assert torch.equal(pixels[1][:, :, 0], pixels[1][:, :, 2])


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('frame_format', [JPEG, FrameFormat(SIZE, encoding='raw', quality=None)], ids=str)
def test_batches_through_the_loader(packed, workers, frame_format):
    root, out = packed(frame_format=frame_format)
    batches = []
    for folder, number in ((root, 0), (out, workers)):
        loader = Runner.build_dataloader(
            {
                'dataset': load('hitsz', folder),
                'sampler': {
                    'type': 'IdentitySampler', '_scope_': 'dscreid',
                    'num_identities': 2, 'num_tracklets': 2, 'iterations': 3,
                },
                'batch_size': 8,
                'num_workers': number,
                'persistent_workers': number > 0,
            },
            seed=3,
        )  # fmt: skip
        batches.append(list(loader))
    for one, other in zip(*batches, strict=True):
        assert [s.index for s in one['data_samples']] == [s.index for s in other['data_samples']]
        same = torch.equal(torch.stack(one['inputs']), torch.stack(other['inputs']))
        assert same == (frame_format.encoding == 'raw')


def test_only_the_frames_needed_are_read_and_each_once(packed, monkeypatch):
    _, out = packed()
    dataset = load('hitsz', out)
    read, original = [], PackedFrames.read
    monkeypatch.setattr(PackedFrames, 'read', lambda self, frame: read.append(frame) or original(self, frame))
    for index in range(len(dataset)):
        read.clear()
        dataset[Draw(index, 1)]
        assert len(read) == len(set(read)) == 3
        assert set(read) <= set(dataset.tracklets[index].frames)


def test_a_dataset_in_use_can_be_sent_to_another_process(packed):
    _, out = packed()
    dataset = load('hitsz', out)
    expected = dataset[0]['inputs']
    assert dataset.storage._shards
    copy = pickle.loads(pickle.dumps(dataset))
    assert not copy.storage._shards
    assert torch.equal(copy[0]['inputs'], expected)


def test_another_size_is_refused(packed):
    _, out = packed()
    for options in ({'size': (24, 16)}, {'size': SIZE, 'area_when_shrinking': True}):
        pipeline = [PIPELINE[0], {'type': 'LoadFrames', **options}]
        dataset = HITSZVCM(out, 'train', expected_statistics=None, pipeline=pipeline)
        with pytest.raises(ConfigError, match=r'packed with size=\(12, 8\) and .* pack the dataset again'):
            dataset[0]


def command(root, out, layout='hitsz'):
    return f'dscreid pack {layout} {root} {out}'


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize('frame_format', [JPEG, FrameFormat(SIZE, encoding='raw', quality=None)], ids=str)
def test_a_wrong_checksum_is_named_with_the_command(packed, frame_format):
    root, out = packed(frame_format=frame_format)
    dataset = load('hitsz', out)
    intact = [item['inputs'] for item in dataset]
    entry = dataset.storage._table.find(dataset.tracklets[4].frames[0])
    shard = out / f'shards/{entry.shard:05d}.safetensors'
    content = shard.read_bytes()
    where = content.index(bytes(dataset.storage.read(dataset.tracklets[4].frames[0])))
    flip(shard, where + entry.length // 2)
    dataset = load('hitsz', out)
    pipeline = [{'type': 'SampleFrames', 'num_frames': 13, 'rule': 'linspace'}, PIPELINE[1]]
    everything = HITSZVCM(out, 'train', expected_statistics=None, pipeline=pipeline)
    message = rf'{entry.shard:05d}.safetensors: damaged, .*checksum.*{re.escape(command(root, out))} .*tracklet 4'
    with pytest.raises(DatasetError, match=message):
        everything[4]
    assert torch.equal(dataset[0]['inputs'], intact[0])


def test_a_missing_and_a_cut_off_shard_are_named(packed):
    root, out = packed()
    shard = out / 'shards/00000.safetensors'
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(DatasetError, match=r'00000.safetensors: damaged, it has a wrong size; .*dscreid pack'):
        load('hitsz', out)[0]
    shard.write_bytes(bytes(len(content)))
    with pytest.raises(DatasetError, match=r'00000.safetensors: damaged, .*dscreid pack'):
        load('hitsz', out)[0]
    shard.unlink()
    with pytest.raises(DatasetError, match=rf'it is missing; .*{re.escape(command(root, out))}'):
        load('hitsz', out)[0]


def edit_manifest(out, **changes):
    content = json.loads((out / 'packing.json').read_text())
    (out / 'packing.json').write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'shards': [None]}, 'not all frames are packed yet; .*dscreid pack'),
        ({'version': 1}, 'another version of this code'),
        ({'unknown': 2}, 'cannot be read as the description'),
        ({'shards': 7}, 'cannot be read as the description'),
        ({'frame_format': {'size': [12, 8], 'encoding': 'pickle'}}, "must be jpeg or raw, got 'pickle'"),
        ({'index_files': {'../../secret': 'x'}}, r"'\.\./\.\./secret' is empty or leaves"),
    ],
)
def test_a_bad_description_is_named(packed, changes, message):
    _, out = packed()
    edit_manifest(out, **changes)
    with pytest.raises(DatasetError, match=message):
        load('hitsz', out)


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"version": 2}', 'null'])
def test_what_is_no_description(packed, text):
    _, out = packed()
    (out / 'packing.json').write_text(text)
    with pytest.raises(DatasetError, match=r'packing.json: cannot be read as the description'):
        open_frames(out)


def test_the_command_is_quoted(packed):
    _, out = packed()
    edit_manifest(out, shards=[None], layout='hitsz; rm x', source="/a b'c")
    with pytest.raises(DatasetError) as error:
        load('hitsz', out)
    assert "dscreid pack 'hitsz; rm x' '/a b'\"'\"'c' " in str(error.value)


def test_paths_and_links_that_leave_the_root_are_refused(packed, tmp_path):
    _, out = packed()
    storage = open_frames(out)
    for frame in ('../hitsz/Train/0001/rgb/D1/0.jpg', '/etc/passwd', 'packing.json'):
        with pytest.raises(DatasetError, match='not among the packed ones'):
            storage.read(frame)
    outside = tmp_path / 'outside.safetensors'
    shutil.move(out / 'shards/00000.safetensors', outside)
    (out / 'shards/00000.safetensors').symlink_to(outside)
    with pytest.raises(DatasetError, match='leads out of the data root'):
        load('hitsz', out)[0]


def replace_frame(out, frame, content):
    """Put another content of the same length into a frame's place, with a right checksum."""
    storage = open_frames(out)
    number = storage._table.find(frame).shard
    shard = out / f'shards/{number:05d}.safetensors'
    paths = [path.decode() for path in read_columns(shard)[0]]
    contents = {path: bytes(storage.read(path)) for path in paths}
    assert len(content) == len(contents[frame])
    write_shard(shard, paths, list((contents | {frame: content}).values()))


def cut_frame(out, frame):
    content = bytes(open_frames(out).read(frame))
    replace_frame(out, frame, content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


ALL_FRAMES = [{'type': 'SampleFrames', 'num_frames': 13, 'rule': 'linspace'}, PIPELINE[1], PIPELINE[2]]


def test_a_packed_image_that_is_cut_off_is_a_frame_that_fails(packed, monkeypatch, tmp_path):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'cache'))
    _, out = packed(frame_format=JPEG)
    whole = HITSZVCM(out, 'train', expected_statistics=None, pipeline=ALL_FRAMES)
    frames, intact = whole.tracklets[4].frames, whole[4]['inputs']
    cut_frame(out, frames[3])
    settings = {'expected_statistics': None, 'pipeline': ALL_FRAMES}
    with pytest.raises(FrameError, match=r'not a complete image file; pack .*on_bad_frame .*tracklet 4'):
        HITSZVCM(out, 'train', **settings)[4]
    dataset = HITSZVCM(out, 'train', on_bad_frame='substitute', **settings)
    expected = intact.clone()
    expected[3] = intact[2]
    assert torch.equal(dataset[4]['inputs'], expected)
    assert [entry['frame'] for entry in dataset.bad_frames()] == [frames[3]]
    skipping = HITSZVCM(out, 'train', on_bad_frame='skip_tracklet', **settings)
    assert skipping.num_skipped_tracklets == 1
    assert frames not in [t.frames for t in skipping.tracklets]


@pytest.mark.parametrize('policy', ['substitute', 'skip_tracklet'])
def test_a_damaged_shard_stops_under_every_policy(packed, policy, monkeypatch, tmp_path):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'cache'))
    _, out = packed(frame_format=JPEG)
    shard = out / 'shards/00000.safetensors'
    flip(shard, shard.read_bytes().index(b'\xff\xd8') + 40)
    with pytest.raises(DatasetError, match=r'damaged, .*checksum') as error:
        list(HITSZVCM(out, 'train', expected_statistics=None, pipeline=ALL_FRAMES, on_bad_frame=policy))
    assert not isinstance(error.value, FrameError)


def test_raw_frames_need_no_check(packed, monkeypatch):
    _, out = packed()
    monkeypatch.setattr(bad_frames, 'fault_of', None)
    whole = HITSZVCM(out, 'train', expected_statistics=None)
    assert len(HITSZVCM(out, 'train', expected_statistics=None, on_bad_frame='skip_tracklet')) == len(whole)


def test_a_manifest_outside_the_root_is_refused(packed, tmp_path):
    _, out = packed()
    shutil.move(out / 'packing.json', tmp_path / 'outside.json')
    (out / 'packing.json').symlink_to(tmp_path / 'outside.json')
    with pytest.raises(DatasetError, match=r'packing.json: leads out of the data root'):
        load('hitsz', out)
