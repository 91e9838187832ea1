import csv
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from galleries import made_up_bundle

from dscreid.deployment import TrackletInferencer, add_folder, make_bundle, open_folder, open_gallery
from dscreid.deployment.bundle import calibrated
from dscreid.deployment.gallery_rows import Entry
from dscreid.structures import Modality
from dscreid.tracks.convert import ConversionSettings, convert
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.formats import read_tracks
from dscreid.tracks.sources import Source
from dscreid.tracks.track_file import TrackFile


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
    return link_any(tool, folder.parent, bundle, folder, *options)


def link_any(tool, parent, bundle, *options):
    out = parent / 'identities.csv'
    tool.main([*map(str, options), '--bundle', str(bundle.folder), '--out', str(out)])
    return identities_in(out)


@pytest.fixture
def gallery(converted, own_bundle, tmp_path):
    """A gallery of the tracklets, whose pictures are gone."""
    pytest.importorskip('lancedb')
    made = open_gallery(tmp_path / 'gallery', own_bundle, create=True)
    add_folder(made, open_folder(converted), TrackletInferencer(own_bundle))
    for path in converted.rglob('*.jpg'):
        path.unlink()
    return made.place


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


@pytest.mark.parametrize('tracks_format', ['original', 'mot'])
def test_tracks_get_the_identities_as_ids(tool, converted, own_bundle, tmp_path, capsys, tracks_format):
    options = ('--threshold', 'similarity=-2', '--tracks-out', tmp_path / 'linked', '--tracks-format', tracks_format)
    found = link(tool, converted, own_bundle, *options)
    assert (
        'linked: tracks of 2 videos; 31 of 33 boxes have an identity, the others are left out'
        in capsys.readouterr().out
    )
    assert_tracks(tmp_path / 'linked', found)


def assert_tracks(folder, identities):
    """The files have the boxes with the identities as ids, and no identity twice in a frame."""
    files = sorted(path.relative_to(folder) for path in folder.rglob('*.txt'))
    assert files == [Path('gate_rgb/gate.txt'), Path('yard_ir/yard.txt')]
    boxes = read_tracks(TrackFile(folder / 'gate_rgb/gate.txt', (160, 120), 16))
    spans = {'1': range(6), '2': range(3, 9), '3': range(9, 16)}
    expected = {
        (k, identities[f'gate_rgb/gate_0000{one}'], 10.0 + int(one))
        for one, span in spans.items() if f'gate_rgb/gate_0000{one}' in identities for k in span
    }  # fmt: skip
    assert set(zip(boxes.frame.tolist(), boxes.track.tolist(), boxes.corners[:, 0].tolist(), strict=True)) == expected
    assert len({(frame, track) for frame, track, _ in expected}) == len(boxes)
    assert (boxes.confidence == 0.75).all()


@pytest.mark.parametrize('threshold', ['similarity=-2', 'similarity=2'])
def test_a_gallery_gives_the_identities_of_its_folder(tool, gallery, converted, own_bundle, tmp_path, threshold):
    options = ('--gallery', gallery, '--tracks', converted, '--threshold', threshold)
    found = link_any(tool, tmp_path, own_bundle, *options, '--tracks-out', tmp_path / 'linked')
    gate, yard = [f'gate_rgb/gate_0000{number}' for number in (1, 2, 3)], 'yard_ir/yard_00001'
    assert list(found) == [*gate, yard]
    if threshold == 'similarity=2':
        assert list(found.values()) == [1, 2, 3, 4]
    else:
        assert set(found.values()) == {1, 2}
        assert found[gate[0]] != found[gate[1]]
    assert_tracks(tmp_path / 'linked', found)


def test_filters_choose_the_tracklets_of_a_gallery(tool, gallery, converted, own_bundle, tmp_path, capsys):
    options = ('--gallery', gallery, '--threshold', 'similarity=-2')
    assert link_any(tool, tmp_path, own_bundle, *options, '--modality', 'ir') == {'yard_ir/yard_00001': 1}
    assert '1 tracklets have no time' in capsys.readouterr().out
    assert set(link_any(tool, tmp_path, own_bundle, *options).values()) == {1}
    assert link_any(tool, tmp_path, own_bundle, *options, '--camera', 'nowhere') == {}
    tracks = ('--tracks', converted, '--tracks-out', tmp_path / 'linked')
    found = link_any(tool, tmp_path, own_bundle, *options, *tracks, '--camera', 'gate')
    assert set(found.values()) == {1, 2}
    assert (tmp_path / 'linked/yard_ir/yard.txt').read_text() == ''


def test_times_of_a_gallery_keep_tracklets_apart(tool, own_bundle, tmp_path):
    pytest.importorskip('lancedb')
    made = open_gallery(tmp_path / 'gallery', own_bundle, create=True)
    start = datetime(2026, 3, 1)
    spans = {'a': (0, 10), 'b': (9, 12), 'c': (11, 12), 'd': (13, 14)}
    entries = [
        Entry(name, 'gate', Modality.RGB, f'/data/{name}', *(start + timedelta(seconds=one) for one in span))
        for name, span in spans.items()
    ]
    features = np.zeros((4, made.about['size']), np.float32)
    features[:, 0] = 1
    made.add(entries, features)
    found = link_any(tool, tmp_path, own_bundle, '--gallery', made.place, '--threshold', 'similarity=0.5')
    assert {found['a'], found['c']}.isdisjoint({found['b']})
    assert len(set(found.values())) == 2


def test_unknown_times_are_said(tool, converted, own_bundle, tmp_path, capsys):
    (converted / '.converted').rename(tmp_path / 'gone')
    assert set(link(tool, converted, own_bundle, '--threshold', 'similarity=-2').values()) == {1}
    assert '4 tracklets have no time, so those of one camera may be linked' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--threshold', '0.2'], 'not calibrated for a false-match rate of 0.2 for ir-ir'),
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


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--tracks-out', 'linked'], 'with --gallery, --tracks-out needs --tracks, the folder of dscreid tracks'),
        (['--split', 'train'], '--split needs FOLDER'),
        (['own'], 'argument --gallery: not allowed with argument FOLDER'),
        (['--tracks', 'gate'], 'gate: was not written by dscreid tracks'),
    ],
)
def test_mistakes_with_galleries_are_said(tool, gallery, own_bundle, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        link_any(tool, tmp_path, own_bundle, *options, '--gallery', gallery, '--threshold', 'similarity=0')
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'identities.csv').exists()


def test_one_of_folder_and_gallery_is_needed(tool, converted, own_bundle, tmp_path, capsys):
    with pytest.raises(SystemExit):
        link_any(tool, tmp_path, own_bundle)
    assert 'one of the arguments FOLDER --gallery is required' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        link_any(tool, tmp_path, own_bundle, converted, '--camera', 'gate')
    assert 'error: --tracks, --camera, --modality, --from and --to need --gallery' in capsys.readouterr().err


def test_a_gallery_of_another_model_is_refused(tool, own_bundle, tmp_path, capsys):
    pytest.importorskip('lancedb')
    open_gallery(tmp_path / 'other', made_up_bundle(), create=True)
    with pytest.raises(SystemExit):
        link_any(tool, tmp_path, own_bundle, '--gallery', tmp_path / 'other')
    assert 'other: holds features of the model' in capsys.readouterr().err
