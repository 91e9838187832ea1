"""Shared code of the benchmark tools: machine description, timing, memory in a new process, tables and files."""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table


class Clock(NamedTuple):
    """A clock that a benchmark measures by: its name in a sentence, and a function that returns seconds."""

    name: str
    read: Callable[[], float]


CLOCKS = {'wall': Clock("the wall's clock", time.perf_counter), 'cpu': Clock('processor time', time.process_time)}


def add_clock_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--clock``, a name in CLOCKS."""
    parser.add_argument(
        '--clock',
        choices=list(CLOCKS),
        default='wall',
        help='wall (default), or cpu: processor time, for a machine that does other work; needs OMP_NUM_THREADS=1',
    )


def chosen_clock(parser: argparse.ArgumentParser, name: str) -> Clock:
    """Return the clock of that name; processor time is refused with several threads, whose times it adds up."""
    if name == 'cpu' and torch.get_num_threads() > 1:
        parser.error('--clock cpu adds up the time of all threads: set OMP_NUM_THREADS=1')
    return CLOCKS[name]


def describe_machine() -> str:
    """Describe the machine in one line: processor, cores in use, GPU if there is one, versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    versions = f'Python {platform.python_version()}, torch {torch.__version__}'
    return f'{_processor()}, {cores} cores, {torch.get_num_threads()} threads, {gpu}; {versions}'


def median_seconds(function: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of ``function()`` over several repeats, by wall time or another clock."""
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return statistics.median(times)


def in_fresh_process(function: Callable[..., dict], *args: Any) -> dict:
    """Call a module-level function in a new process.

    Returns:
        What the function returned, with ``peak_gb``: the process's peak resident memory in 10^9 bytes, including the
        interpreter and its libraries.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measured, function, args).result()


def peak_bytes_of(function: Callable[[], Any]) -> int | None:
    """Return the peak main memory of a call beyond what the process uses before it; None except on Linux."""
    try:
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')  # reset the peak
        before = _status_bytes('VmRSS')
    except (OSError, ValueError):
        return None
    function()
    return max(0, _status_bytes('VmHWM') - before)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the machine and a table with right-aligned numbers."""
    console = Console(width=110)
    console.print(describe_machine())
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify='left' if number == 0 else 'right')
    for row in rows:
        table.add_row(*row)
    console.print(table)


def interleaved_cpu_seconds(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Measure the processor time of each function in several rounds, with all functions taking turns.

    Unlike wall time, processor time does not include other programs on the machine. Taking turns makes the times of one
    round comparable if the clock speed drifts. A first round warms up and is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(repeats + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table in Markdown with right-aligned numbers."""
    lines = [columns, ['---', *['---:'] * (len(columns) - 1)], *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def write_results(folder: Path, name: str, values: Any, tables: Mapping[str, str]) -> None:
    """Write ``name.json`` (the numbers and the machine) and ``name.md`` (the tables under their titles)."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {'machine': describe_machine(), 'results': values}
    (folder / f'{name}.json').write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    parts = [describe_machine(), *(f'**{title}**\n\n{table}' for title, table in tables.items())]
    (folder / f'{name}.md').write_text('\n\n'.join(parts) + '\n', encoding='utf-8')


def _measured(function: Callable[..., dict], args: tuple) -> dict:
    """Run in the new process and return the result with the peak memory."""
    result = function(*args)
    unit = 1 if sys.platform == 'darwin' else 1024  # ru_maxrss is in kilobytes on Linux
    return {**result, 'peak_gb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}


def _status_bytes(name: str) -> int:
    for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
        if line.startswith(f'{name}:'):
            return 1024 * int(line.split()[1])
    raise ValueError(f'/proc/self/status has no {name}')


def _processor() -> str:
    """Return the name of the processor, if known."""
    information = Path('/proc/cpuinfo')
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()
