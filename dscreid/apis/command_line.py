"""Shared command-line code of the tools: one-sentence errors and exit codes instead of tracebacks."""

import argparse
import contextlib
import errno
import io
import logging
import os
import re
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from dscreid import evaluation
from dscreid.apis.option_values import parse_value
from dscreid.errors import LOST_PROCESS, DscreidError, ProcessLostError
from dscreid.utils.files import replacing
from dscreid.utils.progress import show_cursor

UNUSABLE_INPUT = 2
#: Signals that end a run, and the first words of the last line; the exit code is 128 + the signal's number.
_SIGNALS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated', signal.SIGHUP: 'terminal closed'}
#: Exit code of a program whose output is no longer read, for example after ``| head``.
_UNREAD_OUTPUT = 128 + signal.SIGPIPE

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Messages of the operating system, which torch repeats in its own errors.
_TOO_MANY_FILES = {os.strerror(errno.EMFILE), os.strerror(errno.ENFILE)}
#: A path with bytes that are not UTF-8, which Python reads as surrogates.
_UNDECODED = re.compile(r'[^\s\'",;]*[\udc80-\udcff][^\s\'",;]*')
#: First line of an error that torch forwards from a data loader worker; the worker's traceback follows.
_WORKER_ERROR = re.compile(r'Caught \w+ in DataLoader worker process')


