import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from dscreid.deployment import make_bundle
from dscreid.deployment.bundle import calibrated
from dscreid.structures import Modality
from dscreid.tracks.convert import ConversionSettings, convert
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.formats import TrackFile, read_tracks
from dscreid.tracks.sources import Source


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('link.py')


@pytest.fixture(scope='module')
def own_bundle(tiny_runs, tiny_experiment, tmp_path_factory):
    out = tmp_path_factory.mktemp('link') / 'bundle'
    notes = dict(license='for tests only', training_data='rendered worlds')
    return make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, out, **notes)


@pytest.fixture
def converted(tmp_path):
    """Two cameras without start times; on the first, tracks 1 and 2 overlap, and 3 follows."""
    rng = np.random.default_rng(0)
    sources = []
    for camera, modality, tracks in (
        ('gate', 'rgb', {1: range(6), 2: range(3, 9), 3: range(9, 16), 4: range(2)}),
        ('yard', 'ir', {1: range(12)}),
    ):
        (tmp_path / camera).mkdir()
        for number in range(16):
            picture = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / camera / f'{number}.png'), picture)
        lines = [f'{k + 1},{one},{10 + one},10.5,40,90,0.75,-1,-1,-1' for one, frames in tracks.items() for k in frames]
        path = tmp_path / f'{camera}.txt'
        path.write_text('\n'.join(lines))
        sources.append(Source(tmp_path / camera, path, camera, Modality(modality), fps=16.0))
    convert(sources, tmp_path / 'own', ConversionSettings(FilterSettings(min_crops=2)))
    return tmp_path / 'own'


def identities_in(path):
    with path.open(newline='') as file:
        return {row['tracklet']: int(row['identity']) for row in csv.DictReader(file)}


def link(tool, folder, bundle, *options):
    out = folder.parent / 'identities.csv'
    tool.main([str(folder), '--bundle', str(bundle.folder), '--out', str(out), *map(str, options)])
    return identities_in(out)


def test_everything_alike_is_one_person_except_at_the_same_time(tool, converted, own_bundle, capsys):
    found = link(tool, converted, own_bundle, '--threshold', 'similarity=-2')
    first, second, third, other = (
        'gate_rgb/gate_00001',
        'gate_rgb/gate_00002',
        'gate_rgb/gate_00003',
        'yard_ir/yard_00001',
    )
    assert list(found) == [first, second, third, other]
    assert found[first] != found[second]
    assert set(found.values()) == {1, 2}
    printed = capsys.readouterr().out
    assert '4 tracklets of 2 identities: ' in printed
    assert 'have no time' not in printed


def test_nothing_alike_is_everyone_apart(tool, converted, own_bundle):
    assert list(link(tool, converted, own_bundle, '--threshold', 'similarity=2').values()) == [1, 2, 3, 4]


def test_the_calibration_of_the_bundle_decides(tool, converted, own_bundle):
    for threshold, count in ((-2.0, 2), (2.0, 4)):
        values = [dict(pair=pair, rate=1e-3, threshold=threshold) for pair in ('rgb-rgb', 'ir-ir', 'rgb-ir')]
        bundle = calibrated(own_bundle, {'confidence': 0.95, 'thresholds': values})
        assert len(set(link(tool, converted, bundle).values())) == count
        assert len(set(link(tool, converted, bundle, '--threshold', '0.001').values())) == count


def test_tracks_get_the_identities_as_ids(tool, converted, own_bundle, tmp_path):
    found = link(tool, converted, own_bundle, '--threshold', 'similarity=-2', '--tracks-out', tmp_path / 'linked')
    files = sorted(path.relative_to(tmp_path / 'linked') for path in (tmp_path / 'linked').rglob('*.txt'))
    assert files == [Path('gate_rgb/gate.txt'), Path('yard_ir/yard.txt')]
    boxes = read_tracks(TrackFile(tmp_path / 'linked/gate_rgb/gate.txt', (160, 120), 16))
    spans = {'1': range(6), '2': range(3, 9), '3': range(9, 16)}
    expected = {(k, found[f'gate_rgb/gate_0000{one}'], 10.0 + int(one)) for one, span in spans.items() for k in span}
    assert set(zip(boxes.frame.tolist(), boxes.track.tolist(), boxes.corners[:, 0].tolist(), strict=True)) == expected
    assert len({(frame, track) for frame, track, _ in expected}) == len(boxes)  # no identity twice in a frame
    assert (boxes.confidence == 0.75).all()


def test_unknown_times_are_said(tool, converted, own_bundle, tmp_path, capsys):
    (converted / '.converted').rename(tmp_path / 'gone')
    assert set(link(tool, converted, own_bundle, '--threshold', 'similarity=-2').values()) == {1}
    assert '4 tracklets have no time; nothing keeps those of one camera and moment apart' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--threshold', '0.2'], 'not calibrated for a false-match rate of 0.2 of ir-ir'),
        (['--threshold', 'similarity=0', '--tracks-out', 'linked'], 'own: was not written by dscreid tracks'),
    ],
)
def test_mistakes_are_one_sentence(tool, converted, own_bundle, tmp_path, capsys, options, message):
    (converted / '.converted').rename(tmp_path / 'gone')
    with pytest.raises(SystemExit) as end:
        link(tool, converted, own_bundle, *options)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith('error: ')
    assert '\n' not in error
    assert not (tmp_path / 'identities.csv').exists()
