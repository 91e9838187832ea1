import runpy
from pathlib import Path

import cv2
import pytest

from dscreid.apis.command_line import run_command
from dscreid.registry import WORLDS

TOOL = Path(__file__).parents[3] / 'tools' / 'synthesize.py'


@pytest.fixture(scope='module')
def main():
    tool = runpy.run_path(str(TOOL))['main']

    def exit_code(arguments):
        try:
            run_command(lambda: tool(arguments))
        except SystemExit as end:
            return end.code
        return 0

    return exit_code


SMALL = [
    '--preset',
    'tiny',
    '--identities',
    '1',
    '--test-identities',
    '1',
    '--tracklets',
    '2',
    '--processes',
    '1',
]


def test_renders_and_refuses_a_second_time(main, tmp_path, capsys):
    command = ['--layout', 'hitsz', *SMALL, '--out', str(tmp_path / 'w'), '--modality-gap', '1', '--quiet']
    assert main(command) == 0
    assert (tmp_path / 'w' / 'info' / 'query_IDX.txt').is_file()
    assert 'train: 1 identities, 4 tracklets' in capsys.readouterr().out
    assert main(command) == 2
    error = capsys.readouterr().err
    assert '--overwrite' in error
    assert error.count('\n') == 1
    assert main([*command, '--overwrite']) == 0


def test_bad_value_is_one_sentence(main, tmp_path, capsys):
    out = tmp_path / 'w'
    assert main(['--layout', 'bupt', *SMALL, '--out', str(out), '--modality-gap', '7']) == 2
    assert 'modality_gap must lie between' in capsys.readouterr().err
    assert not out.exists()


def test_nothing_to_do_is_a_usage_error(main):
    assert main(['--layout', 'bupt']) == 2


def test_preview_alone(main, tmp_path):
    sheet = tmp_path / 'sheet.png'
    assert main(['--layout', 'bupt', '--preset', 'tiny', '--preview', str(sheet)]) == 0
    height, width, _ = cv2.imread(str(sheet)).shape
    assert height == 8 * (2 * 64 + 4)
    assert width == 4 * (3 * 32 + 4)
    assert main(['--layout', 'bupt', '--preview', str(sheet / 'below_a_file.png')]) == 2


def test_help_lists_the_worlds_and_those_of_imported_modules(main, tmp_path, monkeypatch, capsys):
    (tmp_path / 'own_worlds.py').write_text(
        'from dscreid.lab.synthetic import World\nfrom dscreid.registry import WORLDS\n\n\n'
        "@WORLDS.register_module(name='duo')\nclass Duo(World):\n    'Two people.'\n\n"
        '    common = dict(train_ids=1, test_ids=1, tracklets=2, height=32, width=16)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(['--import', 'own_worlds', '--help']) == 0
    shown = capsys.readouterr().out
    assert '  demo-short  For the short demo' in shown
    assert '  duo         Two people.' in shown
    assert 'domains (--domain): bupt, hitsz, varied, everyday' in shown
    out = tmp_path / 'w'
    command = ['--import', 'own_worlds', '--preset', 'duo', '--layout', 'bupt', '--out', str(out), '--quiet']
    assert main([*command, '--processes', '1']) == 0
    assert 'train: 1 identities, 4 tracklets' in capsys.readouterr().out
    WORLDS.module_dict.pop('duo')
