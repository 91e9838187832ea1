"""tools/adapt.py on a tiny world as a TrackletFolder: results, refusals, and what an interruption leaves."""

import html
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from own_cameras import make_tracklet_folder

from dscreid.apis.command_line import run_command
from dscreid.datasets import TrackletFolder
from dscreid.datasets.tracklet_table import read_table, write_table
from dscreid.deployment import TrackletInferencer, read_bundle
from dscreid.deployment.bundle import calibrated
from dscreid.deployment.verdict import CAVEAT_HELD_OUT, CAVEAT_USED
from dscreid.evaluation import load_features

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
TOOL = Path(__file__).parents[2] / 'tools' / 'adapt.py'
VERDICTS = ('probably helped', 'no clear change', 'probably harmed')


@pytest.fixture(scope='module')
def adapt(load_tool):
    return load_tool('adapt.py')


def own_folder(hitsz, out, persons):
    """Tracklets with times: those of a camera follow each other in pairs that overlap."""
    make_tracklet_folder(hitsz, out, persons)
    rows = []
    for number, row in enumerate(read_table(out / 'tracklets.csv')):
        start = datetime(2026, 3, 1) + timedelta(minutes=number // 12)
        rows.append(replace(row, start_time=start, end_time=start + timedelta(seconds=30)))
    write_table(out / 'tracklets.csv', rows)
    return out


@pytest.fixture(scope='module')
def anonymous(tiny_runs, tmp_path_factory):
    return own_folder(tiny_runs.hitsz, tmp_path_factory.mktemp('own') / 'mine', persons=False)


@pytest.fixture(scope='module')
def arguments(tiny_runs, tiny_experiment):
    """The command line for a folder of tracklets."""

    def make(root, work_dir, *more, options=()):
        kinds = [f'{loop}_dataloader.dataset.type=TrackletFolder' for loop in ('train', 'val', 'test')]
        protocols = [f'{loop}_evaluator.protocol=cross_modal' for loop in ('val', 'test')]
        words = [root, '--source', tiny_experiment.source_checkpoint, '--config', tiny_runs.adapt]
        return [*map(str, [*words, '--work-dir', work_dir, *more]), '--cfg-options', *kinds, *protocols, *options]

    return make


@pytest.fixture(scope='module')
def finished(adapt, arguments, anonymous, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('adapted') / 'run'
    adapt.main(arguments(anonymous, work_dir, '--license', 'tests only'))
    return work_dir


def refused(capsys, function):
    """The one sentence and exit code 2 with which a tool refuses something."""
    with pytest.raises(SystemExit) as stop:
        run_command(function)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_an_adaptation_leaves_a_run_a_page_and_a_bundle(finished, anonymous):
    record = json.loads((finished / 'adaptation.json').read_text())
    assert record['verdict'] in VERDICTS
    assert record['held_out'] is True
    assert len(record['changes']) == 4
    assert record['changes'][-1]['before'] is not None  # there are times
    page = (finished / 'adaptation.html').read_text()
    assert html.escape(CAVEAT_HELD_OUT) in page
    assert page.count('data:image/jpeg') == 8 * (1 + 2 * 5)
    before, after = (load_features(finished / name / 'features.safetensors') for name in ('before', 'after'))
    np.testing.assert_array_equal(before.index, after.index)
    assert len(after) == len(TrackletFolder(anonymous, 'test'))
    assert not np.allclose(before.feature, after.feature)
    assert json.loads((finished / 'metrics.json').read_text())['evaluated'] is False
    bundle = read_bundle(finished / 'bundle')
    assert bundle.license == 'tests only'
    assert 'mine, own cameras without labels' in bundle.training_data
    features = TrackletInferencer(bundle)(TrackletFolder(anonymous, 'train', labelled=False))
    used = load_features(finished / 'features.safetensors')
    np.testing.assert_allclose(features, used.feature / np.sqrt(2), atol=2e-4)
    features = TrackletInferencer(bundle)(TrackletFolder(anonymous, 'test', labelled=False))
    np.testing.assert_allclose(features, after.feature / np.sqrt(2), atol=2e-4)


def test_a_finished_one_is_not_repeated_and_its_bundle_keeps_its_calibration(
    adapt, arguments, anonymous, finished, tmp_path, capsys
):
    work_dir = tmp_path / 'run'
    shutil.copytree(finished, work_dir)
    calibrated(read_bundle(work_dir / 'bundle'), {'note': 'made later'})
    (work_dir / 'adaptation.html').unlink()
    kept = [work_dir / name for name in ('before/features.safetensors', 'after/features.safetensors', 'epoch_2.pth')]
    times = [path.stat().st_mtime_ns for path in kept]
    adapt.main(arguments(anonymous, work_dir, '--resume'))
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert (work_dir / 'adaptation.html').is_file()
    assert read_bundle(work_dir / 'bundle').calibration == {'note': 'made later'}
    printed = capsys.readouterr().out
    assert any(verdict in printed for verdict in VERDICTS) or 'made no clear change' in printed
    assert 'time forecast' in printed
    assert 'infrared tracklets that the adaptation does not use' in printed
    assert not list(work_dir.glob('.bundle_*'))


@pytest.mark.slow
def test_a_used_folder_is_refused_or_replaced(adapt, arguments, anonymous, finished, tmp_path, capsys):
    message = refused(capsys, lambda: adapt.main(arguments(anonymous, finished)))
    assert 'bundle: holds a bundle; choose another --out, or replace it with --overwrite' in message
    message = refused(capsys, lambda: adapt.main(arguments(anonymous, finished, '--out', tmp_path / 'new')))
    assert 'continue it with --resume' in message
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/notes.txt').write_text('mine')
    out = '--overwrite', '--out', tmp_path / 'other'
    assert 'is not a bundle' in refused(capsys, lambda: adapt.main(arguments(anonymous, finished, *out)))
    work_dir = tmp_path / 'run'
    shutil.copytree(finished, work_dir)
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    adapt.main(arguments(anonymous, work_dir, '--overwrite', options=options))
    assert not (work_dir / 'epoch_2.pth').exists()
    other = read_bundle(work_dir / 'bundle')
    assert other.fingerprint != read_bundle(finished / 'bundle').fingerprint
    shutil.copytree(finished, tmp_path / 'copy')
    features = tmp_path / 'copy/before/features.safetensors'
    features.with_name('metrics.json').unlink()  # as after an interruption: nothing says of which weights they are
    written = features.stat().st_mtime_ns
    elsewhere = arguments(anonymous, tmp_path / 'copy', '--resume', '--out', work_dir / 'bundle')
    assert 'holds the bundle of another model' in refused(capsys, lambda: adapt.main(elsewhere))
    assert read_bundle(work_dir / 'bundle') == other
    assert features.stat().st_mtime_ns > written
    assert features.with_name('metrics.json').is_file()


@pytest.mark.slow
def test_persons_are_measured_but_do_not_change_the_comparison(adapt, arguments, tiny_runs, finished, tmp_path, capsys):
    root = own_folder(tiny_runs.hitsz, tmp_path / 'mine', persons=True)
    adapt.main(arguments(root, tmp_path / 'run'))
    assert 'rgb2ir' in capsys.readouterr().out
    assert json.loads((tmp_path / 'run/metrics.json').read_text())['mean/mAP'] > 0
    assert (tmp_path / 'run/after/features.safetensors').is_file()
    records = [json.loads((folder / 'adaptation.json').read_text()) for folder in (finished, tmp_path / 'run')]
    assert records[0] == records[1]


def test_a_dry_run_forecasts_and_writes_nothing(adapt, arguments, anonymous, tmp_path, capsys):
    adapt.main(arguments(anonymous, tmp_path / 'run', '--dry-run'))
    printed = capsys.readouterr().out
    assert '24 visible and 24 infrared tracklets of' in printed
    assert 'time forecast' in printed
    assert 'memory forecast' in printed
    assert 'nothing will be measured with labels: ' in printed
    assert 'no tracklet has a person id' in printed
    assert not (tmp_path / 'run').exists()


def test_what_is_broken_stops_before_the_training(adapt, arguments, anonymous, tmp_path, capsys):
    root = tmp_path / 'mine'
    shutil.copytree(anonymous, root)
    (root / read_table(root / 'tracklets.csv')[0].frames[0]).write_bytes(b'no picture')
    assert 'something is broken' in refused(capsys, lambda: adapt.main(arguments(root, tmp_path / 'run')))
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('kept', 'words'),
    [
        (lambda row: row.modality.value == 'rgb', 'but no infrared one; add a folder CAMERA_ir'),
        (lambda row: row.modality.value == 'rgb' or row.tracklet in ('train0', 'train1'), 'but a batch draws 4'),
    ],
)
def test_folders_that_cannot_be_adapted_to(adapt, arguments, anonymous, tmp_path, capsys, kept, words):
    rows = [row for row in read_table(anonymous / 'tracklets.csv') if row.split == 'train' and kept(row)]
    (tmp_path / 'mine').mkdir()
    for path in anonymous.iterdir():
        if path.name != 'tracklets.csv':
            (tmp_path / 'mine' / path.name).symlink_to(path)
    write_table(tmp_path / 'mine/tracklets.csv', rows)
    assert words in refused(capsys, lambda: adapt.main(arguments(tmp_path / 'mine', tmp_path / 'run')))
    assert not (tmp_path / 'run').exists()


def without_splits(divided, out):
    """The same tracklets in a folder that is not divided."""
    shutil.copytree(divided, out)
    write_table(out / 'tracklets.csv', [replace(row, split='') for row in read_table(out / 'tracklets.csv')])
    return out


@pytest.mark.slow
def test_without_other_tracklets_the_verdict_is_about_those_used(adapt, arguments, anonymous, tmp_path, capsys):
    root = without_splits(anonymous, tmp_path / 'mine')
    adapt.main(arguments(root, tmp_path / 'run', options=['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']))
    assert 'about the tracklets that the adaptation uses: none are set aside; --test-from' in capsys.readouterr().out
    record = json.loads((tmp_path / 'run/adaptation.json').read_text())
    assert (record['held_out'], record['caveat']) == (False, CAVEAT_USED)
    assert not (tmp_path / 'run/after').exists()
    tables = [load_features(tmp_path / 'run' / name / 'features.safetensors') for name in ('before', '')]
    np.testing.assert_array_equal(tables[0].index, tables[1].index)


def test_tracklets_are_set_aside_by_time(adapt, arguments, anonymous, tmp_path, capsys):
    root = without_splits(anonymous, tmp_path / 'mine')
    rows = read_table(root / 'tracklets.csv')
    time = sorted(row.start_time for row in rows)[48]
    late = [row.modality.value for row in rows if row.start_time >= time]
    counts = [f'{late.count(name)} {word}' for name, word in (('rgb', 'visible'), ('ir', 'infrared'))]
    adapt.main(arguments(root, tmp_path / 'run', '--dry-run', '--test-from', time.isoformat()))
    printed = capsys.readouterr().out
    assert (
        f'the verdict will be about {counts[0]} and {counts[1]} tracklets that the adaptation does not use' in printed
    )
    assert f'{len(rows) // 2 - late.count("rgb")} visible and' in printed
    never = arguments(root, tmp_path / 'run', '--dry-run', '--test-from', '2100-01-01')
    assert 'no tracklet starts at test_from=2100' in refused(capsys, lambda: adapt.main(never))


def test_people_may_come_back_after_the_time(adapt, arguments, tiny_runs, tmp_path, capsys):
    divided = own_folder(tiny_runs.hitsz, tmp_path / 'divided', persons=True)
    root = without_splits(divided, tmp_path / 'mine')
    times = sorted(row.start_time for row in read_table(root / 'tracklets.csv'))
    adapt.main(arguments(root, tmp_path / 'run', '--dry-run', '--test-from', times[30].isoformat()))
    printed = capsys.readouterr().out
    assert 'that the adaptation does not use' in printed
    assert 'nothing will be measured with labels' not in printed


def test_tracklets_of_both_splits_cannot_judge(adapt, arguments, anonymous, tmp_path, capsys):
    root = tmp_path / 'mine'
    shutil.copytree(anonymous, root)
    first, *rows = read_table(root / 'tracklets.csv')
    write_table(root / 'tracklets.csv', [replace(first, split=''), *rows])
    adapt.main(arguments(root, tmp_path / 'run', '--dry-run'))
    assert 'uses: some belong to both splits; write train or test in each line' in capsys.readouterr().out
    write_table(root / 'tracklets.csv', [row for row in rows if row.split == 'train'])
    adapt.main(arguments(root, tmp_path / 'run', '--dry-run'))
    assert 'uses: none belong to split test' in capsys.readouterr().out
    write_table(root / 'tracklets.csv', [replace(row, split='') for row in rows])
    union = arguments(
        root, tmp_path / 'run', '--test-from', rows[30].start_time.isoformat(),
        options=['train_dataloader.dataset.split=train+test'],
    )  # fmt: skip
    assert 'but the config adapts to split train+test' in refused(capsys, lambda: adapt.main(union))


def test_a_test_split_of_one_modality_cannot_judge(adapt, arguments, anonymous, tmp_path, capsys):
    root = tmp_path / 'mine'
    shutil.copytree(anonymous, root)
    rows = read_table(root / 'tracklets.csv')
    write_table(root / 'tracklets.csv', [row for row in rows if (row.split, row.modality.value) != ('test', 'ir')])
    message = refused(capsys, lambda: adapt.main(arguments(root, tmp_path / 'run')))
    assert (
        'mine: split test has no usable infrared tracklet, so it cannot judge the adaptation; add some, or' in message
    )


@pytest.mark.slow
def test_one_camera_with_two_sensors_is_adapted_to(adapt, arguments, anonymous, tmp_path, capsys):
    shutil.copytree(anonymous, tmp_path / 'mine')
    rows = read_table(tmp_path / 'mine/tracklets.csv')
    write_table(tmp_path / 'mine/tracklets.csv', [replace(row, camera='gate') for row in rows])
    adapt.main(arguments(tmp_path / 'mine', tmp_path / 'run'))
    assert '24 visible and 24 infrared tracklets of one camera\n' in capsys.readouterr().out
    assert read_bundle(tmp_path / 'run/bundle').feature['size'] == 64


def test_other_inputs_that_cannot_be_used(adapt, arguments, anonymous, tiny_runs, tmp_path, capsys):
    words = arguments(anonymous, tmp_path / 'run')
    gone = [*words[:2], str(tmp_path / 'gone.pth'), *words[3:]]
    assert 'gone.pth: no such file' in refused(capsys, lambda: adapt.main(gone))
    (tmp_path / 'broken.pth').write_bytes(b'no weights')
    broken = [*words[:2], str(tmp_path / 'broken.pth'), *words[3:]]
    assert 'broken.pth' in refused(capsys, lambda: adapt.main(broken))
    source = [*words[:4], str(tiny_runs.source), *words[5:]]
    assert 'use dsc/dsc_own' in refused(capsys, lambda: adapt.main(source))
    assert 'none: the data root of TrackletFolder is not a' in refused(
        capsys, lambda: adapt.main(arguments(tmp_path / 'none', tmp_path / 'run'))
    )


@pytest.mark.slow
def test_an_interrupted_one_continues(adapt, arguments, anonymous, finished, tmp_path):
    work_dir = tmp_path / 'run'
    command = [sys.executable, TOOL, *arguments(anonymous, work_dir)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    limit = time.monotonic() + 120
    while not (work_dir / 'epoch_1.pth').exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == 'interrupted: run it again with --resume to continue; nothing is lost'
    assert not (work_dir / 'bundle').exists()
    adapt.main(arguments(anonymous, work_dir, '--resume', '--license', 'tests only'))
    assert read_bundle(work_dir / 'bundle').weights_sha256 == read_bundle(finished / 'bundle').weights_sha256
    assert (work_dir / 'adaptation.json').read_text() == (finished / 'adaptation.json').read_text()


def test_pretrained_weights_are_not_needed(adapt, arguments, anonymous, tmp_path, capsys):
    gone = f'model.backbone.tower.pretrained={tmp_path / "gone.pt"}'
    adapt.main(arguments(anonymous, tmp_path / 'run', '--dry-run', options=[gone]))
    assert 'broken' not in capsys.readouterr().out
