"""The official layouts: the walks of a world, the locations of their frames, and the index files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from dscreid.lab.synthetic.domain import get_domain
from dscreid.lab.synthetic.seeding import Stream, generator
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.structures import Modality

BUPT_CAMERAS = ('LS3', 'G25', 'CQ1', 'W4', 'TSG1', 'TSG2')
_HITSZ_MODALITY = {Modality.IR: 1, Modality.RGB: 2}
_BUPT_MODALITY = {Modality.RGB: 'RGB', Modality.IR: 'IR'}


class Split(IntEnum):
    """Part of a world. The value is part of the seeds."""

    TRAIN = 0
    AUXILIARY = 1
    TEST = 2


@dataclass(frozen=True)
class PlannedWalk:
    """One walk to render: a tracklet, or a pixel-aligned pair of tracklets."""

    split: Split  #: part of the world
    #: number of the person within the split, starting at 0. Together with ``split``, the seed of the identity.
    person: int
    pid: int  #: person id in the files, starting at 1
    key: int  #: seed of the walk, unique within the person
    camera: int  #: camera number, starting at 0
    frames: int  #: number of frames
    modalities: tuple[Modality, ...]  #: modalities to render
    folders: dict[Modality, str]  #: folder of the frames for each modality, relative to the root
    first: int  #: number of the first frame's file
    tracklet: int  #: tracklet number in the files

    def files(self, modality: Modality) -> list[str]:
        """Return the paths of the frames relative to the root, in temporal order."""
        return [f'{self.folders[modality]}/{self.first + n:04d}.jpg' for n in range(self.frames)]


def plan_world(spec: WorldSpec) -> list[list[PlannedWalk]]:
    """Return all walks of a world, grouped by person, in the order of the index files."""
    planner = {'hitsz': _plan_hitsz_person, 'bupt': _plan_bupt_person}[spec.layout]
    counts = zip(Split, (spec.train_ids, spec.auxiliary_ids, spec.test_ids), strict=True)
    people = [(split, person) for split, count in counts for person in range(count)]
    return [planner(spec, split, person, pid) for pid, (split, person) in enumerate(people, 1)]


def write_index(root: Path, spec: WorldSpec, people: list[list[PlannedWalk]]) -> None:
    """Write the layout's index files to ``root``."""
    if spec.layout == 'hitsz':
        _write_hitsz_index(root, people)
    else:
        _write_bupt_index(root, people, spec.fake_ir)


def _itinerary(spec: WorldSpec, split: Split, person: int, modality_code: int, count: int):
    """Return cameras and lengths of a person's walks. Each person has a different order of cameras."""
    code = get_domain(spec.domain).code
    rng = generator(spec.seed, Stream.LENGTH, code, split, person, modality_code)
    order = rng.permutation(spec.cameras)
    lengths = rng.integers(spec.min_frames, spec.max_frames + 1, size=count)
    cameras = [int(order[0 if split is Split.AUXILIARY else n % spec.cameras]) for n in range(count)]
    return cameras, [int(n) for n in lengths]


def _plan_hitsz_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan independent walks of both modalities, sorted by camera. File numbers continue within a folder."""
    top = 'Test' if split is Split.TEST else 'Train'
    count = spec.test_tracklets if split is Split.TEST else spec.tracklets
    walks = []
    for modality in (Modality.IR, Modality.RGB):
        code = _HITSZ_MODALITY[modality]
        cameras, lengths = _itinerary(spec, split, person, code, count)
        next_file: dict[int, int] = {}
        for number in sorted(range(count), key=cameras.__getitem__):
            camera = cameras[number]
            folder = f'{top}/{pid:04d}/{modality.value}/D{camera + 1}'
            first = next_file.get(camera, 1)
            next_file[camera] = first + lengths[number]
            walks.append(
                PlannedWalk(
                    split, person, pid, 2 * number + code - 1, camera, lengths[number], (modality,),
                    {modality: folder}, first, number + 1,
                )
            )  # fmt: skip
    return walks


def _plan_bupt_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan pixel-aligned pairs: one walk in both modalities."""
    count = (spec.tracklets, spec.auxiliary_tracklets, spec.test_tracklets)[split]
    cameras, lengths = _itinerary(spec, split, person, 0, count)
    walks = []
    seen: dict[int, int] = {}
    for number, (camera, frames) in enumerate(zip(cameras, lengths, strict=True)):
        tracklet = seen[camera] = seen.get(camera, 0) + 1
        folders = {
            modality: f'DATA/{pid:04d}/{name}/{BUPT_CAMERAS[camera]}/{tracklet}'
            for modality, name in _BUPT_MODALITY.items()
        }
        both = (Modality.RGB, Modality.IR)
        walks.append(PlannedWalk(split, person, pid, number, camera, frames, both, folders, 1, tracklet))
    return walks


