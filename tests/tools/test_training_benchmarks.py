"""The benchmarks of training on a model of two blocks."""

import contextlib
import os
import warnings

import pytest

from dscreid.lab.acceptance.timing import waits_of


@pytest.mark.slow
def test_end_to_end_times_every_part(run_benchmark, tiny_experiment, tiny_runs):
    arguments = (tiny_runs.adapt, '--source-checkpoint', tiny_experiment.source_checkpoint, '--iterations', 2)
    for _ in range(2):  # the second run's epochs are its own
        values, text = run_benchmark('end_to_end', *arguments)
    assert (values['epochs'], values['iterations'], values['measured']) == (2, 3, 1)
    assert all(seconds > 0 for seconds in values['seconds'].values())
    assert values['whole_seconds']['training'] == pytest.approx(2 * 3 * values['seconds']['iteration'])
    assert '| whole |' in text


def test_places_where_a_step_waits_need_a_gpu(run_benchmark, tiny_runs, monkeypatch, capsys):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(SystemExit) as end:
        run_benchmark('train_step', tiny_runs.adapt, '--sync-debug')
    assert end.value.code == 2
    assert '--sync-debug needs a GPU, and PyTorch finds none' in capsys.readouterr().err


@pytest.mark.parametrize('fails', [False, True])
def test_places_where_a_step_waits(load_tool, run_benchmark, monkeypatch, fails):
    """A GPU is played: its warnings, and the mode that must be left again."""
    modes = []
    monkeypatch.setattr('torch.cuda.synchronize', lambda: None)
    monkeypatch.setattr('torch.cuda.set_sync_debug_mode', modes.append)

    def step():
        for line in (7, 9, 7):
            warnings.warn_explicit('called a synchronizing CUDA operation', UserWarning, 'memory.py', line)
        warnings.warn_explicit('another', UserWarning, 'other.py', 1)
        if fails:
            raise RuntimeError

    tool = load_tool('benchmarks/train_step.py')
    with pytest.raises(RuntimeError) if fails else contextlib.nullcontext():
        places = waits_of(step, 'cuda')
        assert places == ['memory.py:7', 'memory.py:9', 'memory.py:7']
        assert tool._waits_in_words(places) == ['A training step waits for the GPU 3 times: memory.py:7, memory.py:9.']
    assert modes == ['warn', 'default']
    assert tool._waits_in_words(None) == []


@pytest.mark.slow
def test_train_step_compares_both_steps(run_benchmark, tiny_runs):
    values, text = run_benchmark('train_step', tiny_runs.adapt, '--batches', 1)
    assert values['batch'] == 8
    for step in ('training', 'extraction'):
        assert values[step]['reference']['speedup'] == pytest.approx(1)
        for way in ('reference', 'this code'):
            assert values[step][way]['rate'] > 0
            assert values[step][way]['tflops'] > 0
    assert text.count('| training, ') == text.count('| extraction, ') == 2


def test_threads_are_measured_in_every_setting(run_benchmark, tiny_runs, monkeypatch):
    monkeypatch.setenv('OMP_WAIT_POLICY', 'ACTIVE')
    values, text = run_benchmark('threads', tiny_runs.adapt, '--seconds', 0)
    assert len(values) == 10
    assert all(result['wall'] > 0 and result['cpu'] > 0 and result['steps'] == 1 for result in values.values())
    assert '| OMP_WAIT_POLICY=PASSIVE |' in text
    assert os.environ['OMP_WAIT_POLICY'] == 'ACTIVE'


def test_denormals_are_measured_for_every_spread(run_benchmark):
    values, text = run_benchmark('denormals', '--repeats', 1)
    shares = {name: row['denormal'] for name, row in values.items() if name != 'machine'}
    assert list(shares) == ['1', '10', '30', '100', '300']
    assert shares['1'] == 0 < shares['100']
    assert text.count('| 300 |') == 1
