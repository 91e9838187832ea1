"""A run lists the frames that it could not read, whoever loaded them."""

import json
import shutil

import pytest

from dscreid.apis.train import RunOptions, run_experiment
from dscreid.datasets import HITSZVCM
from dscreid.engine.hooks.bad_frames_hook import RECORD_FILE, read_entries
from dscreid.errors import CheckpointError

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


def damaged_world(tiny_runs, folder):
    """A copy whose every third tracklet has lost all frames but its last; returns root and lost frames by split."""
    root = folder / 'hitsz'
    shutil.copytree(tiny_runs.hitsz, root)
    lost = {}
    for split in ('train', 'test'):
        tracklets = HITSZVCM(root, split, expected_statistics=None).tracklets
        lost[split] = {frame for t in tracklets[::3] for frame in t.frames[:-1]}
    for frame in set().union(*lost.values()):
        (root / frame).unlink()
    return root, lost


def run(tiny_runs, tiny_experiment, root, folder, policy, workers=0):
    options = {'data_root': str(root), 'on_bad_frame': policy, 'train_dataloader.num_workers': workers}
    return run_experiment(
        tiny_runs.adapt,
        RunOptions(work_dir=folder, source_checkpoint=tiny_experiment.source_checkpoint, config_options=options),
    )


@pytest.mark.slow
def test_substituted_frames_are_listed_whatever_the_workers(tiny_runs, tiny_experiment, tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'cache'))
    root, lost = damaged_world(tiny_runs, tmp_path)
    results = []
    for workers in (0, 2):
        folder = tmp_path / f'run{workers}'
        metrics = run(tiny_runs, tiny_experiment, root, folder, 'substitute', workers)
        results.append((metrics, json.loads((folder / RECORD_FILE).read_text())))
    assert results[0] == results[1]
    entries = results[0][1]
    for split, frames in lost.items():
        entry = entries[f'hitsz_vcm {split}']
        assert [bad['frame'] for bad in entry['frames']] == sorted(frames)
        assert (entry['count'], entry['on_bad_frame']) == (len(frames), 'substitute')
    log = ''.join(path.read_text() for path in (tmp_path / 'run0').glob('*/*.log'))
    assert entries['hitsz_vcm train']['frames'][0]['frame'] in log


@pytest.mark.slow
def test_skipped_tracklets_are_listed_and_trained_without(tiny_runs, tiny_experiment, tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'cache'))
    root, lost = damaged_world(tiny_runs, tmp_path)
    run(tiny_runs, tiny_experiment, root, tmp_path / 'run', 'skip_tracklet')
    entries = read_entries(tmp_path / 'run')
    for split, frames in lost.items():
        whole = len(HITSZVCM(root, split, expected_statistics=None))
        assert {entry['frame'] for entry in entries[f'hitsz_vcm {split}']['frames']} == frames
        assert entries[f'hitsz_vcm {split}']['skipped_tracklets'] == -(-whole // 3)


def test_runs_that_stop_at_bad_frames_leave_no_list(tiny_experiment):
    assert not (tiny_experiment.work_dir / RECORD_FILE).exists()


@pytest.mark.parametrize('content', ['', '[]', '3'])
def test_what_is_no_record_is_refused(tmp_path, content):
    (tmp_path / RECORD_FILE).write_text(content)
    with pytest.raises(CheckpointError, match=rf'{RECORD_FILE}: is not a record of bad frames'):
        read_entries(tmp_path)
