"""Worlds in the layouts of image data sets, read from their description and by the loaders."""

import re

import cv2
import pytest

from dscreid.datasets import LLCM, SYSUMM01, RegDB
from dscreid.errors import ConfigError
from dscreid.evaluation.feasibility import plan_evaluation
from dscreid.lab.synthetic import make_spec, render_world

KINDS = {'sysu': SYSUMM01, 'regdb': RegDB, 'llcm': LLCM}
PROTOCOLS = {
    'sysu': ('sysu_mm01_all_single', 'sysu_mm01_indoor_single', 'sysu_mm01_all_multi'),
    'regdb': ('regdb_visible2thermal', 'regdb_thermal2visible'),
    'llcm': ('llcm_vis2nir', 'llcm_nir2vis'),
}


@pytest.fixture(scope='module')
def worlds(tmp_path_factory):
    """Rendered worlds of four training and two test persons by layout."""
    folder = tmp_path_factory.mktemp('pictures')
    for layout in KINDS:
        spec = make_spec('tiny', layout, train_ids=4, test_ids=2, height=16, width=8)
        render_world(folder / layout, spec, num_processes=1, progress=False)
    return folder


def pictures_of(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob('*.jpg'))


def test_sysu_mm01(worlds):
    root = worlds / 'sysu'
    lists = {path.name: path.read_text() for path in (root / 'exp').iterdir()}
    assert lists == {'train_id.txt': '1,2,3\n', 'val_id.txt': '4\n', 'test_id.txt': '5,6\n'}
    pictures = pictures_of(root)
    assert all(re.fullmatch(r'cam[1-6]/000[1-6]/\d{4}\.jpg', name) for name in pictures)
    assert {name[:4] for name in pictures if name[5:9] == '0005'} == {f'cam{camera}' for camera in range(1, 7)}
    for name in pictures[::17]:
        channels = cv2.imread(str(root / name)).astype(int)
        is_gray = (channels == channels[..., :1]).all()
        assert is_gray == (name[3] in '36')


def test_regdb(worlds):
    root = worlds / 'regdb'
    listed = {}
    for path in (root / 'idx').iterdir():
        split, kind, trial = re.fullmatch(r'(train|test)_(visible|thermal)_(\d+)\.txt', path.name).groups()
        lines = [line.split(' ') for line in path.read_text().splitlines()]
        assert all(name.startswith(f'{kind.title()}/') for name, _ in lines)
        labels = {name.split('/')[1]: int(label) for name, label in lines}
        assert sorted(labels.values()) == list(range({'train': 4, 'test': 2}[split]))
        listed.setdefault(int(trial), []).extend(name for name, _ in lines)
    assert sorted(listed) == list(range(1, 11))
    assert all(sorted(names) == pictures_of(root) for names in listed.values())
    assert len({tuple(sorted(t.frames for t in RegDB(root, 'test', trial=n).tracklets)) for n in range(1, 11)}) > 1
    assert len(pictures_of(root)) == 6 * 2 * 10


def test_llcm(worlds):
    root = worlds / 'llcm'
    assert (root / 'idx/test_id.txt').read_text() == '5,6\n'
    folders = {name.rsplit('/', 2)[0] for name in pictures_of(root) if name.startswith('test')}
    assert folders == {f'test_{kind}/cam{c}' for kind in ('vis', 'nir') for c in range(1, 10)} - {'test_nir/cam3'}
    listed = [
        line.split(' ')[0]
        for kind in ('vis', 'nir')
        for line in (root / f'idx/train_{kind}.txt').read_text().splitlines()
    ]
    assert sorted(listed) == [name for name in pictures_of(root) if not name.startswith('test')]
    assert all(re.fullmatch(r'(vis|nir)/(\d{4})/\2_c0[1-9]_s\d+_f\d+_\1\.jpg', name) for name in listed)


@pytest.mark.parametrize('layout', KINDS)
def test_the_loader_reads_every_picture(worlds, layout):
    root = worlds / layout
    found = [frame for split in ('train', 'test') for t in KINDS[layout](root, split).tracklets for frame in t.frames]
    assert sorted(found) == pictures_of(root)
    assert (KINDS[layout](root, 'train').cameras > 0).all()
    dataset = KINDS[layout](root, 'test')
    for protocol in PROTOCOLS[layout]:
        (count,) = plan_evaluation(dataset, protocol).directions.values()
        assert count.valid == count.queries > 0


def test_what_a_layout_cannot_hold():
    with pytest.raises(ConfigError, match='layout sysu has 6 cameras, not 4'):
        make_spec('tiny', 'sysu', cameras=4)
    with pytest.raises(ConfigError, match='layout llcm needs test_tracklets of at least 9, not 4'):
        make_spec('tiny', 'llcm', test_tracklets=4)
    with pytest.raises(ConfigError, match='layout sysu needs train_ids of at least 2, not 1'):
        make_spec('tiny', 'sysu', train_ids=1)
    with pytest.raises(ConfigError, match='layout regdb has room for 2 cameras, not 3'):
        make_spec('tiny', 'regdb', cameras=3)
    with pytest.raises(ConfigError, match='exist in layout bupt only'):
        make_spec('tiny', 'sysu', fake_ir=True)
