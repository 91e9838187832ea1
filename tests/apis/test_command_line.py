import argparse
import errno
import logging
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from dscreid.apis.command_line import ConfigOptions, format_metrics, run_command, sentence
from dscreid.errors import DatasetError, DscreidError


def exit_code(command, **options):
    with pytest.raises(SystemExit) as stop:
        run_command(command, **options)
    return stop.value.code


def fail_with(error):
    def command():
        raise error

    return command


def test_success_returns():
    seen = []
    assert run_command(lambda: seen.append(1)) is None
    assert seen == [1]


def test_mendable_errors_are_one_sentence_and_code_2(capsys):
    assert exit_code(fail_with(DatasetError('a.txt:3: odd line;\n  mend it'))) == 2
    assert capsys.readouterr().err == 'error: a.txt:3: odd line; mend it\n'


def test_unusable_paths_are_one_sentence_and_code_2(tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert exit_code(lambda: (tmp_path / 'file').mkdir()) == 2
    assert capsys.readouterr().err == f'error: {tmp_path}/file: File exists; choose another path\n'


@pytest.mark.parametrize('number', [errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES])
def test_paths_of_all_kinds_that_cannot_be_used(capsys, number):
    assert exit_code(fail_with(OSError(number, 'bad', 'x'))) == 2
    assert capsys.readouterr().err == 'error: x: bad; choose another path\n'


@pytest.mark.parametrize('text', ['/data/caf\udce9/x', "folder IN ('/data/caf\udce9/x')", 'a\n/data/caf\udce9/x,rgb\n'])
def test_names_that_are_not_utf8_are_one_sentence_and_code_2(capsys, text):
    assert exit_code(lambda: text.encode()) == 2
    assert capsys.readouterr().err == 'error: /data/caf\\udce9/x: the name is not UTF-8; rename it\n'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize(('name', 'what'), [('x', 'x: cannot'), (None, 'a file cannot')])
def test_a_full_disk_is_one_sentence_and_code_2(capsys, number, name, what):
    assert exit_code(fail_with(OSError(number, 'full', name)), on_interrupt='use --resume') == 2
    assert capsys.readouterr().err == f'error: {what} be written (full); free some space: use --resume\n'


def test_a_log_on_a_full_disk_ends_the_work(capsys, tmp_path):
    handler = logging.FileHandler(tmp_path / 'log')
    logger = logging.getLogger('full')
    logger.addHandler(handler)
    handle_error = logging.Handler.handleError

    def work():
        handler.setStream(open('/dev/full', 'w'))  # noqa: SIM115 the handler closes it
        logger.warning('a line')
        pytest.fail('it went on')

    assert exit_code(work) == 2
    assert capsys.readouterr().err == (
        f'error: {tmp_path}/log: cannot be written (No space left on device); free some space: '
        'the same command can be run again\n'
    )
    assert logging.Handler.handleError is handle_error
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    'error',
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE), 'x'),
        OSError(errno.ENFILE, os.strerror(errno.ENFILE)),
        RuntimeError('Too many open files. Communication with the workers is no longer possible.'),  # torch's
    ],
)
def test_too_many_open_files_are_one_sentence_and_code_2(capsys, error):
    assert exit_code(fail_with(error)) == 2
    assert re.fullmatch(
        r'error: too many open files \(limit: \d+\); raise it with "ulimit -n 4096", or lower '
        r'num_workers or --jobs\n',
        capsys.readouterr().err,
    )


PRELUDE = 'import logging, os, sys\nfrom dscreid.apis.command_line import run_command\n'


def run_script(script, shell='{}', **environment):
    """Exit code, output and errors of a script in a process of its own, within a line of bash."""
    words = shell.format(f'{shlex.quote(sys.executable)} -c {shlex.quote(PRELUDE + script)}')
    result = subprocess.run(
        ['bash', '-c', words],
        capture_output=True,
        timeout=120,
        env=os.environ | {'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'} | environment,
    )
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.parametrize('environment', [{'PYTHONIOENCODING': 'ascii'}, {'LC_ALL': 'C'}], ids=str)
@pytest.mark.parametrize('text', ['a \u2192 b', 'caf\u00e9.jpg', 'broken \udcff name'], ids=ascii)
def test_any_text_can_be_printed_anywhere(text, environment):
    code, out, err = run_script(f'run_command(lambda: print({text!a}))', **environment)
    assert (code, out, err) == (0, text.encode('ascii', 'backslashreplace').decode() + '\n', '')


@pytest.mark.parametrize('end', ['pass', 'sys.exit(0)'])
def test_a_reader_that_leaves_ends_the_command_in_silence(end):
    script = f'def work():\n  for n in range(100000): print("line", n)\n  {end}\nrun_command(work)'
    code, out, err = run_script(script, 'set -o pipefail; {} | head -n 1')
    assert (code, out, err) == (141, 'line 0\n', '')


def test_a_training_goes_on_when_nobody_reads_its_log(tmp_path):
    script = f"""
def work():
    logger = logging.getLogger('run')
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.addHandler(logging.FileHandler({str(tmp_path / 'log')!r}))
    for number in range(20000):
        logger.warning('line %d', number)
    print('metrics')
run_command(work)
"""
    assert run_script(script, 'set -o pipefail; {} | head -n 1') == (0, 'line 0\n', '')
    assert (tmp_path / 'log').read_text().splitlines()[-1] == 'line 19999'