def run_command(command: Callable[[], object], on_interrupt: str = 'the same command can be run again') -> None:
    """Run a tool and exit with code 0, 2 for input that the user can fix, or 128 + N after signal N.

    The signals are SIGINT, SIGTERM and SIGHUP. The exit code is 1 if another process of the run was lost, and 141 if
    the program that reads the output has ended. Characters that the output's encoding lacks are printed as escapes.

    Args:
        command: The work to do. Errors that the user cannot fix are bugs and keep their traceback.
        on_interrupt: What to print after a signal or if the disk is full.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    with _signals_noted() as received, _output_errors_in_logging():
        try:
            try:
                command()
            except SystemExit:
                print(end='', flush=True)
                raise
            print(end='', flush=True)  # otherwise the interpreter would report a failed flush on exit
        except BaseException as error:
            if isinstance(error, ProcessLostError):
                _fail(f'error: {sentence(error)}', LOST_PROCESS)
            if received or isinstance(error, KeyboardInterrupt):
                number = received[0] if received else signal.SIGINT
                if threading.current_thread() is threading.main_thread():
                    for other in _SIGNALS:  # a second Ctrl-C must not cut off the last line
                        signal.signal(other, signal.SIG_IGN)
                _fail(f'{_SIGNALS[signal.Signals(number)]}: {on_interrupt}', 128 + number)
            if isinstance(error, BrokenPipeError) and _discard_unread():
                sys.exit(_UNREAD_OUTPUT)
            message = sentence(error) if isinstance(error, DscreidError) else _system_message(error, on_interrupt)
            if message is None:
                raise
            _fail(f'error: {message}', UNUSABLE_INPUT)


def _system_message(error: BaseException, on_interrupt: str) -> str | None:
    """Return the message for an operating system error that the user can fix, or None for other errors."""
    if isinstance(error, OSError | RuntimeError) and any(words in str(error) for words in _TOO_MANY_FILES):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f'too many open files (limit: {limit}); raise it with "ulimit -n 4096", or lower num_workers or --jobs'
    if isinstance(error, UnicodeEncodeError) and (name := _UNDECODED.search(error.object)):
        return f'{name[0]}: the name is not UTF-8; rename it'
    if isinstance(error, OSError) and error.errno in _FULL_DISK:
        _discard_unread()
        what = f'{error.filename}: ' if error.filename else 'a file '
        return f'{what}cannot be written ({error.strerror}); free some space: {on_interrupt}'
    if isinstance(error, OSError) and error.filename and not isinstance(error, FileNotFoundError):
        return f'{error.filename}: {error.strerror}; choose another path'
    return None


def _discard_unread() -> bool:
    """Send outputs that can no longer be written to the null device; return whether there are any."""
    found = False
    for stream in filter(None, (sys.stdout, sys.stderr)):
        lost, watch = False, select.poll()
        try:
            stream.flush()
        except OSError:
            lost = True
        with contextlib.suppress(ValueError, OSError):  # not a real file
            watch.register(stream.fileno(), 0)
            if lost or any(event & select.POLLERR for _, event in watch.poll(0)):
                found = True
                with open(os.devnull, 'wb') as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
    return found


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt, which libraries may replace, on signals that end a run; yield the signals received."""
    received: list[int] = []
    process = os.getpid()

    def interrupt(number: int, frame: object) -> None:
        if os.getpid() != process and number != signal.SIGINT:
            # a forked worker has nothing to save or print
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        raise KeyboardInterrupt

    handled = []
    if threading.current_thread() is threading.main_thread():  # only it can set handlers and be interrupted
        # nohup makes a process ignore SIGHUP
        ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        handled = [number for number in _SIGNALS if not (number == signal.SIGHUP and ignores_hangup)]
    previous = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _output_errors_in_logging() -> Iterator[None]:
    """Stop if a log file cannot be written, but continue if only the terminal is gone."""
    handle_error = logging.Handler.handleError

    def handle(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            raise OSError(error.errno, error.strerror, getattr(handler, 'baseFilename', None)) from error
        if not (isinstance(error, BrokenPipeError) and _discard_unread()):  # the log file is still written
            handle_error(handler, record)

    logging.Handler.handleError = handle  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        logging.Handler.handleError = handle_error  # type: ignore[method-assign]


def _fail(line: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # the terminal may be gone
        show_cursor()
        print(line, file=sys.stderr)
    _discard_unread()
    sys.exit(code)


def sentence(error: Exception) -> str:
    """Return an error's message on one line, without the traceback that torch adds in a worker."""
    text = str(error).strip()
    if _WORKER_ERROR.match(text):
        # the last line of a traceback: "package.module.DatasetError: the message"
        text = re.sub(r'^[\w.]+: ', '', text.splitlines()[-1])
    return ' '.join(text.split())


class ConfigOptions(argparse.Action):
    """Parse ``--cfg-options KEY=VALUE …``; see ``option_values`` for the values. Malformed pairs exit with code 2."""

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Add the pairs to the options given so far."""
        options = dict(getattr(namespace, self.dest) or {})
        for pair in values or ():
            if not re.match(r'[\w.]+=', pair):
                raise argparse.ArgumentError(self, f'{pair!r} is not KEY=VALUE')
            key, _, text = pair.partition('=')
            try:
                options[key] = parse_value(text)
            except ValueError as error:
                raise argparse.ArgumentError(self, f'{key}: {error}') from error
        setattr(namespace, self.dest, options)


def make_parser(description: str | None, example: str = '') -> argparse.ArgumentParser:
    """Make the parser of a tool that keeps the line breaks of its docstring and its example commands."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, epilog=example, formatter_class=formatter)


def at_least(minimum: int) -> Callable[[str], int]:
    """Make the ``type`` of an option that takes a whole number of at least ``minimum``."""

    def number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f'must be at least {minimum}, got {value}')
        return value

    number.__name__ = 'whole number'  # argparse shows it for other text
    return number


def add_work_dir(parser: argparse.ArgumentParser, name: str, purpose: str = 'a run', nargs: str | None = None) -> None:
    """Add a positional argument for work directories of ``purpose``, which can be given names."""
    parser.add_argument(
        name,
        nargs=nargs,
        metavar='[NAME=]WORK_DIR',
        help=f'work directory of {purpose}; NAME is its name in the output (default: the name of the folder)',
    )


def add_config_options(parser: argparse.ArgumentParser, dest: str = 'cfg_options', of: str = 'the config') -> None:
    """Add the option ``--cfg-options``, which overrides values of ``of`` and is parsed as ``dest``."""
    parser.add_argument(
        '--cfg-options',
        dest=dest,
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help=f'override values of {of}, for example "data_root=/data/hitsz vcm" optim_wrapper.optimizer.lr=2.5e-5 '
        '"vis_backends=[dict(type=\'WandbVisBackend\')]"',
    )


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a tool that computes the features of tracklets."""
    parser.add_argument('--device', default='cpu', help='device of the model, for example cuda (default: cpu)')
    parser.add_argument(
        '--batch-size', type=at_least(1), default=32, metavar='N', help='tracklets per batch (default: 32)'
    )
    parser.add_argument(
        '--workers', type=at_least(0), default=0, metavar='N', help='processes that load pictures (default: 0)'
    )


def add_out_picture(parser: argparse.ArgumentParser) -> None:
    """Add the options of a tool that draws one picture."""
    parser.add_argument('-o', '--out', type=Path, required=True, metavar='FILE', help='.svg or .png file to write')
    parser.add_argument('--note', default='', help='a line below the picture, for example the data it shows')


def add_pictured_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a picture that shows a model and its test set: config, checkpoint, output and device."""
    parser.add_argument('config', metavar='CONFIG', help='config of the model and its test set, or its short name')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of the model (.pth)')
    add_out_picture(parser)
    add_config_options(parser)
    parser.add_argument('--device', default='cpu', help='device of the model (default: cpu)')


def write_and_print(text: str, out: Path | None) -> None:
    """Print a text, and write it to a file if one is named."""
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(text, encoding='utf-8')
    print(text, end='')


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that takes a config: overrides and the launcher."""
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how the processes of this run were started: pytorch for torchrun, slurm for srun, mpi for mpirun '
        '(default: none, a single process)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def print_result(text: str, launcher: str) -> None:
    """Print the result of a command, from the first process only."""
    if launcher == 'none' or os.environ.get('RANK') == '0':  # set by process_group for every launcher
        print(text)


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Format the metrics of ``ReIDMetric`` as a table in percent, with any deviations over trials and intervals."""
    figures, intervals = evaluation.split_intervals(metrics)
    percent = {name: f'{100 * value:.1f}' for name, value in figures.items()}
    spread = {name.removesuffix('_std'): value for name, value in percent.items() if name.endswith('_std')}
    lines = _table({name: value for name, value in percent.items() if not name.endswith('_std')}, width=9)
    if spread:
        lines += ['standard deviation over the trials', *_table(spread, width=9)]
    if intervals:
        bounds = {name: f'{100 * low:.1f}-{100 * high:.1f}' for name, (low, high) in intervals.items()}
        lines += ['confidence intervals, identities resampled', *_table(bounds, width=12)]
    return '\n'.join(lines)


def _table(cells: Mapping[str, str], width: int) -> list[str]:
    directions = dict.fromkeys(name.split('/')[0] for name in cells)
    measures = dict.fromkeys(name.split('/')[1] for name in cells)
    columns = sorted(measures, key=('mAP', 'mINP').__contains__)  # ranks first, as in papers
    rows = [['', *columns], *([row, *(cells.get(f'{row}/{name}', 'nan') for name in columns)] for row in directions)]
    return [f'{first:8}' + ''.join(f'{cell:>{width}}' for cell in others) for first, *others in rows]
