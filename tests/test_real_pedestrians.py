"""A real video and a real tracker, from tracks to a search. Needs Debian's package opencv-doc and PyPI's trackers."""

import csv
import importlib.util
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.registry import init_default_scope

from dscreid.apis import load_config
from dscreid.datasets.tracklet_table import read_table
from dscreid.deployment import read_bundle
from dscreid.registry import MODELS
from dscreid.tracks.mot import read_mot

VIDEO = Path('/usr/share/doc/opencv-doc/examples/data/vtest.avi')
SCRIPT = Path(__file__).with_name('real_pedestrians.py')
#: Changes of the demo's config: own cameras, few iterations, and clusters of few tracklets.
SHORT = [
    *(f'{loop}_dataloader.dataset.type=TrackletFolder' for loop in ('train', 'val', 'test')),
    *(f'{loop}_evaluator.protocol=cross_modal' for loop in ('val', 'test')),
    'train_dataloader.sampler.infrared=(2, 2)',
    'train_dataloader.sampler.iterations=3',
    'train_cfg.max_epochs=2',
    'optim_wrapper.optimizer.lr=2e-5',
    *('clustering.k1=4', 'clustering.k2=2', 'clustering.eps=0.3', 'clustering.min_samples=2'),
    *(f'default_hooks.cluster.labelers.1.{one}' for one in ('inter.topk=3', 'inter.min_votes=1', 'intra.topk=2')),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not VIDEO.is_file(), reason='Debian package opencv-doc (vtest.avi) is not installed'),
    pytest.mark.skipif(importlib.util.find_spec('trackers') is None, reason='the package trackers is not installed'),
]


@pytest.fixture
def dscreid(load_tool, capsys):
    """Function that runs a command and returns what it prints."""

    def run(tool, *words):
        load_tool(f'{tool}.py').main([str(word) for word in words])
        return capsys.readouterr().out

    return run


@pytest.fixture
def source_weights(tmp_path):
    """The pre-trained small tower as a checkpoint of a source stage."""
    init_default_scope('dscreid')
    settings = load_config('source/stp_demo').model
    torch.manual_seed(0)
    model = MODELS.build(dict(settings, num_classes=1))
    model.init_weights()
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'source.pth')
    return tmp_path / 'source.pth'


def rounded(boxes):
    """Frames and corners, in tenths of a pixel."""
    return {
        (frame, *corners) for frame, corners in zip(boxes.frame.tolist(), boxes.corners.round(1).tolist(), strict=True)
    }


def overlap(one, other):
    same_sensor = (one.camera, one.modality) == (other.camera, other.modality)
    return same_sensor and one.start_time <= other.end_time and other.start_time <= one.end_time


def test_pedestrians_are_found_across_cameras(dscreid, source_weights, tmp_path):
    options = ['--frames', '300', '--step', '2', '--scale', '1.1']
    subprocess.run([sys.executable, SCRIPT, VIDEO, tmp_path / 'tracks', *options], check=True)
    data, run = tmp_path / 'data', tmp_path / 'run'

    printed = dscreid('dataset_converters/tracks', tmp_path / 'tracks/sources.csv', data, '--min-confidence', 0)
    assert 'street_rgb/vtest: 795 frames' in printed
    assert 'yard_ir/infrared: 300 frames' in printed
    rows = read_table(data / 'tracklets.csv')
    kinds = [row.modality.value for row in rows]
    assert min(kinds.count('rgb'), kinds.count('ir')) >= 8  # twice a batch
    assert cv2.imread(str(data / 'contact_sheet.jpg')) is not None

    examined = dscreid(
        'doctor', 'dsc/dsc_demo', '--work-dir', run, '--cfg-options', *SHORT, 'source=None', f'data_root={data}'
    )
    assert ' 0 broken' in examined
    words = ['--source', source_weights, '--config', 'dsc/dsc_demo', '--work-dir', run, '--license', 'tests only']
    adapted = dscreid('adapt', data, *words, '--cfg-options', *SHORT)
    assert f'{kinds.count("rgb")} visible and {kinds.count("ir")} infrared tracklets of 2 cameras' in adapted
    assert (run / 'adaptation.html').is_file()
    bundle = run / 'bundle'

    calibrated = dscreid('calibrate', bundle, data, '--rates', 0.2)
    assert f'from {len(rows)} tracklets' in calibrated
    assert {one['pair'] for one in read_bundle(bundle).calibration['thresholds']} >= {'rgb-ir'}

    gallery = ['--gallery', tmp_path / 'gallery', '--bundle', bundle]
    added = dscreid('gallery', 'add', data, *gallery)
    assert f'{len(rows)} tracklets added, 0 were there, {len(rows)} in all' in added
    query, page = next(row.folder for row in rows if row.modality.value == 'rgb'), tmp_path / 'found.html'
    found = dscreid('search', data / query, *gallery, '--modality', 'ir', '--top', 5, '--html', page)
    names = [line.split()[3] for line in found.splitlines() if line[:1].isdigit()]
    assert len(names) == 5
    assert all(name.startswith('yard_ir/infrared_') for name in names)
    assert page.read_text().count('data:image/jpeg') == 1 + 5
    linked = ['--bundle', bundle, '--out', tmp_path / 'identities.csv', '--tracks-out', tmp_path / 'linked']
    dscreid('link', data, *linked, '--threshold', 'similarity=0.9')
    with (tmp_path / 'identities.csv').open() as file:
        identities = {cells['tracklet']: int(cells['identity']) for cells in csv.DictReader(file)}
    assert identities.keys() == {row.tracklet for row in rows}
    for one, other in combinations(rows, 2):
        assert not (overlap(one, other) and identities[one.tracklet] == identities[other.tracklet])
    for video, tracks in (('street_rgb/vtest', 'visible'), ('yard_ir/infrared', 'infrared')):
        boxes, tracked = read_mot(tmp_path / f'linked/{video}.txt'), read_mot(tmp_path / f'tracks/{tracks}.txt')
        assert set(boxes.track.tolist()) == {n for name, n in identities.items() if name.startswith(video)}
        assert rounded(boxes) <= rounded(tracked)
        assert len(boxes) > 0.5 * len(tracked)
