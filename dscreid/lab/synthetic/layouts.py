"""The official layouts: the walks of a world, the locations of their frames, and the index files."""

import json
from collections import defaultdict
from collections.abc import Sequence

from dscreid.lab.synthetic.domain import get_domain
from dscreid.lab.synthetic.draws import Stream, generator
from dscreid.lab.synthetic.faults import draw_pieces
from dscreid.lab.synthetic.picture_layouts import PICTURE_LAYOUTS
from dscreid.lab.synthetic.planned_walk import FilePlace, PlannedWalk, Split, UnpairedLayout, lines_of
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.structures import Modality

BUPT_CAMERAS = ('LS3', 'G25', 'CQ1', 'W4', 'TSG1', 'TSG2')
_HITSZ_MODALITY = {Modality.IR: 1, Modality.RGB: 2}
_BUPT_MODALITY = {Modality.RGB: 'RGB', Modality.IR: 'IR'}


def plan_world(spec: WorldSpec) -> list[list[PlannedWalk]]:
    """Return all walks of a world, grouped by person, in the order of the index files."""
    planner = _plan_bupt_person if spec.layout == 'bupt' else _plan_unpaired_person
    counts = zip(Split, (spec.train_ids, spec.auxiliary_ids, spec.test_ids), strict=True)
    people = [(split, person) for split, count in counts for person in range(count)]
    return [planner(spec, split, person, pid) for pid, (split, person) in enumerate(people, 1)]


def index_files(spec: WorldSpec, people: list[list[PlannedWalk]]) -> dict[str, str]:
    """Return the layout's index files: text by path relative to the root."""
    if spec.layout == 'bupt':
        return _bupt_index(people, spec.fake_ir)
    return UNPAIRED_LAYOUTS[spec.layout].index([walk for walks in people for walk in walks])


def _itinerary(spec: WorldSpec, split: Split, person: int, modality_code: int, cameras: Sequence[int]):
    """Return cameras and lengths of a person's walks. Each person has a different order of cameras."""
    code = get_domain(spec.domain).code
    rng = generator(spec.seed, Stream.LENGTH, code, split, person, modality_code)
    count = (spec.tracklets, spec.auxiliary_tracklets, spec.test_tracklets)[split]
    order = rng.permutation(len(cameras))
    lengths = rng.integers(spec.min_frames, spec.max_frames + 1, size=count)
    places = [order[0 if split is Split.AUXILIARY else n % len(cameras)] for n in range(count)]
    return [cameras[place] for place in places], lengths.tolist()


def _plan_unpaired_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan independent walks of both modalities, sorted by camera. File numbers continue within a folder."""
    layout = UNPAIRED_LAYOUTS[spec.layout]
    walks = []
    for modality, code in _HITSZ_MODALITY.items():
        seen = range(spec.cameras) if layout.cameras is None else layout.cameras[modality]
        cameras, lengths = _itinerary(spec, split, person, code, seen)
        next_file: dict[str, int] = defaultdict(lambda: 1)
        for number in sorted(range(len(cameras)), key=cameras.__getitem__):
            camera, length, key = cameras[number], lengths[number], 2 * number + code - 1
            folder, name = layout.place(split, modality, pid, camera + 1)
            for piece, (begin, frames) in enumerate(_pieces(spec, split, person, key, length)):
                first, tracklet = next_file[folder], piece * len(cameras) + number + 1
                facts = split, person, pid, key, camera, frames
                places = {modality: folder}, first, tracklet, name
                walks.append(PlannedWalk(*facts, *places, begin=begin, length=length))
                next_file[folder] += frames
    return walks


def _plan_bupt_person(spec: WorldSpec, split: Split, person: int, pid: int) -> list[PlannedWalk]:
    """Plan pixel-aligned pairs: one walk in both modalities."""
    walks = []
    seen: dict[int, int] = defaultdict(int)
    itinerary = _itinerary(spec, split, person, 0, range(spec.cameras))
    for key, (camera, length) in enumerate(zip(*itinerary, strict=True)):
        for begin, frames in _pieces(spec, split, person, key, length):
            seen[camera] += 1
            place = f'{BUPT_CAMERAS[camera]}/{seen[camera]}'
            folders = {modality: f'DATA/{pid:04d}/{name}/{place}' for modality, name in _BUPT_MODALITY.items()}
            facts = split, person, pid, key, camera, frames, folders
            walks.append(PlannedWalk(*facts, tracklet=seen[camera], begin=begin, length=length))
    return walks


def _pieces(spec: WorldSpec, split: Split, person: int, key: int, length: int) -> list[tuple[int, int]]:
    return draw_pieces(spec, person, key, length) if split is Split.TRAIN else [(0, length)]


def _hitsz_index(walks: list[PlannedWalk]) -> dict[str, str]:
    index = {}
    for split, name in ((Split.TRAIN, 'train'), (Split.TEST, 'test')):
        names: list[str] = []
        tracks: list[str] = []
        queries: list[str] = []
        for walk in (walk for walk in walks if walk.split is split):
            (modality,) = walk.modalities
            code = _HITSZ_MODALITY[modality]
            prefix = f'{walk.pid:04d}M{code}D{walk.camera + 1}T{walk.tracklet}F'
            start = len(names) + 1
            names += [prefix + file.rsplit('/', 1)[1] for file in walk.files(modality)]
            tracks.append(f'{code} {start} {len(names)} {walk.pid} {walk.camera + 1}')
            if modality is Modality.IR:
                queries.append(str(len(tracks)))
        index[f'info/{name}_name.txt'] = lines_of(names)
        index[f'info/track_{name}_info.txt'] = lines_of(tracks)
        if split is Split.TEST:
            index['info/query_IDX.txt'] = lines_of([' '.join(queries)])
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
    return {'data_paths.json': json.dumps(paths), **{f'{name}.txt': lines_of(rows) for name, rows in lines.items()}}


def _hitsz_place(split: Split, modality: Modality, pid: int, camera: int) -> FilePlace:
    top = 'Test' if split is Split.TEST else 'Train'
    return FilePlace(f'{top}/{pid:04d}/{modality.value}/D{camera}')


UNPAIRED_LAYOUTS = {'hitsz': UnpairedLayout(_hitsz_place, _hitsz_index), **PICTURE_LAYOUTS}
