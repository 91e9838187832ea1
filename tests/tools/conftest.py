"""A benchmark in the process of a test."""

import json

import pytest


@pytest.fixture
def run_benchmark(load_tool, monkeypatch, tmp_path):
    """Function that runs a benchmark in this process; what it published, as values and as text."""
    benchmarks = str(load_tool.__globals__['REPOSITORY'] / 'tools' / 'benchmarks')
    monkeypatch.syspath_prepend(benchmarks)

    def call(name, *arguments):
        tool = load_tool(f'benchmarks/{name}.py')
        monkeypatch.setattr(tool, 'in_fresh_process', lambda f, *args: {**f(*args), 'peak_gb': 1.0}, raising=False)
        out = tmp_path / name
        monkeypatch.setattr('sys.argv', [name, *map(str, arguments), '--out', str(out)])
        tool.main()
        return json.loads(out.with_suffix('.json').read_text())['results'], out.with_suffix('.md').read_text()

    return call
