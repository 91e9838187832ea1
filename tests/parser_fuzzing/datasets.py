"""Index files of both layouts, read as a dataset whose first frames are then opened."""

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from dscreid.datasets import HITSZVCM, BUPTCampus, TrackletDataset
from dscreid.datasets.bad_frames import find_bad_frames
from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import MANIFEST, FolderFrames, FrameFormat
from dscreid.errors import DatasetError, FrameError
from dscreid.structures import Modality, Tracklet
from parser_fuzzing.harness import SECRET, Link, Parser
from parser_fuzzing.mutations import mutated_bytes, mutated_json, mutated_text, one_changed

LINK = Link(f'{SECRET}/secret.txt')


def _hitsz_files() -> dict[str, str]:
    files = {}
    for split, people in (('train', (1, 2)), ('test', (3, 4))):
        names, tracks = [], []
        for pid in people:
            for kind in (1, 2):
                start = len(names) + 1
                names += [f'{pid:04d}M{kind}D1T1F{k}.jpg' for k in range(3)]
                tracks.append(f'{kind} {start} {len(names)} {pid} 1')
        files[f'info/{split}_name.txt'] = '\n'.join(names) + '\n'
        files[f'info/track_{split}_info.txt'] = '\n'.join(tracks) + '\n'
    return files | {'info/query_IDX.txt': '1 3\n'}


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _add_frames(folder: Path, frames: list[str]) -> None:
    """Files for the frames, and two links out of the root beside them."""
    for frame in frames:
        path = folder / frame
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'picture')
        link = path.with_name('link.jpg')
        if not link.is_symlink():
            link.symlink_to(folder.parent / SECRET / 'secret.jpg')
            os.symlink(folder.parent / SECRET, path.with_name('folder'))


def _prepare_hitsz(folder: Path) -> None:
    _write(folder, _hitsz_files())
    tops = (('Train', (1, 2)), ('Test', (3, 4)))
    _add_frames(
        folder,
        [
            f'{top}/{p:04d}/{m}/D1/{k}.jpg'
            for top, people in tops
            for p in people
            for m in ('ir', 'rgb')
            for k in range(3)
        ],
    )


def _open_frames(dataset: TrackletDataset) -> None:
    """Open frames as a pipeline would; missing ones are another matter."""
    for tracklet in dataset.tracklets[:6]:
        for frame in tracklet.frames[:4]:
            try:
                dataset.storage.read(frame)
            except FrameError:
                continue


def _parse(kind: type[TrackletDataset], **settings: Any):
    def parse(folder: Path, case: dict[str, Any]) -> object:
        dataset = None
        for split in ('train', 'test'):
            for labelled in (True, False):
                dataset = kind(folder, split, labelled=labelled, min_seq_len=1, **settings)
                _open_frames(dataset)
        dataset.read_ground_truth()
        return dataset

    return parse


def _mutated(name: str, text: str) -> st.SearchStrategy[Any]:
    return st.one_of(*[mutated_text(text)] * 9, st.just(LINK))


_INFO = tuple(Path(name).name for name in _hitsz_files())

HITSZ = Parser(
    name='HITSZ-VCM index',
    cases=one_changed(_hitsz_files(), _mutated),
    parse=_parse(HITSZVCM),
    prepare=_prepare_hitsz,
    errors=(DatasetError,),
    named=(*_INFO, 'root: ', 'link.jpg', 'folder/'),
)

_PEOPLE = {'1': 'train', '2': 'train_auxiliary', '3': 'gallery'}
_DATA = {
    pid: {m: {'LS3': {'1': [f'{pid}/{m}/LS3/{k}.jpg' for k in range(3)]}} for m in ('RGB', 'IR', 'FakeIR')}
    for pid in _PEOPLE
}
_LISTS = {
    'train.txt': '1 RGB/IR LS3 1\n',
    'train_auxiliary.txt': '2 RGB/IR LS3 1\n',
    'query.txt': '3 RGB LS3 1\n',
    'gallery.txt': '3 IR LS3 1\n',
}


