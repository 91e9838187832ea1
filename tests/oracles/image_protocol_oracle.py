"""The image protocols picture by picture, from their description, with lists and Python's global generator."""

import random

import numpy as np

SYSU_GALLERY = {'all': ('cam1', 'cam2', 'cam4', 'cam5'), 'indoor': ('cam1', 'cam2')}


def folders_of(names):
    """Sorted paths of the pictures by folder."""
    found = {}
    for name in sorted(names):
        found.setdefault(name.rpartition('/')[0], []).append(name)
    return found


def drawn_names(names, people, cameras, trial, shots=1):
    """Draw from the folders CAMERA/PERSON, person by person."""
    folders = folders_of(names)
    random.seed(trial)
    drawn = []
    for person in sorted(f'{pid:04d}' for pid in people):
        for camera in cameras:
            pictures = folders.get(f'{camera}/{person}', [])
            if pictures and shots == 1:
                drawn.append(random.choice(pictures))
            elif pictures:
                drawn += sorted(random.sample(pictures, min(shots, len(pictures))))
    return drawn


def facts_of(name):
    """Person and camera of ``[…/]camC/PPPP/file``."""
    *_, camera, person, _ = name.split('/')
    return int(person), int(camera.removeprefix('cam'))


def measure(features, queries, gallery, is_left_out, ranks, count_persons=True):
    """Means over the queries with a true match; ``is_left_out`` compares (person, camera) of query and picture."""
    rows = []
    for query in queries:
        person = facts_of(query)[0]
        kept = [name for name in gallery if not is_left_out(facts_of(query), facts_of(name))]
        kept.sort(key=lambda name, own=features[query]: -float(own @ features[name]))  # stable
        people = [facts_of(name)[0] for name in kept]
        if person not in people:
            continue
        hits = [place for place, one in enumerate(people, 1) if one == person]
        precisions = [number / place for number, place in enumerate(hits, 1)]
        counted = list(dict.fromkeys(people)) if count_persons else people
        first = counted.index(person) + 1
        row = {f'Rank-{rank}': float(first <= rank) for rank in ranks}
        rows.append(row | {'mAP': sum(precisions) / len(hits), 'mINP': len(hits) / hits[-1]})
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def evaluate_trials(results):
    """Mean and population standard deviation of the trials' measures."""
    values = {key: np.array([one[key] for one in results]) for key in results[0]}
    means = {key: float(value.mean()) for key, value in values.items()}
    return means | {f'{key} std': float(value.std()) for key, value in values.items()}


def sysu(features, mode='all', shots=1, ranks=(1, 5, 10, 20)):
    """Evaluate features, vectors by name such as ``cam1/0006/0001.jpg``."""
    people = {facts_of(name)[0] for name in features}
    queries = [name for name in sorted(features) if name.startswith(('cam3/', 'cam6/'))]
    return evaluate_trials(
        [
            measure(
                features, queries, drawn_names(features, people, SYSU_GALLERY[mode], trial, shots),
                lambda query, other: query[1] == 3 and other[1] == 2, ranks,
            )
            for trial in range(10)
        ]
    )  # fmt: skip


def llcm(features, query='vis', ranks=(1, 5, 10, 20)):
    """Evaluate features, vectors by name such as ``test_vis/cam1/0006/0001.jpg``."""
    people = {facts_of(name)[0] for name in features}
    other = {'vis': 'nir', 'nir': 'vis'}[query]
    queries = [name for name in sorted(features) if name.startswith(f'test_{query}/')]
    cameras = [f'test_{other}/cam{camera}' for camera in range(1, 10)]
    return evaluate_trials(
        [
            measure(features, queries, drawn_names(features, people, cameras, trial), tuple.__eq__, ranks)
            for trial in range(10)
        ]
    )
