import re
import shutil

import pytest
from own_cameras import make_tracklet_folder

from dscreid.deployment import make_bundle, open_gallery, read_bundle, threshold_for
from dscreid.deployment.marks import append_mark, make_mark, marks_file
from dscreid.structures import Modality

RGB, IR = Modality


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('calibrate.py')


@pytest.fixture
def own_bundle(tiny_runs, tiny_experiment, tmp_path):
    notes = dict(license='for tests only', training_data='rendered worlds')
    return make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'bundle', **notes).folder


def test_persons_calibrate_a_bundle(tool, own_bundle, tiny_runs, tmp_path, capsys):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own')
    tool.main([str(own_bundle), str(root), '--rates', '0.1', '0.2', '--split', 'train+test'])
    printed = capsys.readouterr().out
    bundle = read_bundle(own_bundle)
    for pair in ('rgb-rgb', 'ir-ir', 'rgb-ir'):
        assert -1 <= threshold_for(bundle, 0.2, pair) <= threshold_for(bundle, 0.1, pair) <= 1
        assert f'{threshold_for(bundle, 0.1, pair):.4f}' in printed
    assert printed.count('tracklets of different persons') == 6
    assert '6 thresholds written' in printed.splitlines()[-1]
    assert 'with several tracklets per person they are too narrow' in printed


def test_without_persons_the_rest_is_said(tool, own_bundle, tiny_runs, tmp_path, capsys):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own', persons=False)
    tool.main([str(own_bundle), str(root), '--rates', '0.1'])
    printed = capsys.readouterr().out
    assert 'conservative, because a few show one person' in printed
    assert (
        'no threshold for rgb-rgb: a false-match rate of 0.1 needs 36 pairs of different people, but there are 0'
        in printed
    )
    assert [one['pair'] for one in read_bundle(own_bundle).calibration['thresholds']] == ['rgb-ir']


def test_marks_of_a_gallery_leave_pairs_out(tool, load_tool, own_bundle, tiny_runs, tmp_path, capsys):
    pytest.importorskip('lancedb')
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own', persons=False)
    gallery = tmp_path / 'gallery'
    load_tool('gallery.py').main(['add', str(root), '--gallery', str(gallery), '--bundle', str(own_bundle)])
    entries = open_gallery(gallery).query()
    query = next(one for one in entries if one.modality is Modality.RGB)
    same, other, wrong = [
        one for one in entries if one.modality is Modality.IR and one.camera != query.camera
    ][:3]  # fmt: skip
    for answer, right in ((same, True), (other, True), (wrong, False)):
        mark = make_mark((query.tracklet, RGB), (answer.tracklet, IR), right, 0.5, 'of an earlier model')
        append_mark(marks_file(gallery), mark)
    capsys.readouterr()

    tool.main([str(own_bundle), '--gallery', str(gallery), '--rates', '0.2'])
    printed = capsys.readouterr().out
    assert ', without 2 pairs of one person' in printed
    assert '2 pairs are marked as the same person and 1 as different people' in printed
    assert re.search(r'rgb-ir, 0.2: of \d+ pairs above the threshold, [01] are known to be different people', printed)
    of_gallery = read_bundle(own_bundle).calibration
    # the same from the folder, and from a copy of the marks
    copied = shutil.copy(marks_file(gallery), tmp_path / 'marks.jsonl')
    for options in (['--gallery', str(gallery)], ['--marks', str(copied)]):
        tool.main([str(own_bundle), str(root), *options, '--rates', '0.2', '--split', 'train+test'])
        (one,), (expected,) = (
            found['thresholds'] for found in (read_bundle(own_bundle).calibration, of_gallery)
        )  # fmt: skip
        assert one['threshold'] == pytest.approx(expected['threshold'], abs=1e-5)
        assert (one['num_pairs'], one['num_left_out']) == (expected['num_pairs'], 2)
    # contradictions are named, and nothing is left out
    append_mark(marks_file(gallery), make_mark((same.tracklet, IR), (other.tracklet, IR), False, 0.5, 'm'))
    capsys.readouterr()
    tool.main([str(own_bundle), '--gallery', str(gallery), '--rates', '0.2'])
    printed = capsys.readouterr().out
    assert f'{same.tracklet} and {other.tracklet} are marked as different people, but' in printed
    assert ', without' not in printed


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'name the FOLDER of the tracklets, or a gallery with --gallery'),
        (['FOLDER', '--marks', 'absent.jsonl'], 'absent.jsonl: does not exist; dscreid serve writes marks next to'),
        (['--gallery', 'absent'], 'absent: is not a gallery'),
    ],
)
def test_what_is_missing_is_named(tool, own_bundle, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        tool.main([str(own_bundle), *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rates', '1e-9'], 'needs 3,688,879,453 pairs of different people, but there are'),
        (['--rates', '0'], 'the false-match rate is 0; choose one above 0 and at most 0.5'),
        (['--confidence', '95'], 'the confidence is 95'),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(tool, own_bundle, tiny_runs, tmp_path, capsys, options, message):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own')
    with pytest.raises(SystemExit) as end:
        tool.main([str(own_bundle), str(root), *options])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith('error: ')
    assert '\n' not in error
    assert read_bundle(own_bundle).calibration is None
    shutil.rmtree(root)