def _prepare_bupt(folder: Path) -> None:
    _write(folder, _LISTS | {'data_paths.json': json.dumps(_DATA)})
    paths = [p for person in _DATA.values() for m in person.values() for c in m.values() for p in c['1']]
    _add_frames(folder, [f'DATA/{path}' for path in paths])


def _mutated_bupt(name: str, content: Any) -> st.SearchStrategy[Any]:
    if name != 'data_paths.json':
        return _mutated(name, content)
    return st.one_of(*[mutated_json(_DATA)] * 9, st.just(LINK))


BUPT = Parser(
    name='BUPTCampus index',
    cases=one_changed(_LISTS | {'data_paths.json': ''}, _mutated_bupt),
    parse=_parse(BUPTCampus, fake_ir=True),
    prepare=_prepare_bupt,
    errors=(DatasetError,),
    named=(*_LISTS, 'data_paths.json', 'root: ', 'link.jpg', 'folder/', 'DATA/'),
)

_KEPT = {'fingerprint': 'f', 'root': 'r', 'bad': ['a/1.jpg', 'a/0.jpg']}


def _parse_kept(folder: Path, case: dict[str, Any]) -> object:
    os.environ['DSCREID_CACHE'] = str(folder / 'cache')
    tracklets = [Tracklet(('a/0.jpg', 'a/1.jpg'), Modality.RGB, 0)]
    found = find_bad_frames(FolderFrames(folder), tracklets, 'f')
    [kept] = (folder / 'cache/bad_frames').glob('*.json')
    if case:
        kept.write_bytes(next(iter(case.values())))
    again = find_bad_frames(FolderFrames(folder), tracklets, 'f')
    kept.unlink()
    assert set(found) == {'a/0.jpg', 'a/1.jpg'}
    return again


KEPT_BAD_FRAMES = Parser(
    name='kept list of bad frames',
    cases=mutated_json(_KEPT).map(lambda content: {'kept.json': content}),
    parse=_parse_kept,
    errors=(DatasetError,),
    named=('leads out', 'not a valid file name'),
    remade=True,
)


@functools.cache
def _packed() -> tempfile.TemporaryDirectory:
    """The HITSZ world, packed once for this process."""
    top = tempfile.TemporaryDirectory(prefix='dscreid_fuzz_')
    source, out = Path(top.name, 'source'), Path(top.name, 'packed')
    source.mkdir()
    _prepare_hitsz(source)
    for frame in source.rglob('[0-9].jpg'):
        frame.write_bytes(cv2.imencode('.jpg', np.zeros((8, 4, 3), np.uint8))[1].tobytes())
    pack(plan_packing('hitsz', source, FrameFormat((8, 4)), frames_per_shard=20), out)
    return top


def _prepare_packed(folder: Path) -> None:
    shutil.copytree(Path(_packed().name, 'packed'), folder, dirs_exist_ok=True)


def _mutated_packed(name: str) -> st.SearchStrategy[dict[str, Any]]:
    valid = Path(_packed().name, 'packed', name).read_bytes()
    changed = mutated_json(json.loads(valid)) if name == MANIFEST else mutated_bytes(valid)
    return st.one_of(*[changed] * 9, st.just(LINK)).map(lambda content: {name: content})


PACKED = Parser(
    name='packed frames',
    cases=st.sampled_from((MANIFEST, MANIFEST, 'shards/00000.safetensors')).flatmap(_mutated_packed),
    parse=_parse(HITSZVCM),
    prepare=_prepare_packed,
    errors=(DatasetError,),
    named=(MANIFEST, '00000.safetensors', '00001.safetensors', 'root: ', 'not among the packed ones'),
)

PARSERS = (HITSZ, BUPT, KEPT_BAD_FRAMES, PACKED)
