"""tools/demo.py: which demo runs where, and its exit code."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dscreid.lab import demo
from dscreid.lab.demo import FULL, SHORT


@pytest.fixture
def run(load_tool, monkeypatch):
    """Function that runs the tool on a demo that only notes its options; returns them and the exit code."""
    tool = load_tool('demo.py')

    def call(*arguments, problems=()):
        seen = []

        class NotedDemo:
            def __init__(self, **options):
                seen.append(SimpleNamespace(**options))

            def run(self):
                return []

            def problems(self, runs):
                return list(problems)

        monkeypatch.setattr(demo, 'Demo', NotedDemo)
        monkeypatch.setattr('sys.argv', ['demo.py', *arguments])
        try:
            tool.main()
        except SystemExit as stop:
            return seen[0], stop.code
        return seen[0], 0

    return call


@pytest.mark.parametrize(
    ('arguments', 'size', 'out'),
    [
        ([], SHORT, 'work_dirs/demo'),
        (['--full'], FULL, 'work_dirs/demo_full'),
        (['--full', '--out', 'elsewhere'], FULL, 'elsewhere'),
    ],
)
def test_which_demo_runs_where(run, arguments, size, out):
    options, code = run(*arguments, '--seed', '3')
    assert (options.size, options.out, options.seed, code) == (size, Path(out), 3, 0)


def test_the_exit_code_tells_that_something_is_broken(run, capsys):
    assert run(problems=['ir: 3 clusters'])[1] == 1
    assert 'ir: 3 clusters' in capsys.readouterr().err
