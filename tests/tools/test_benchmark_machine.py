"""What the benchmark tools share."""

import json
import time

import numpy as np
import pytest


@pytest.fixture(scope='module')
def machine(load_tool):
    return load_tool('benchmarks/machine.py')


def test_functions_take_turns_and_waiting_is_not_counted(machine):
    calls = []

    def work():
        calls.append('work')
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    def wait():
        calls.append('wait')
        time.sleep(0.02)

    seconds = machine.interleaved_cpu_seconds({'work': work, 'wait': wait}, 3)
    assert calls == ['work', 'wait'] * 4
    assert {name: len(values) for name, values in seconds.items()} == {'work': 3, 'wait': 3}
    assert min(seconds['work']) >= 0.02
    assert min(seconds['wait']) < 0.01


def test_results_are_written(machine, tmp_path):
    table = machine.markdown_table(['what', 'n'], [['a', '1'], ['b', '2']])
    assert table == '| what | n |\n| --- | ---: |\n| a | 1 |\n| b | 2 |'
    machine.write_results(tmp_path / 'new', 'data', {'a': [1.5]}, {'A title': table})
    content = json.loads((tmp_path / 'new/data.json').read_text())
    assert content == {'machine': machine.describe_machine(), 'results': {'a': [1.5]}}
    text = (tmp_path / 'new/data.md').read_text()
    assert text.startswith(machine.describe_machine())
    assert f'**A title**\n\n{table}\n' in text


def test_limits_follow_from_the_shortest_time(load_tool, monkeypatch):
    monkeypatch.syspath_prepend(str(load_tool.__globals__['REPOSITORY'] / 'tools' / 'benchmarks'))
    limits = load_tool('benchmarks/limits.py')
    # starts and ends of a call that warms up and of two that count
    times = [0, 0.1, 1, 1.5, 2, 2.25]
    assert limits.product_rate(2, iter(times).__next__, size=8) == 2 * 8**3 / 0.25
    assert limits.copy_rate(2, iter(times).__next__, num_bytes=4000) == 2 * 4000 / 0.25
    assert limits.product_rate(1, size=64) > 0


def test_processor_time_of_several_threads_is_refused(load_tool, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(load_tool.__globals__['REPOSITORY'] / 'tools' / 'benchmarks'))
    limits = load_tool('benchmarks/limits.py')
    monkeypatch.setattr('torch.get_num_threads', lambda: 2)
    monkeypatch.setattr('sys.argv', ['limits', '--clock', 'cpu'])
    with pytest.raises(SystemExit) as end:
        limits.main()
    assert end.value.code == 2
    assert 'set OMP_NUM_THREADS=1' in capsys.readouterr().err


def test_lossy_decoding_gives_pixels_of_the_same_shape(load_tool, monkeypatch):
    simplejpeg = pytest.importorskip('simplejpeg')
    monkeypatch.syspath_prepend(str(load_tool.__globals__['REPOSITORY'] / 'tools' / 'benchmarks'))
    lossy = load_tool('benchmarks/lossy_jpeg.py')
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 3), dtype=np.uint8)
    colour = simplejpeg.encode_jpeg(pixels, 95, 'rgb')
    exact, fast = (lossy.decode_with(options, colour) for options in ({}, lossy.FAST))
    assert exact.shape == fast.shape == pixels.shape
    assert not np.array_equal(exact, fast)
    grey = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[..., :1]), 95, 'gray', 'gray')
    assert lossy.decode_with(lossy.FAST, grey).shape == (16, 8)


def test_the_memory_of_a_training_step(load_tool, monkeypatch, tiny_runs):
    monkeypatch.syspath_prepend(str(load_tool.__globals__['REPOSITORY'] / 'tools' / 'benchmarks'))
    tool = load_tool('benchmarks/saved_activations.py')
    rows = tool.memory_rows(tiny_runs.adapt, [1, 4])
    assert [row[:2] for row in rows] == [[f'with_cp={cp}', count] for cp in (False, True) for count in ('1', '4')]
    assert all(len(row) == 7 for row in rows)