def test_a_broken_pipe_of_another_kind_is_a_bug():
    code, _, err = run_script('def work(): raise BrokenPipeError(32, "a worker died")\nrun_command(work)')
    assert code == 1
    assert 'Traceback' in err


@pytest.mark.parametrize('end', ['pass', 'sys.exit(0)'])
def test_output_to_a_full_disk_is_one_sentence(end):
    code, _, err = run_script(f'def work():\n  print("x")\n  {end}\nrun_command(work)', '{} > /dev/full')
    assert (code, err) == (
        2,
        'error: a file cannot be written (No space left on device); free some space: '
        'the same command can be run again\n',
    )


def test_a_closed_output_is_no_obstacle():
    assert run_script('run_command(lambda: print("x"))', '{} >&-') == (0, '', '')


@pytest.mark.parametrize('error', [ValueError('bug'), FileNotFoundError(2, 'no such file', 'x'), PermissionError()])
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error)):
        run_command(fail_with(error))


def test_interrupt_is_code_130(capsys):
    assert exit_code(fail_with(KeyboardInterrupt()), on_interrupt='try --resume') == 130
    assert capsys.readouterr().err == 'interrupted: try --resume\n'


@pytest.mark.parametrize(
    ('number', 'code', 'word'),
    [
        (signal.SIGINT, 130, 'interrupted'),
        (signal.SIGTERM, 143, 'terminated'),
        (signal.SIGHUP, 129, 'terminal closed'),
    ],
)
def test_a_signal_that_surfaces_as_another_error_gives_its_code(capsys, number, code, word):
    def command():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as interrupt:
            raise RuntimeError('a library was interrupted') from interrupt

    handler = signal.getsignal(number)
    assert exit_code(command, on_interrupt='x') == code
    assert capsys.readouterr().err == f'{word}: x\n'
    assert signal.getsignal(number) is handler


def test_a_run_under_nohup_outlives_its_terminal():
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run_command(lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, handler)


def test_an_impatient_second_interrupt_changes_nothing(monkeypatch, capsys):
    def again():
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr('dscreid.apis.command_line.show_cursor', again)
    handler = signal.getsignal(signal.SIGINT)
    assert exit_code(again, on_interrupt='x') == 130
    assert capsys.readouterr().err == 'interrupted: x\n'
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_forked_worker_dies_of_sigterm_in_silence(capfd):
    statuses = []

    def command():
        if (child := os.fork()) == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        statuses.append(os.waitpid(child, 0)[1])

    run_command(command)
    assert os.waitstatus_to_exitcode(statuses[0]) == -signal.SIGTERM
    assert capfd.readouterr().err == ''


class BrokenDataset(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise DatasetError('x/1.jpg: the frame is missing; unpack: again')


def test_errors_of_loader_workers_lose_their_traceback(capsys):
    def command():
        next(iter(DataLoader(BrokenDataset(), num_workers=1)))

    assert exit_code(command) == 2
    assert capsys.readouterr().err == 'error: x/1.jpg: the frame is missing; unpack: again\n'


def test_a_message_that_merely_begins_alike_is_kept():
    assert sentence(DscreidError('Caught: in the act')) == 'Caught: in the act'


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, default={})
    return parser


def test_config_options_are_pairs(parser):
    given = parser.parse_args(['--cfg-options', 'a.b=1e-3', 'c=[1,2]', '--cfg-options', 'd=x=y', 'e=/a b, c'])
    assert given.cfg_options == {'a.b': 1e-3, 'c': [1, 2], 'd': 'x=y', 'e': '/a b, c'}


@pytest.mark.slow
@pytest.mark.parametrize('words', [['a'], ['a=1', '=2'], ['a=[1,(2]'], ['a b=1']])
def test_other_words_are_refused(parser, words):
    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(['--cfg-options', *words])


def test_metrics_table():
    metrics = {
        'rgb2ir/mAP': 0.5,
        'rgb2ir/Rank-1': 0.25,
        'mean/mAP': 1.0,
        'mean/Rank-1': 0.0,
    }
    lines = format_metrics(metrics).splitlines()
    assert [line.split() for line in lines] == [
        ['Rank-1', 'mAP'],
        ['rgb2ir', '25.0', '50.0'],
        ['mean', '0.0', '100.0'],
    ]
    assert len({len(line) for line in lines}) == 1


def test_metrics_table_with_intervals():
    metrics = {'rgb2ir/mAP': 0.5, 'mean/mAP': 1.0, 'rgb2ir/mAP_low': 0.4, 'rgb2ir/mAP_high': 0.625}
    lines = format_metrics(metrics).splitlines()
    assert [line.split() for line in lines] == [
        ['mAP'],
        ['rgb2ir', '50.0'],
        ['mean', '100.0'],
        ['confidence', 'intervals,', 'identities', 'resampled'],
        ['mAP'],
        ['rgb2ir', '40.0-62.5'],
    ]
