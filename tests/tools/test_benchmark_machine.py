"""What the benchmark tools share."""

import json
import time

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
