"""Kill tiny runs at random moments, resume them, and compare with a undisturbed run, bit for bit.

Renders two tiny worlds and runs source stage, adaptation and evaluation once in peace. Each trial then starts the same
run anew, kills it at a random moment, resumes it, and compares weights, optimizer, schedules, labels, logged losses,
criteria, features and metrics. Exit code 1 when one of them differs.
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from dscreid.apis.command_line import run_command
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.errors import ConfigError
from dscreid.lab.synthetic import make_spec, render_world
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.files import is_partial
from dscreid.utils.progress import progress_bar
from dscreid.utils.shipped import shipped_configs

#: What a checkpoint says of the moment and the folder it was written in.
_CIRCUMSTANCES = {
    'time',
    'experiment_name',
    'cfg',
    'run',
    'last_ckpt',
    'data_time',
    'memory',
    'eta',
    'mmengine_version',
}
#: Logged validations: one that was cut off is not made up for, nor does anything depend on it.
_VALIDATION = 'val/'
#: What belongs to a result: everything else in a run's folder are logs.
_RESULTS = ('metrics.json', 'features.safetensors', 'criteria.json')
_SETTINGS = """
_base_ = {base!r}
data_root = {root!r}
default_hooks = dict(logger=dict(interval=1))
vis_backends = [dict(type='LocalVisBackend')]
"""
_SOURCE = """
model = dict(backbone=dict(tower=dict(pretrained=None)))
train_dataloader = dict(sampler=dict(num_identities=2, num_tracklets=2, iterations=4))
train_cfg = dict(max_epochs=2, val_interval=2)
"""
_ADAPTATION = """
source = dict(config='bench_source.py')
clustering = dict(k1=6, k2=2, eps=0.7, min_samples=2)
model = dict(backbone=dict(tower=dict(pretrained=None)))
train_dataloader = dict(sampler=dict(visible=(2, 2), infrared=(2, 2), iterations=4))
default_hooks.update(
    cluster=dict(labelers=[
        dict(type='ClusterLabeler', begin_epoch=0),
        dict(type='DSLULabeler', begin_epoch=1, inter=dict(topk=4), intra=dict(topk=4)),
    ]),
    selection=dict(criterion='silhouette'),
)
train_cfg = dict(max_epochs=3, val_interval=2)
"""


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        seconds: From the start of the process to its end.
        signal: Number of the signal.
        phase: What the run was doing by its log.
        exit_code: Of the killed process; negative: ended by that signal. 0: it was done before.
        differences: What the resumed run left that differs; empty for none.
    """

    seconds: float
    signal: int
    phase: str
    exit_code: int
    differences: tuple[str, ...]


def run_kill_bench(folder: Path, kills: int, seed: int = 0, number: int = signal.SIGKILL) -> list[Kill]:
    """Kill and resume a tiny experiment: source stage, adaptation, evaluation.

    Every trial is a process that dies at a moment drawn uniformly from the time an undisturbed run takes, and a second
    one that resumes to the end. Where the signal came too late, the shorter time counts from then on.

    Args:
        folder: Made by the bench and emptied of what an earlier one left there.
        kills: Processes to kill; those that were done before their signal came are not counted.
        seed: Of the moments.
        number: Signal that is sent.

    Returns:
        One entry per trial; those that came too late are among them.

    Raises:
        ConfigError: The folder holds something else, or the undisturbed run fails.
    """
    config = _prepare_folder(folder)
    start = time.perf_counter()
    if run_in_process(config, folder / 'whole' / 'run') != 0:
        raise ConfigError(f'the undisturbed run failed; its output is in {folder / "whole" / "run.log"}')
    duration = time.perf_counter() - start
    random = np.random.default_rng(seed)
    results: list[Kill] = []
    with progress_bar() as bar:
        task = bar.add_task('kill and resume', total=kills)
        while (hit := sum(kill.exit_code != 0 for kill in results)) < kills:
            bar.update(task, completed=hit)
            moment = float(random.uniform(0, duration))
            results.append(_trial(config, folder, f'trial_{len(results)}', moment, number))
            if results[-1].exit_code == 0:
                duration = min(duration, results[-1].seconds)
    return results


