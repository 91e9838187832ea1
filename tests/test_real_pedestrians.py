"""A real video and a real tracker, from tracks to features. Needs Debian's package opencv-doc and PyPI's trackers."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dscreid.datasets import TrackletFolder
from dscreid.deployment import TrackletInferencer, make_bundle
from dscreid.tracks.convert import ConversionSettings, convert
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.sources import read_sources

VIDEO = Path('/usr/share/doc/opencv-doc/examples/data/vtest.avi')
SCRIPT = Path(__file__).with_name('real_pedestrians.py')


@pytest.mark.slow
@pytest.mark.skipif(not VIDEO.is_file(), reason='Debian package opencv-doc (vtest.avi) is not installed')
@pytest.mark.skipif(importlib.util.find_spec('trackers') is None, reason='the package trackers is not installed')
def test_pedestrians_become_tracklets_with_features(tiny_runs, tiny_experiment, tmp_path):
    subprocess.run([sys.executable, SCRIPT, VIDEO, tmp_path / 'tracks'], check=True)
    settings = ConversionSettings(FilterSettings(min_confidence=0.0))
    videos = convert(read_sources(tmp_path / 'tracks/sources.csv'), tmp_path / 'data', settings, jobs=2)
    assert [video.num_frames for video in videos] == [795, 795]
    assert all(len(video.tracklets) >= 10 for video in videos)
    dataset = TrackletFolder(tmp_path / 'data', 'train', labelled=False)
    assert {tracklet.modality.value for tracklet in dataset.tracklets} == {'rgb', 'ir'}
    notes = dict(license='for tests only', training_data='rendered worlds')
    bundle = make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'bundle', **notes)
    features = TrackletInferencer(bundle)(dataset)
    assert features.shape == (len(dataset), 64)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
