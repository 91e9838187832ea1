"""What the tools share: one sentence and an exit code instead of a traceback."""

import argparse
import errno
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dscreid.apis.option_values import parse_value
from dscreid.distributed.watch import LOST_PROCESS
from dscreid.errors import DscreidError, ProcessLostError
from dscreid.evaluation.metric import split_intervals
from dscreid.utils.progress import show_cursor

UNUSABLE_INPUT = 2
#: The signals that end a run, and how the last line begins; the exit code is 128 more than the number.
_SIGNALS = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}

#: Paths that cannot be used as a tool was told to; other errors of the operating system keep their traceback.
_PATH_ERRORS = {
    errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: How torch repeats the error of a data loader's worker: this line, then the worker's traceback.
_WORKER_ERROR = re.compile(r'Caught \w+ in DataLoader worker process')


def run_command(
    command: Callable[[], object], on_interrupt: str = 'the command can be run again as it is'
) -> None:
    """Run a tool's work and exit: 0, 2 for input that a user can mend, 130 after Ctrl-C, 143 after SIGTERM.

    The exit code is 1 where another process of the run was lost. SIGTERM is what Slurm sends before it takes a node
    away, and what ``kill`` sends.

    Args:
        command: The work; errors that a user cannot mend are bugs and keep their traceback.
        on_interrupt: What to tell after either signal, and where a disk is full.
    """
    with _signals_noted() as received, _full_disk_ends_logging():
        try:
            command()
        except BaseException as error:
            if isinstance(error, ProcessLostError):
                _fail(sentence(error), LOST_PROCESS)
            if received or isinstance(error, KeyboardInterrupt):
                number = received[0] if received else signal.SIGINT
                _ignore_more()
                show_cursor()
                print(f'{_SIGNALS[number]}: {on_interrupt}', file=sys.stderr)
                sys.exit(128 + number)
            if isinstance(error, DscreidError):
                _fail(sentence(error))
            if isinstance(error, OSError) and error.errno in _FULL_DISK:
                what = f'{error.filename}: ' if error.filename else 'a file '
                _fail(f'{what}cannot be written ({error.strerror}); make room: {on_interrupt}')
            if isinstance(error, OSError) and error.errno in _PATH_ERRORS and error.filename:
                _fail(f'{error.filename}: {error.strerror}; choose another path')
            raise


@contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt on the signals that end a run, and list those that came.

    Raised inside a library, the KeyboardInterrupt may surface as another error.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may set handlers, and only it is interrupted
        return
    process = os.getpid()

    def interrupt(number: int, frame: object) -> None:
        if os.getpid() != process and number == signal.SIGTERM:
            # a forked worker has nothing to save or to say
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received.append(number)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _full_disk_ends_logging() -> Iterator[None]:
    """Let a log that cannot be written end the work; ``logging`` would print a traceback for each line and go on."""
    handle_error = logging.Handler.handleError

    def end(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            raise OSError(error.errno, error.strerror, getattr(handler, 'baseFilename', None)) from error
        handle_error(handler, record)

    logging.Handler.handleError = end
    try:
        yield
    finally:
        logging.Handler.handleError = handle_error


def _ignore_more() -> None:
    """Let an impatient second Ctrl-C not break off the last line."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def sentence(error: Exception) -> str:
    """An error's message in one line, without the traceback that torch adds in a worker."""
    text = str(error).strip()
    if _WORKER_ERROR.match(text):
        # the last line of a traceback: "package.module.DatasetError: the message"
        text = re.sub(r'^[\w.]+: ', '', text.splitlines()[-1])
    return ' '.join(text.split())


class ConfigOptions(argparse.Action):
    """``--cfg-options KEY=VALUE …``, values as in ``option_values``; anything else is a usage error (exit code 2)."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the pairs to the options given so far."""
        options = dict(getattr(namespace, self.dest) or {})
        for pair in values:
            if not re.match(r'[\w.]+=', pair):
                raise argparse.ArgumentError(self, f'{pair!r} is not KEY=VALUE')
            key, _, text = pair.partition('=')
            try:
                options[key] = parse_value(text)
            except ValueError as error:
                raise argparse.ArgumentError(self, f'{key}: {error}') from error
        setattr(namespace, self.dest, options)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Give a tool the overrides of its config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='overrides of the config, for example "data_root=/data/hitsz vcm" optim_wrapper.optimizer.lr=2.5e-5 '
        '"vis_backends=[dict(type=\'WandbVisBackend\')]"',
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a tool the arguments that every one with a config has: overrides and how its ranks are started."""
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='how the processes of this run were started: pytorch for torchrun, slurm for srun, mpi for mpirun '
        '(default: there is one)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def print_result(text: str, launcher: str) -> None:
    """Print what a command found; of several processes the first does."""
    if launcher == 'none' or os.environ.get('RANK') == '0':  # set by process_group, whatever the launcher
        print(text)


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Metrics as a table in percent, one line per direction, and confidence intervals below where there are any.

    Args:
        metrics: Values in [0, 1] under names such as ``rgb2ir/mAP``, as ``ReIDMetric`` gives them.
    """
    figures, intervals = split_intervals(metrics)
    lines = _table({name: f'{100 * value:.1f}' for name, value in figures.items()}, width=9)
    if intervals:
        bounds = {name: f'{100 * low:.1f}-{100 * high:.1f}' for name, (low, high) in intervals.items()}
        lines += ['confidence intervals, identities resampled', *_table(bounds, width=12)]
    return '\n'.join(lines)


def _table(cells: Mapping[str, str], width: int) -> list[str]:
    """Lines of a table from texts under names such as ``rgb2ir/mAP``."""
    directions = list(dict.fromkeys(name.split('/')[0] for name in cells))
    measures = list(dict.fromkeys(name.split('/')[1] for name in cells))
    measures.sort(key=('mAP', 'mINP').__contains__)  # ranks first, as papers print them
    lines = [' ' * 8 + ''.join(f'{measure:>{width}}' for measure in measures)]
    for direction in directions:
        values = (cells.get(f'{direction}/{measure}', 'nan') for measure in measures)
        lines.append(f'{direction:8}' + ''.join(f'{value:>{width}}' for value in values))
    return lines


def _fail(message: str, code: int = UNUSABLE_INPUT) -> None:
    show_cursor()
    print(f'error: {message}', file=sys.stderr)
    sys.exit(code)