def kill_table(kills: Sequence[Kill]) -> str:
    """Markdown: one row per phase with the number of kills and of resumed runs that ended bit for bit the same."""
    hit = [kill for kill in kills if kill.exit_code != 0]
    rows = ['| killed during | kills | same weights, state and metrics |', '|---|---|---|']
    for phase, count in Counter(kill.phase for kill in hit).most_common():
        same = sum(not kill.differences for kill in hit if kill.phase == phase)
        rows.append(f'| {phase} | {count} | {same} |')
    rows.append(f'| all | {len(hit)} | {sum(not kill.differences for kill in hit)} |')
    late = len(kills) - len(hit)
    wrong = [
        f'{kill.phase}, {kill.seconds:.2f} s: {"; ".join(kill.differences[:3])}' for kill in kills if kill.differences
    ]
    notes = [f'{late} of {len(kills)} processes were done before the signal came.'] if late else []
    return '\n'.join([*rows, '', *notes, *wrong])


def run_in_process(config: Path, work_dir: Path, resume: bool = False, **signals: Any) -> int:
    """Run an experiment in a process of its own, as ``tools/train.py`` does; its output goes to ``<work_dir>.log``.

    Args:
        config: The config.
        work_dir: Folder of the run.
        resume: Continue what is there.
        **signals: ``after``, seconds from the start, and ``number``, a signal to send then.

    Returns:
        The exit code; the negative number of the signal that ended the process, if one did.
    """
    process = _context().Process(target=_experiment, args=(config, work_dir, resume))
    process.start()
    if signals:
        process.join(signals['after'])
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signals['number'])
    process.join()
    return process.exitcode


def run_differences(left: Path, right: Path) -> list[str]:
    """What differs between two runs' results, bit for bit: last checkpoints and metrics, features and criteria.

    Args:
        left: Folder of a finished run.
        right: Folder of another.
    """
    found = []
    for name in _RESULTS:
        contents = [path.read_bytes() if path.is_file() else b'' for path in (left / name, right / name)]
        if contents[0] != contents[1]:
            found.append(f'{name} differs')
    names = [sorted(path.name for path in folder.glob('*.pth')) for folder in (left, right)]
    if names[0] != names[1]:
        found.append(f'checkpoints: {names[0]} and {names[1]}')
    for name in set(names[0]) & set(names[1]):
        contents = [load_checkpoint(folder / name) for folder in (left, right)]
        if name.startswith('best_'):  # chosen weights, with a log that nothing continues
            contents = [content['state_dict'] for content in contents]
        found += [f'{name}: {place}' for place in differences(*contents)]
    return found


def differences(left: Any, right: Any, place: str = '') -> list[str]:
    """Places at which two checkpoints differ in a bit: weights, optimizer, schedules, labels, logged losses.

    Times, paths and names of the two runs are left out.
    """
    if isinstance(left, HistoryBuffer):
        left, right = left.data[0], right.data[0]
    if type(left) is not type(right):
        return [f'{place}: {type(left).__name__} and {type(right).__name__}']
    if isinstance(left, Mapping):
        keys = [key for key in {**left, **right} if _counts(str(key))]
        lost = [f'{place}.{key}: in one alone' for key in keys if (key in left) != (key in right)]
        both = (key for key in keys if key in left and key in right)
        return lost + [line for key in both for line in differences(left[key], right[key], f'{place}.{key}')]
    if isinstance(left, (list, tuple)):
        if len(left) != len(right):
            return [f'{place}: lengths {len(left)} and {len(right)}']
        pairs = enumerate(zip(left, right, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f'{place}[{i}]')]
    if isinstance(left, (torch.Tensor, np.ndarray)):
        arrays = [np.asarray(value) for value in (left, right)]
        same = arrays[0].dtype == arrays[1].dtype and arrays[0].shape == arrays[1].shape
        return [] if same and arrays[0].tobytes() == arrays[1].tobytes() else [f'{place}: values']
    return [] if left == right or (left != left and right != right) else [f'{place}: {left} and {right}']


def _counts(key: str) -> bool:
    return key.rpartition('/')[2] not in _CIRCUMSTANCES and not key.startswith(_VALIDATION)


