import shutil

import pytest
from own_cameras import make_tracklet_folder

from dscreid.deployment import make_bundle, read_bundle, threshold_for


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


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rates', '1e-9'], 'needs 3,688,879,453 pairs of different people, but there are'),
        (['--rates', '0'], 'the false-match rate is 0; choose one above 0 to 0.5'),
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
