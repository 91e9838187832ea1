"""Layouts of image data sets: SYSU-MM01, RegDB and LLCM. Each frame of a walk is a picture."""

import random

from dscreid.lab.synthetic.planned_walk import FilePlace, PlannedWalk, Split, UnpairedLayout, lines_of
from dscreid.structures import Modality

_REGDB_FOLDERS = {Modality.RGB: 'Visible', Modality.IR: 'Thermal'}
_LLCM_KINDS = {Modality.RGB: 'vis', Modality.IR: 'nir'}
_REGDB_TRIALS = 10


def _sysu_place(split: Split, modality: Modality, pid: int, camera: int) -> FilePlace:
    return FilePlace(f'cam{camera}/{pid:04d}')


def _sysu_index(walks: list[PlannedWalk]) -> dict[str, str]:
    """List the persons; a quarter of the training ones, at least one, are called validation persons."""
    train = _people(walks, Split.TRAIN)
    count = max(1, len(train) // 4)
    lists = {'train': train[:-count], 'val': train[-count:], 'test': _people(walks, Split.TEST)}
    return {f'exp/{name}_id.txt': lines_of([','.join(map(str, pids))]) for name, pids in lists.items()}


def _regdb_place(split: Split, modality: Modality, pid: int, camera: int) -> FilePlace:
    return FilePlace(f'{_REGDB_FOLDERS[modality]}/{pid}')


def _regdb_index(walks: list[PlannedWalk]) -> dict[str, str]:
    """List the pictures of ten trials: the first one has the world's splits, the others draw as many persons."""
    train, everybody = _people(walks, Split.TRAIN), sorted({walk.pid for walk in walks})
    index = {}
    for trial in range(1, _REGDB_TRIALS + 1):
        drawn = set(train) if trial == 1 else set(random.Random(trial).sample(everybody, len(train)))
        for split, pids in (('train', drawn), ('test', set(everybody) - drawn)):
            labels = {pid: label for label, pid in enumerate(sorted(pids))}
            for modality, folder in _REGDB_FOLDERS.items():
                own = [walk for walk in walks if walk.pid in pids and modality in walk.modalities]
                lines = [f'{file} {labels[walk.pid]}' for walk in own for file in walk.files(modality)]
                index[f'idx/{split}_{folder.lower()}_{trial}.txt'] = lines_of(lines)
    return index


def _llcm_place(split: Split, modality: Modality, pid: int, camera: int) -> FilePlace:
    kind = _LLCM_KINDS[modality]
    folder = f'test_{kind}/cam{camera}/{pid:04d}' if split is Split.TEST else f'{kind}/{pid:04d}'
    return FilePlace(folder, f'{pid:04d}_c{camera:02d}_s000000_f{{:04d}}_{kind}.jpg')


def _llcm_index(walks: list[PlannedWalk]) -> dict[str, str]:
    labels = {pid: label for label, pid in enumerate(_people(walks, Split.TRAIN))}
    index = {'idx/test_id.txt': lines_of([','.join(map(str, _people(walks, Split.TEST)))])}
    for modality, kind in _LLCM_KINDS.items():
        own = [walk for walk in walks if walk.split is Split.TRAIN and modality in walk.modalities]
        lines = [f'{file} {labels[walk.pid]}' for walk in own for file in walk.files(modality)]
        index[f'idx/train_{kind}.txt'] = lines_of(lines)
    return index


def _people(walks: list[PlannedWalk], split: Split) -> list[int]:
    return sorted({walk.pid for walk in walks if walk.split is split})


PICTURE_LAYOUTS = {
    'sysu': UnpairedLayout(_sysu_place, _sysu_index, {Modality.RGB: (0, 1, 3, 4), Modality.IR: (2, 5)}),
    'regdb': UnpairedLayout(_regdb_place, _regdb_index, {Modality.RGB: (0,), Modality.IR: (1,)}),
    'llcm': UnpairedLayout(
        _llcm_place, _llcm_index, {Modality.RGB: tuple(range(9)), Modality.IR: (0, 1, 3, 4, 5, 6, 7, 8)}
    ),
}
