"""The index files against parsers written here from the layouts' description, not from the loaders."""

import json
import re
from collections import Counter

import cv2
import numpy as np
import pytest

NAME = re.compile(r'(\d{4})M([12])D(\d+)T(\d+)F(.+)')


def parse_hitsz(root, split):
    names = (root / 'info' / f'{split}_name.txt').read_text().splitlines()
    tracks = []
    for line in (root / 'info' / f'track_{split}_info.txt').read_text().splitlines():
        m, start, end, pid, camera = (int(field) for field in line.split())
        tracks.append((m, pid, camera, names[start - 1 : end]))
    return names, tracks


@pytest.mark.parametrize(('split', 'folder', 'first', 'people'), [('train', 'Train', 1, 3), ('test', 'Test', 4, 2)])
def test_hitsz_index_lists_every_frame_once(hitsz_world, split, folder, first, people):
    spec, root, _ = hitsz_world
    names, tracks = parse_hitsz(root, split)
    assert [name for track in tracks for name in track[3]] == names  # tracks cover all names in order
    files = []
    for m, pid, camera, frames in tracks:
        assert spec.min_frames <= len(frames) <= spec.max_frames
        for name in frames:
            digits = NAME.fullmatch(name).groups()
            assert (int(digits[0]), int(digits[1]), int(digits[2])) == (pid, m, camera)
            files.append(f'{folder}/{digits[0]}/{"ir" if m == 1 else "rgb"}/D{camera}/{digits[4]}')
    assert len(set(files)) == len(files)
    on_disk = sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob('*.jpg'))
    assert sorted(files) == on_disk
    per_person = Counter((pid, m) for m, pid, _, _ in tracks)
    assert per_person == {(pid, m): 4 for pid in range(first, first + people) for m in (1, 2)}
    assert {camera for _, _, camera, _ in tracks} == {1, 2, 3, 4}


def test_hitsz_queries_are_all_infrared_test_tracklets(hitsz_world):
    _, root, _ = hitsz_world
    _, tracks = parse_hitsz(root, 'test')
    lines = (root / 'info' / 'query_IDX.txt').read_text().splitlines()
    assert len(lines) == 1
    queries = [int(field) for field in lines[0].split()]
    assert queries == [number for number, track in enumerate(tracks, 1) if track[0] == 1]


def parse_bupt(root, name):
    return [line.split() for line in (root / f'{name}.txt').read_text().splitlines()]


def test_bupt_training_lines_are_pairs_of_equal_length(bupt_world):
    _, root, _ = bupt_world
    paths = json.loads((root / 'data_paths.json').read_text())
    listed = []
    for name, people, tracklets in (('train', 3, 4), ('train_auxiliary', 2, 2)):
        lines = parse_bupt(root, name)
        assert len(lines) == people * tracklets
        for pid, modality, camera, tracklet in lines:
            assert modality == 'RGB/IR'
            visible, infrared, fake = (paths[pid][kind][camera][tracklet] for kind in ('RGB', 'IR', 'FakeIR'))
            assert len(visible) == len(infrared) == len(fake)
            assert fake == [path.replace('/RGB/', '/FakeIR/') for path in visible]
            listed += visible + infrared + fake
    assert all((root / 'DATA' / path).is_file() for path in listed)
    assert len(set(listed)) == len(listed)


def test_bupt_auxiliary_identities_have_one_camera(bupt_world):
    _, root, _ = bupt_world
    cameras = {}
    for pid, _, camera, _ in parse_bupt(root, 'train_auxiliary'):
        cameras.setdefault(pid, set()).add(camera)
    assert len(cameras) == 2
    assert all(len(seen) == 1 for seen in cameras.values())


def test_bupt_query_and_gallery_divide_the_test_tracklets(bupt_world):
    _, root, _ = bupt_world
    query, gallery = ([tuple(line) for line in parse_bupt(root, name)] for name in ('query', 'gallery'))
    assert not set(query) & set(gallery)
    assert len(query) + len(gallery) == 2 * 4 * 2
    for pid in {line[0] for line in query}:
        for modality in ('RGB', 'IR'):
            assert any(line[:2] == (pid, modality) for line in query)
            assert any(line[:2] == (pid, modality) for line in gallery)
    # A query's pixel-aligned partner never waits in the gallery.
    twins = {(pid, {'RGB': 'IR', 'IR': 'RGB'}[modality], *rest) for pid, modality, *rest in query}
    assert twins == set(query)


def test_bupt_splits_share_nobody_and_all_frames_are_listed(bupt_world):
    _, root, _ = bupt_world
    names = ('train', 'train_auxiliary', 'query', 'gallery')
    people = {name: {line[0] for line in parse_bupt(root, name)} for name in names}
    assert people['query'] == people['gallery']
    assert not people['train'] & people['train_auxiliary'] | people['train'] & people['query']
    paths = json.loads((root / 'data_paths.json').read_text())
    listed = [
        file for kinds in paths.values() for cameras in kinds.values() for tracklets in cameras.values()
        for files in tracklets.values() for file in files
    ]  # fmt: skip
    on_disk = [path.relative_to(root / 'DATA').as_posix() for path in (root / 'DATA').rglob('*.jpg')]
    assert sorted(listed) == sorted(on_disk)


def test_counts_match_the_spec_and_the_summary(hitsz_world, bupt_world):
    _, root, summary = hitsz_world
    assert summary.counts['train']['identities'] == 3
    assert summary.counts['test']['tracklets'] == 2 * 4 * 2
    assert summary.frames == len(list(root.rglob('*.jpg')))
    _, root, summary = bupt_world
    assert summary.counts['auxiliary'] == summary.counts['auxiliary'] | {
        'identities': 2,
        'tracklets': 2 * 2 * 2,
    }
    real = [path for path in root.rglob('*.jpg') if '/FakeIR/' not in path.as_posix()]
    assert summary.frames == len(real)


def test_infrared_frames_are_grey_and_visible_ones_are_not(hitsz_world):
    spec, root, _ = hitsz_world
    for modality in ('ir', 'rgb'):
        images = [cv2.imread(str(path)) for path in sorted((root / 'Train' / '0001' / modality).rglob('*.jpg'))[::7]]
        assert {image.shape for image in images} == {(spec.height, spec.width, 3)}
        spread = np.mean([np.ptp(image.astype(int), axis=2).mean() for image in images])
        assert spread == 0 if modality == 'ir' else spread > 5


def test_bupt_pairs_are_pixel_aligned_and_independent_walks_are_not(bupt_world):
    _, root, _ = bupt_world
    paths = json.loads((root / 'data_paths.json').read_text())
    pid, _, camera, tracklet = parse_bupt(root, 'train')[0]
    visible, infrared = (paths[pid][kind][camera][tracklet] for kind in ('RGB', 'IR'))
    edges = [[silhouette(root / 'DATA' / file) for file in files] for files in (visible, infrared)]
    aligned = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*edges, strict=True)])
    shuffled = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(edges[0], edges[1][3:] + edges[1][:3], strict=True)])
    assert aligned > shuffled + 0.03


def silhouette(path):
    grey = cv2.GaussianBlur(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (0, 0), 1.0)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)).ravel()
