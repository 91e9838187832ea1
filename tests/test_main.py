"""The command ``dscreid``, and how little ``--help`` imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dscreid.__main__ import COMMANDS, main
from dscreid.version import __version__

TOOLS = Path(__file__).parents[1] / 'tools'
#: Libraries that take long to import. OpenCV, a tenth of a second, is imported by ``dscreid`` to check that it works.
HEAVY = ('torch', 'mmengine', 'open_clip', 'matplotlib', 'sklearn', 'scipy', 'numba', 'lancedb', 'pyarrow', 'pymilvus')
_IMPORTED = f"""
import json, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def imported_by(*arguments: str) -> list[str]:
    """Heavy libraries that a script imports."""
    done = subprocess.run([sys.executable, '-c', _IMPORTED, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_every_tool_is_a_command():
    tools = {path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob('*.py')}
    left_out = {name for name in tools if name.startswith('benchmarks/')}
    assert set(COMMANDS.values()) == tools - left_out


@pytest.mark.parametrize('name', COMMANDS.values())
def test_help_of_a_tool_imports_nothing_heavy(name):
    # registered worlds need MMEngine's registry, which does not import torch
    allowed = ['mmengine'] if name in ('reproduce.py', 'synthesize.py') else []
    assert imported_by(str(TOOLS / name), '--help') in ([], allowed)


def test_importing_packages_imports_nothing_heavy(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text('import dscreid, dscreid.apis, dscreid.datasets, dscreid.evaluation, dscreid.visualization\n')
    assert imported_by(str(script)) == []
    script.write_text('import torch\n')
    assert imported_by(str(script)) == ['torch']


def test_help_and_usage_name_the_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['train', '--help'])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith('usage: dscreid train ')
    assert 'example: dscreid train dsc/dsc_bupt2hitsz' in printed


def test_a_tool_sees_its_arguments_and_gives_its_exit_code(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = list(sys.argv)
    monkeypatch.setattr('sys.argv', arguments)
    with pytest.raises(SystemExit) as stop:
        main(['train', 'gone.py', '--seed', '3'])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith('error: gone.py: no such config file')
    assert getattr(sys.modules['__main__'], '__file__', None) != str(TOOLS / 'train.py')


def test_processes_that_a_tool_spawns_find_its_functions(tmp_path):
    tool = tmp_path / 'tool.py'
    tool.write_text(
        'import multiprocessing\n'
        'def double(number):\n'
        '    return 2 * number\n'
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        '        print(pool.map(double, [1, 2]))\n'
    )
    code = 'import sys, pathlib; from dscreid.__main__ import run_script; run_script(pathlib.Path(sys.argv[1]))'
    done = subprocess.run([sys.executable, '-c', code, str(tool)], capture_output=True, text=True, timeout=60)
    assert done.stdout == '[2, 4]\n', done.stderr


def test_help_lists_the_commands_with_the_first_line_of_each(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['--help'])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(f'  {name} ' in printed for name in COMMANDS)
    assert 'Run the whole experiment of a config' in printed


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(['--version'])
    assert capsys.readouterr().out == f'dscreid {__version__}\n'


@pytest.mark.parametrize(('words', 'message'), [(['trian'], "invalid choice: 'trian'"), ([], 'required: COMMAND')])
def test_a_wrong_command_ends_with_2(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
