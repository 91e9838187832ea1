"""Runs that are killed, terminated or out of disk leave what is whole, and end the same when resumed, bit for bit."""

import multiprocessing
import shutil
import signal

import pytest
from kill_bench import run_differences
from killed_runs import MOMENTS, exit_code, experiment, hold, start

from dscreid.apis.train import RunOptions
from dscreid.engine.checkpoint_files import last_checkpoint, resumable_checkpoint
from dscreid.errors import BusyError
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.files import only_process_in

IN_A_FILE = 'in the middle of a file'


def partial_files(work_dir):
    return [path for path in work_dir.iterdir() if path.name.startswith('.epoch')]


@pytest.fixture(scope='module')
def reference(tiny_runs, tiny_experiment, tmp_path_factory):
    """A run that nobody disturbed, from the source checkpoint on."""
    work_dir = tmp_path_factory.mktemp('undisturbed') / 'run'
    options = RunOptions(work_dir=work_dir, source_checkpoint=tiny_experiment.source_checkpoint)
    assert exit_code(experiment, tiny_runs.adapt, options) == 0
    return work_dir


@pytest.fixture
def run(tiny_runs, tiny_experiment, tmp_path):
    """Function that runs the adaptation in a process and returns its exit code."""

    def go(*when, **options):
        options = RunOptions(work_dir=tmp_path / 'run', source_checkpoint=tiny_experiment.source_checkpoint, **options)
        return exit_code(experiment, tiny_runs.adapt, options, *when)

    return go


#: What kills one run, resumed in between, and the checkpoint that is then the last.
KILLS = [
    (IN_A_FILE, 1, None),
    ('during clustering', 1, 'epoch_0.pth'),
    ('in an epoch', 2, 'epoch_0.pth'),
    (IN_A_FILE, 1, 'epoch_0.pth'),
    ('before the pointer', 1, 'epoch_0.pth'),
    ('before old ones go', 1, 'epoch_1.pth'),
    ('while memories are built', 1, 'epoch_1.pth'),
    ('in an epoch', 2, 'epoch_1.pth'),
    ('during validation', 1, 'epoch_2.pth'),
    ('before evaluation', 1, 'epoch_2.pth'),
]


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(run, reference, tmp_path):
    for moment, count, left in KILLS:
        assert run(moment, count, resume=True) == -signal.SIGKILL
        last = last_checkpoint(tmp_path / 'run')
        assert (last and last.name) == left, moment
        for path in (tmp_path / 'run').glob('epoch_*.pth'):
            load_checkpoint(path)
    assert run(resume=True) == 0
    assert run_differences(reference, tmp_path / 'run') == []
    assert not partial_files(tmp_path / 'run')


def test_every_moment_is_used():
    assert {moment for moment, *_ in KILLS} == {*MOMENTS, IN_A_FILE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('number', 'code', 'word', 'moment', 'count'),
    [
        (signal.SIGINT, 130, 'interrupted', 'in an epoch', 5),
        (signal.SIGTERM, 143, 'terminated', IN_A_FILE, 2),
    ],
)
def test_a_signal_that_asks(run, reference, tmp_path, number, code, word, moment, count):
    log = tmp_path / 'log'
    assert run(moment, count, number, log) == code
    assert log.read_text().splitlines()[-1] == f'{word}: use --resume'
    assert resumable_checkpoint(tmp_path / 'run') is not None
    assert not partial_files(tmp_path / 'run')
    assert run(resume=True) == 0
    assert run_differences(reference, tmp_path / 'run') == []


@pytest.mark.slow
def test_a_full_disk_costs_the_unwritten_checkpoint_alone(run, reference, tmp_path):
    log = tmp_path / 'log'
    assert run(IN_A_FILE, 3, 0, log) == 2
    assert 'epoch_2.pth: cannot be written (No space left on device)' in log.read_text().splitlines()[-1]
    assert last_checkpoint(tmp_path / 'run').name == 'epoch_1.pth'
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['epoch_0.pth', 'epoch_1.pth']
    assert run(resume=True) == 0
    assert run_differences(reference, tmp_path / 'run') == []


@pytest.mark.slow
def test_two_runs_in_one_folder(run, tmp_path):
    ready = multiprocessing.get_context('forkserver').Event()
    holder = start(hold, tmp_path / 'run', ready)
    try:
        assert ready.wait(900)
        busy = pytest.raises(BusyError, match=rf'another run \(process {holder.pid} on .*--work-dir')
        with busy, only_process_in(tmp_path / 'run'):
            pass
        log = tmp_path / 'log'
        assert run(None, 1, signal.SIGKILL, log) == 2
        assert f'another run (process {holder.pid} on' in log.read_text().splitlines()[-1]
        assert [path.name for path in (tmp_path / 'run').iterdir()] == ['.dscreid.lock']
    finally:
        holder.kill()
        holder.join()
    with only_process_in(tmp_path / 'run'):  # the lock died with its process
        pass


@pytest.mark.slow
def test_a_fresh_run_never_continues_an_earlier_one(run, reference, tmp_path):
    """Killed before its first checkpoint, a run with --overwrite leaves no pointer to the run before it."""
    shutil.copytree(reference, tmp_path / 'run')
    assert run(IN_A_FILE, 1, overwrite=True) == -signal.SIGKILL
    assert last_checkpoint(tmp_path / 'run') is None
    assert not (tmp_path / 'run' / 'finished.json').exists()