def _write_hitsz_index(root: Path, people: list[list[PlannedWalk]]) -> None:
    info = root / 'info'
    info.mkdir(parents=True, exist_ok=True)
    for split, name in ((Split.TRAIN, 'train'), (Split.TEST, 'test')):
        names: list[str] = []
        tracks: list[str] = []
        queries: list[str] = []
        for walk in (walk for walks in people for walk in walks if walk.split is split):
            modality = walk.modalities[0]
            code = _HITSZ_MODALITY[modality]
            prefix = f'{walk.pid:04d}M{code}D{walk.camera + 1}T{walk.tracklet}F'
            start = len(names) + 1
            names += [prefix + file.rsplit('/', 1)[1] for file in walk.files(modality)]
            tracks.append(f'{code} {start} {len(names)} {walk.pid} {walk.camera + 1}')
            if modality is Modality.IR:
                queries.append(str(len(tracks)))
        _write_lines(info / f'{name}_name.txt', names)
        _write_lines(info / f'track_{name}_info.txt', tracks)
        if split is Split.TEST:
            _write_lines(info / 'query_IDX.txt', [' '.join(queries)])


def _write_bupt_index(root: Path, people: list[list[PlannedWalk]], fake_ir: bool) -> None:
    paths: dict[str, dict] = {}
    lines: dict[str, list[str]] = {name: [] for name in ('train', 'train_auxiliary', 'query', 'gallery')}
    for walks in people:
        queried = _query_walks(walks)
        for walk in walks:
            camera = BUPT_CAMERAS[walk.camera]
            files = {name: walk.files(modality) for modality, name in _BUPT_MODALITY.items()}
            if fake_ir:
                files['FakeIR'] = [fake_infrared_path(file) for file in files['RGB']]
            for name, own in files.items():
                cameras = paths.setdefault(f'{walk.pid:04d}', {}).setdefault(name, {})
                listed = [file.removeprefix('DATA/') for file in own]
                cameras.setdefault(camera, {})[str(walk.tracklet)] = listed
            if walk.split is Split.TEST:
                target = lines['query' if walk.key in queried else 'gallery']
                names = _BUPT_MODALITY.values()
                target += [f'{walk.pid:04d} {name} {camera} {walk.tracklet}' for name in names]
            else:
                target = lines['train' if walk.split is Split.TRAIN else 'train_auxiliary']
                target.append(f'{walk.pid:04d} RGB/IR {camera} {walk.tracklet}')
    (root / 'data_paths.json').write_text(json.dumps(paths), encoding='utf-8')
    for name, content in lines.items():
        _write_lines(root / f'{name}.txt', content)


def _query_walks(walks: list[PlannedWalk]) -> set[int]:
    """Return the keys of a person's query walks: all under the first camera, but never all walks of the person."""
    queried = {walk.key for walk in walks if walk.camera == walks[0].camera}
    return queried if len(queried) < len(walks) else {walks[0].key}


def fake_infrared_path(file: str) -> str:
    """Return the path of the FakeIR frame that belongs to a visible frame."""
    return file.replace('/RGB/', '/FakeIR/')


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
