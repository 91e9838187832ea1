"""The official layouts: the walks of a world, the locations of their frames, and the index files."""

import json
from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

from dscreid.lab.synthetic.domain import get_domain
from dscreid.lab.synthetic.draws import Stream, generator
from dscreid.lab.synthetic.faults import draw_pieces
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
    key: int  #: seed of the walk, unique among the walks of the person; the pieces of a cut walk share it
    camera: int  #: camera number, starting at 0
    frames: int  #: number of frames
    folders: dict[Modality, str]  #: folder of the frames for each modality to render, relative to the root
    first: int = 1  #: number of the first frame's file
    tracklet: int = 1  #: tracklet number in the files
    begin: int = 0  #: first frame of the walk that belongs to this tracklet
    length: int | None = None  #: number of frames of the whole walk. None: this tracklet is all of it.

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities to render."""
        return tuple(self.folders)

    def files(self, modality: Modality) -> list[str]:
        """Return the paths of the frames relative to the root, in temporal order."""
        return [f'{self.folders[modality]}/{self.first + n:04d}.jpg' for n in range(self.frames)]

    def fake_files(self) -> list[str]:
        """Return the paths of the FakeIR frames that belong to the visible frames."""
        return [file.replace('/RGB/', '/FakeIR/') for file in self.files(Modality.RGB)]


def plan_world(spec: WorldSpec) -> list[list[PlannedWalk]]:
    """Return all walks of a world, grouped by person, in the order of the index files."""
    planner = {'hitsz': _plan_hitsz_person, 'bupt': _plan_bupt_person}[spec.layout]
    counts = zip(Split, (spec.train_ids, spec.auxiliary_ids, spec.test_ids), strict=True)
    people = [(split, person) for split, count in counts for person in range(count)]
    return [planner(spec, split, person, pid) for pid, (split, person) in enumerate(people, 1)]


def index_files(spec: WorldSpec, people: list[list[PlannedWalk]]) -> dict[str, str]:
    """Return the layout's index files: text by path relative to the root."""
    return _hitsz_index(people) if spec.layout == 'hitsz' else _bupt_index(people, spec.fake_ir)


def _itinerary(spec: WorldSpec, split: Split, person: int, modality_code: int):
    """Return cameras and lengths of a person's walks. Each person has a different order of cameras."""
    code = get_domain(spec.domain).code
    rng = generator(spec.seed, Stream.LENGTH, code, split, person, modality_code)
    count = (spec.tracklets, spec.auxiliary_tracklets, spec.test_tracklets)[split]
    order = rng.permutation(spec.cameras)
    lengths = rng.integers(spec.min_frames, spec.max_frames + 1, size=count)
    cameras = [int(order[0 if split is Split.AUXILIARY else n % spec.cameras]) for n in range(count)]
    return cameras, lengths.tolist()


def _plan_hitsz_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan independent walks of both modalities, sorted by camera. File numbers continue within a folder."""
    top = 'Test' if split is Split.TEST else 'Train'
    walks = []
    for modality, code in _HITSZ_MODALITY.items():
        cameras, lengths = _itinerary(spec, split, person, code)
        next_file: dict[str, int] = defaultdict(lambda: 1)
        for number in sorted(range(len(cameras)), key=cameras.__getitem__):
            camera, length, key = cameras[number], lengths[number], 2 * number + code - 1
            folders = {modality: f'{top}/{pid:04d}/{modality.value}/D{camera + 1}'}
            for piece, (begin, frames) in enumerate(_pieces(spec, split, person, key, length)):
                first, tracklet = next_file[folders[modality]], piece * len(cameras) + number + 1
                own = PlannedWalk(
                    split, person, pid, key, camera, frames, folders, first, tracklet, begin=begin, length=length
                )
                walks.append(own)
                next_file[folders[modality]] += frames
    return walks


def _plan_bupt_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan pixel-aligned pairs: one walk in both modalities."""
    walks = []
    seen: dict[int, int] = defaultdict(int)
    for key, (camera, length) in enumerate(zip(*_itinerary(spec, split, person, 0), strict=True)):
        for begin, frames in _pieces(spec, split, person, key, length):
            seen[camera] += 1
            place = f'{BUPT_CAMERAS[camera]}/{seen[camera]}'
            folders = {modality: f'DATA/{pid:04d}/{name}/{place}' for modality, name in _BUPT_MODALITY.items()}
            own = PlannedWalk(
                split, person, pid, key, camera, frames, folders, tracklet=seen[camera], begin=begin, length=length
            )
            walks.append(own)
    return walks


def _pieces(spec: WorldSpec, split: Split, person: int, key: int, length: int) -> list[tuple[int, int]]:
    return draw_pieces(spec, person, key, length) if split is Split.TRAIN else [(0, length)]


def _hitsz_index(people: list[list[PlannedWalk]]) -> dict[str, str]:
    index = {}
    for split, name in ((Split.TRAIN, 'train'), (Split.TEST, 'test')):
        names: list[str] = []
        tracks: list[str] = []
        queries: list[str] = []
        for walk in (walk for walks in people for walk in walks if walk.split is split):
            (modality,) = walk.modalities
            code = _HITSZ_MODALITY[modality]
            prefix = f'{walk.pid:04d}M{code}D{walk.camera + 1}T{walk.tracklet}F'
            start = len(names) + 1
            names += [prefix + file.rsplit('/', 1)[1] for file in walk.files(modality)]
            tracks.append(f'{code} {start} {len(names)} {walk.pid} {walk.camera + 1}')
            if modality is Modality.IR:
                queries.append(str(len(tracks)))
        index[f'info/{name}_name.txt'] = _text(names)
        index[f'info/track_{name}_info.txt'] = _text(tracks)
        if split is Split.TEST:
            index['info/query_IDX.txt'] = _text([' '.join(queries)])
    return index


def _bupt_index(people: list[list[PlannedWalk]], fake_ir: bool) -> dict[str, str]:
    paths: dict[str, dict] = {}
    lines: dict[str, list[str]] = {name: [] for name in ('train', 'train_auxiliary', 'query', 'gallery')}
    for walks in people:
        # All walks under the first camera are queries, but never all walks of a person.
        queried = {walk.key for walk in walks if walk.camera == walks[0].camera}
        queried = queried if len(queried) < len(walks) else {walks[0].key}
        for walk in walks:
            pid, camera = f'{walk.pid:04d}', BUPT_CAMERAS[walk.camera]
            files = {name: walk.files(modality) for modality, name in _BUPT_MODALITY.items()}
            if fake_ir:
                files['FakeIR'] = walk.fake_files()
            for name, own in files.items():
                tracklets = paths.setdefault(pid, {}).setdefault(name, {}).setdefault(camera, {})
                tracklets[str(walk.tracklet)] = [file.removeprefix('DATA/') for file in own]
            if walk.split is Split.TEST:
                names, target = list(_BUPT_MODALITY.values()), 'query' if walk.key in queried else 'gallery'
            else:
                names, target = ['RGB/IR'], 'train' if walk.split is Split.TRAIN else 'train_auxiliary'
            lines[target] += [f'{pid} {name} {camera} {walk.tracklet}' for name in names]
    return {'data_paths.json': json.dumps(paths), **{f'{name}.txt': _text(rows) for name, rows in lines.items()}}


def _text(lines: list[str]) -> str:
    return ''.join(f'{line}\n' for line in lines)
