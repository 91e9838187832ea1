"""The acceptance on a GPU: processes, limits and records, and all of its steps rehearsed on the processor."""

import json
import math
import os
from pathlib import Path

import pytest
import torch

from dscreid.lab.acceptance import STEPS, Settings, Step, acceptance_html, run_steps, status_line
from dscreid.lab.acceptance import iteration as iteration_step
from dscreid.lab.acceptance.forecast import forecast
from dscreid.lab.acceptance.labels import clustered_features
from dscreid.lab.acceptance.numerics import Gradients, distance
from dscreid.lab.acceptance.plan import method_names
from dscreid.lab.acceptance.runs import tensor_differences
from dscreid.lab.acceptance.ways import RESNET_WAYS, WAYS, fastest_lines, fastest_ways


def test_the_limits_fit_into_eight_minutes():
    assert len(STEPS) == 10
    assert sum(step.seconds for step in STEPS) <= 8 * 60


def test_every_method_is_there():
    names = method_names()
    assert len(names) == len(set(names)) >= 15
    assert {'baselines/gur_cameras_demo', 'dsc/dsc_demo', 'dsc/agreement_demo', 'source/stp_demo'} <= set(names)
    assert not {'baselines/cd_demo', 'baselines/adabn_demo'} & set(names)


def is_running(pid):
    """Whether a process exists and has not ended; one whose parent has not noticed its end counts as ended."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='looks for processes in /proc')
@pytest.mark.slow
def test_a_step_that_fails_crashes_or_hangs_does_not_stop_the_next(tmp_path):
    names, lines = ('failing', 'crashing', 'hanging', 'leaving', 'wrong', 'fine'), []
    # a processor has twenty times as long; also a busy one starts a process within that
    steps = [Step(name, f'The {name} step', 0.75 if name == 'hanging' else 9, 'acceptance_steps') for name in names]
    written = []

    def report(outcome):
        lines.append(status_line(outcome))
        written.append(len(json.loads((tmp_path / 'gpu_acceptance.json').read_text())['steps']))

    record = run_steps(Settings(tmp_path, pretend=True), report=report, steps=steps)
    assert json.loads((tmp_path / 'gpu_acceptance.json').read_text()) == record
    assert written == [1, 2, 3, 4, 5, 6]  # after each step
    found = record['steps']
    assert [found[name]['status'] for name in names] == ['failed', 'failed', 'timeout', 'skipped', 'failed', 'ok']
    assert found['wrong']['error'] == 'a figure is wrong; another one'
    assert found['failing']['error'] == 'ValueError: the <second> part fails'
    assert found['failing']['traceback'].count('failing.py') == 1
    assert found['crashing']['error'] == 'the process ended with exit code -11'
    assert found['failing']['results'] == found['crashing']['results'] == {'first': 1}
    assert not is_running(found['hanging']['results']['child'])  # nor what it started
    assert found['hanging']['error'] == 'ended after 15 s; the results so far are kept'
    assert found['fine']['results'] == {'device': 'cpu', 'numbers': [1, 2.5], 'nested': {'a': 1.0}}
    assert lines[0].startswith('failed ')
    assert lines[0].endswith('The failing step: ValueError: the <second> part fails')
    page = (tmp_path / 'gpu_acceptance.html').read_text()
    for text in ('The fine step', 'nested · a', '1, 2.5', 'the &lt;second&gt; part fails', 'timeout'):
        assert text in page


def test_only_named_steps_run(tmp_path):
    steps = [Step(name, name, 60, 'acceptance_steps') for name in ('failing', 'fine')]
    record = run_steps(Settings(tmp_path, pretend=True), ['fine'], steps=steps)
    assert list(record['steps']) == ['fine']
    assert record['steps']['fine']['results']['device'] == 'cpu'
    assert 'A rehearsal on the processor' in (tmp_path / 'gpu_acceptance.html').read_text()


def test_differences_of_losses_and_gradients():
    expected = Gradients({'a': 2.0, 'b': 0.0}, torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert distance(expected, expected) == (0, 1)
    turned = Gradients({'a': 2.2, 'b': 1e-4}, torch.tensor([1.0, 1.0], dtype=torch.float64))
    largest, cosine = distance(expected, turned)
    assert largest == pytest.approx(0.1)
    assert cosine == pytest.approx(math.sqrt(0.5))
    broken = Gradients({'a': math.nan, 'b': 0.0}, torch.tensor([math.nan, 0.0], dtype=torch.float64))
    assert distance(expected, broken) == (math.inf, 0)


def test_differences_of_nested_tensors():
    left = {'a': torch.ones(2), 'b': [torch.zeros(1), 5]}
    differ = lambda one, other: not torch.equal(one, other)  # noqa: E731
    assert tensor_differences(left, {'a': torch.ones(2), 'b': [torch.zeros(1), 7]}, differ) == []
    assert tensor_differences(left, {'a': torch.zeros(2), 'b': [torch.zeros(1)]}, differ) == ['.a']
    assert tensor_differences(left, {'a': torch.ones(2), 'c': torch.ones(1)}, differ) == ['.b[0]', '.c']


def test_features_of_identities():
    features = clustered_features(60, 400)
    assert torch.equal(features, clustered_features(60, 400))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(60))
    similarity = features @ features.T
    same = (torch.arange(60) % 3)[:, None] == (torch.arange(60) % 3)
    others = similarity[same & ~torch.eye(60, dtype=torch.bool)]
    assert others.mean() == pytest.approx(1 / (1 + 1.5**2), abs=0.03)
    assert similarity[~same].mean() == pytest.approx(0, abs=0.06)


def test_the_forecast_scales_the_parts():
    iteration = {'peak_tflops': 700.0, 'eager': {'seconds': 0.2}, 'compiled': {'seconds': 0.1}}
    parts = {'nearest neighbors, seconds': 1.0, 'Jaccard distance, seconds': 0.5, 'DBSCAN, seconds': 0.1, 'clusters': 7}
    ranking = {'5,400 x 5,400': {'seconds': 2.0}}
    found = forecast(iteration, {'extraction_tracklets_per_second': 1000.0}, {'11,000': parts}, ranking)
    assert found['way'] == 'compiled'
    assert found['seconds'] == pytest.approx(
        {
            'training': 50 * 200 * 0.1,
            'extraction for labels': 50 * 22,
            'labels': 50 * (4 * 1.0 + 2 * 0.6),
            'evaluation': 5 * (10.8 + 2.0),
        }
    )
    assert found['minutes'] == pytest.approx(sum(found['seconds'].values()) / 60)


def test_the_fastest_way_that_ran_is_recommended():
    found = fastest_ways(
        {
            'peak_tflops': 700.0,
            'eager': {'error': 'out of memory'},
            'recomputed blocks': {'seconds': 0.3},
            'compiled': {'seconds': 0.25},
            'compiled, CUDA graphs': {'seconds': 0.2},
            'ResNet-50': {'seconds': 0.1},
        }
    )
    assert found['SpatioTemporalPrompting']['way'] == 'compiled, CUDA graphs'
    assert fastest_lines(found) == [
        'SpatioTemporalPrompting: --amp --cfg-options model.backbone.with_cp=False '
        'model.backbone.compile_blocks=reduce-overhead (compiled, CUDA graphs, 0.2 s an iteration)',
        'ResNet-50: --amp (ResNet-50, 0.1 s an iteration)',
    ]
    assert fastest_ways({'eager': {'error': 'out of memory'}}) == {}
    page = acceptance_html({'steps': {}, 'date': 'today', 'pretend': False, 'fastest': found})
    assert 'Settings that were fastest here' in page
    assert 'compile_blocks=reduce-overhead' in page


@pytest.mark.parametrize(('way', 'options'), [*WAYS.items(), *RESNET_WAYS.items()])
def test_each_way_is_a_setting_of_the_real_config(way, options):
    settings = Settings(Path('nowhere'))
    config = (settings.resnet_config if way in RESNET_WAYS else settings.main_config)(**options)
    assert all(config.model.backbone[key.removeprefix('model.backbone.')] == value for key, value in options.items())


def test_a_way_that_does_not_fit_is_no_problem(monkeypatch):
    def measure_way(way, *arguments):
        if way == 'eager':
            raise torch.OutOfMemoryError('CUDA out of memory')
        if way == 'recomputed blocks':
            raise RuntimeError('no such\nkernel')
        yield {way: {'seconds': 1.0}}

    monkeypatch.setattr(iteration_step, '_measure_way', measure_way)
    found = {}
    for part in iteration_step.measure(Settings(Path('nowhere'), pretend=True)):
        found |= part
    assert found['eager'] == {'error': 'CUDA out of memory'}
    assert found['problems'] == ['recomputed blocks: no such kernel']
    assert found['ResNet-50, channels last'] == {'seconds': 1.0}


@pytest.mark.slow
def test_all_steps_are_rehearsed(tmp_path):
    """With --pretend, every step runs to its end, with the results that it has on a GPU."""
    record = run_steps(Settings(tmp_path, pretend=True))
    outcomes = record['steps']
    problems = {name: one['error'] for name, one in outcomes.items() if 'error' in one}
    assert problems == {}
    assert {name for name, one in outcomes.items() if one['status'] == 'skipped'} == {'demo'}
    results = {name: one['results'] for name, one in outcomes.items()}
    assert results['numerics'].pop('problems') == []
    assert results['numerics'].keys() == {name for name in method_names() if 'resnet50' not in name}
    assert {found['float32']['loss'] for found in results['numerics'].values()} == {0}  # the same device twice
    assert all(0 < found['bfloat16']['loss'] < 0.02 for found in results['numerics'].values())
    assert results['iteration']['eager']['tracklets'] == 8
    assert len(results['iteration']['kernels']) == 10
    assert results['iteration'].keys() >= RESNET_WAYS.keys()
    assert record['fastest'].keys() == {'SpatioTemporalPrompting', 'ResNet-50'}
    assert results['labels']['500']['labels_equal']
    assert results['ranking']['200 x 200']['largest_difference'] == 0
    assert results['determinism'] == {'resumed': [], 'iterations': 2, 'repeated': [], 'problems': []}
    assert results['processes'] == {'1': 'finished', '2': 'finished', 'different': [], 'problems': []}
    assert results['forecast']['minutes'] > 0
    assert os.environ.get('CUBLAS_WORKSPACE_CONFIG') is None  # set in the processes of the steps alone
