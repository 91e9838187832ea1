import io

import pytest
from rich.console import Console

from dscreid.utils import progress


def test_track_yields_the_items(capsys):
    assert list(progress.track(iter([3, 1, 2]), 'count', total=3)) == [3, 1, 2]
    assert list(progress.track([3, 1], 'count')) == [3, 1]
    # standard error is no terminal here: a log file must not fill with bars
    assert capsys.readouterr() == ('', '')


@pytest.fixture
def terminal(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, 'Console', lambda stderr: Console(file=screen, force_terminal=True, width=100))
    return screen


def test_a_terminal_sees_the_bar(terminal):
    list(progress.track([1, 2], 'extract'))
    assert 'extract' in terminal.getvalue()
    assert '2/2' in terminal.getvalue()


def test_only_the_first_rank_draws(terminal, monkeypatch):
    monkeypatch.setattr('mmengine.dist.is_main_process', lambda: False)
    assert list(progress.track([1, 2], 'extract')) == [1, 2]
    assert terminal.getvalue() == ''


def test_a_bar_can_be_switched_off(terminal):
    with progress.progress_bar(enabled=False) as bar:
        bar.add_task('x', total=1)
    assert terminal.getvalue() == ''


def test_the_cursor_comes_back(terminal):
    progress.show_cursor()
    assert terminal.getvalue() == '\x1b[?25h'