def _trial(config: Path, folder: Path, name: str, moment: float, number: int) -> Kill:
    work_dir = folder / name / 'run'
    start = time.perf_counter()
    code = run_in_process(config, work_dir, after=moment, number=number)
    seconds = time.perf_counter() - start
    phase = _phase(work_dir)
    resumed = run_in_process(config, work_dir, resume=True)
    if resumed != 0:
        return Kill(seconds, number, phase, code, (f'the resumed run failed with {resumed}, see {work_dir}.log',))
    found = tuple(
        line
        for part in ('bench_source', 'run')
        for line in run_differences(folder / 'whole' / part, folder / name / part)
    )
    if not found:
        shutil.rmtree(folder / name)
    return Kill(seconds, number, phase, code, found)


def _phase(work_dir: Path) -> str:
    """What a killed run was doing, by what it left."""
    if any(is_partial(path) for path in work_dir.parent.rglob('.*.pth')):
        return 'writing a checkpoint'
    log = work_dir.with_suffix('.log')
    lines = log.read_text(encoding='utf-8', errors='replace').splitlines() if log.is_file() else []
    for line in reversed(lines):
        for text, phase in _PHASES.items():
            if text in line:
                return phase
    return 'start'


#: The last line of a log that holds one of these tells what comes after it.
_PHASES = {
    'Epoch(train)': 'training',
    'Epoch(val)': 'validation',
    'Epoch(test)': 'evaluation',
    'Saving checkpoint': 'saving a checkpoint',
    'clustering:': 'building memories',
    'extract:': 'clustering',
    'calibrate:': 'extraction',
    'label-free criteria': 'training',
    'training: ': 'between two epochs',
    'Checkpoints will be saved': 'first epoch',
}


def _prepare_folder(folder: Path) -> Path:
    """Worlds and configs; returns the adaptation's config."""
    marker = folder / 'bench_dsc.py'
    if folder.exists() and any(folder.iterdir()) and not marker.is_file():
        raise ConfigError(f'{folder}: holds something else; choose a folder of its own for the bench')
    if folder.is_dir():
        _empty(folder)
    for layout in ('bupt', 'hitsz'):
        spec = make_spec('tiny', layout, train_ids=6, test_ids=3)
        render_world(folder / layout, spec, num_processes=1, progress=False)
    configs = shipped_configs()
    for name, base, layout, text in (
        ('bench_source.py', 'source/stp_demo.py', 'bupt', _SOURCE),
        ('bench_dsc.py', 'dsc/dsc_demo.py', 'hitsz', _ADAPTATION),
    ):
        head = _SETTINGS.format(base=str(configs / base), root=str((folder / layout).resolve()))
        (folder / name).write_text(head + text, encoding='utf-8')
    return marker


def _empty(folder: Path) -> None:
    """Remove what an earlier bench left; other files stay."""
    for path in folder.iterdir():
        if path.is_dir() and re.fullmatch(r'bupt|hitsz|whole|trial_\d+', path.name):
            shutil.rmtree(path)
        elif path.name in ('bench_source.py', 'bench_dsc.py'):
            path.unlink()


def _context() -> multiprocessing.context.BaseContext:
    """Processes forked from one that has imported everything and computed nothing: they start at once, and clean."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['kill_bench'])
    return context


def _experiment(config: Path, work_dir: Path, resume: bool) -> None:
    """What the child process does."""
    torch.set_num_threads(1)
    with _output_to(work_dir.with_suffix('.log')):
        run_command(lambda: run_experiment(config, RunOptions(work_dir=work_dir, resume=resume)))


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what a process prints to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a', encoding='utf-8') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        yield


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tests/kill_bench.py --kills 50 --seed 0',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--kills', type=int, default=50, help='processes to kill (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of their moments (default: %(default)s)')
    parser.add_argument(
        '--signal',
        choices=('KILL', 'TERM', 'INT'),
        default='KILL',
        help='what is sent (default: %(default)s)',
    )
    parser.add_argument(
        '--folder',
        type=Path,
        default=Path('work_dirs/kill_bench'),
        help='worlds, runs and logs; runs that end as they should are removed (default: %(default)s)',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    arguments = parse_arguments(argv)
    number = signal.Signals[f'SIG{arguments.signal}']
    kills = run_kill_bench(arguments.folder.resolve(), arguments.kills, arguments.seed, number)
    print(kill_table(kills))
    if any(kill.differences for kill in kills):
        sys.exit(1)


if __name__ == '__main__':
    import kill_bench  # processes find their functions in a module

    run_command(kill_bench.main)
