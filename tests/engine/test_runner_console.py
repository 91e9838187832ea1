"""The console shows what a person reads; the log file has everything."""

import logging

import pytest
from mmengine.logging import MMLogger

from dscreid.engine.runner import ConsoleFilter, quiet_console


def record(message, level=logging.INFO):
    return logging.LogRecord('mmengine', level, 'file.py', 1, message, (), None)


@pytest.mark.parametrize(
    'message',
    [
        f'\n{"-" * 60}\nSystem environment:\n    sys.platform: linux',
        'Config:\na = 1',
        'Hooks will be executed in the following order:\nbefore_run:',
        'Exp name: run_20261128',
        'Saving checkpoint at 1 epochs',
    ],
)
def test_what_belongs_in_the_file(message):
    shown = ConsoleFilter()
    assert not shown.filter(record(message))
    assert shown.filter(record(message, logging.ERROR))


def test_what_a_person_reads():
    shown = ConsoleFilter()
    lines = ['Epoch(train) [1][20/100] loss: 1.0', 'epoch 1 pseudo labels: 5 clusters', 'source weights: a.pth']
    for line in lines * 2:
        assert shown.filter(record(line))
    assert shown.filter(record('3 identities have one camera', logging.WARNING))


def test_a_table_is_shown_once():
    shown = ConsoleFilter()
    table = 'HITSZVCM train in data\n     identities  tracklets\nrgb           6         24'
    assert shown.filter(record(table))
    assert not shown.filter(record(table))
    assert shown.filter(record(table.replace('24', '25')))


@pytest.mark.parametrize(('level', 'on_console'), [('INFO', False), ('DEBUG', True)])
def test_the_file_is_complete(tmp_path, capsys, level, on_console):
    file = tmp_path / 'run.log'
    logger = MMLogger(f'test_console_{level}', log_file=str(file), log_level=level)
    quiet_console(logger, ConsoleFilter())
    for _ in range(2):
        logger.info('Config:\na = 1')
        logger.info('a table\nof two lines')
        logger.info('loss: 1.0')
    for handler in logger.handlers:
        handler.close()
    console, text = capsys.readouterr().out, file.read_text()
    assert text.count('Config:') == text.count('a table') == text.count('loss: 1.0') == 2
    assert ('Config:' in console) == on_console
    assert console.count('loss: 1.0') == 2
