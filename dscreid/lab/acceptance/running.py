"""Run each step in a process of its own, within its time limit, and write what is known after each of them."""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dscreid.lab.acceptance.page import acceptance_html
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.steps import STEPS, Step
from dscreid.lab.acceptance.ways import fastest_ways
from dscreid.utils.records import write_json
from dscreid.visualization.page import write_text_atomically

#: Seconds that the end of a step's process may take, and how much longer a step may take on a processor.
_GRACE, _PATIENCE = 5, 20
#: Files that are written.
RECORD, PAGE = 'gpu_acceptance.json', 'gpu_acceptance.html'
#: Keys of results: why a step does not apply, and which of its checks failed.
SKIPPED, PROBLEMS = 'skipped', 'problems'
#: Lets PyTorch ask NVML whether there is a GPU.
_ASK_NVML = 'PYTORCH_NVML_BASED_CUDA_CHECK'
#: cuBLAS sums in a fixed order only with workspaces of a fixed size, set before it is loaded.
_ENVIRONMENT = {'CUBLAS_WORKSPACE_CONFIG': ':4096:8'}


def run_steps(
    settings: Settings,
    names: Sequence[str] = (),
    report: Callable[[Mapping[str, Any]], None] = lambda outcome: None,
    steps: Sequence[Step] = STEPS,
) -> dict[str, Any]:
    """Run steps in order, each in its own process; a failure or the end of a step's time does not stop the next one.

    Args:
        settings: Folder and sizes; the files ``RECORD`` and ``PAGE`` in its folder are replaced after each step.
        names: Steps to run, all without any.
        report: Called after each step with its outcome.
        steps: All steps in their order.

    Returns:
        The content of ``RECORD``: ``steps`` by name, each with ``status`` ('ok', 'failed', 'timeout' or 'skipped'),
        ``title``, ``limit``, ``seconds``, ``results``, and ``error`` if it failed; and ``fastest``, see
        :func:`dscreid.lab.acceptance.ways.fastest_ways`, after the step ``iteration``.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    _context(settings.pretend)  # imports the code before the time of the first step starts
    record: dict[str, Any] = {'pretend': settings.pretend, 'date': time.strftime('%Y-%m-%d %H:%M:%S'), 'steps': {}}
    for step in steps:
        if names and step.name not in names:
            continue
        outcome: dict[str, Any] = {'title': step.title, 'limit': step.seconds, **_run_step(step, settings)}
        record['steps'][step.name] = outcome
        if step.name == 'iteration':
            record['fastest'] = fastest_ways(outcome['results'])
        write_json(settings.out / RECORD, record)
        write_text_atomically(settings.out / PAGE, acceptance_html(record))
        report(outcome)
    return record


def _run_step(step: Step, settings: Settings) -> dict[str, Any]:
    path = settings.out / f'{step.name}.json'
    path.unlink(missing_ok=True)
    start = time.perf_counter()
    limit = step.seconds * (_PATIENCE if settings.pretend else 1)
    process = _context(settings.pretend).Process(target=_measure, args=(step, settings, path))
    process.start()
    process.join(limit)
    in_time = not process.is_alive()
    if not in_time:
        _end(process)
    content = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    outcome: dict[str, Any] = {'seconds': round(time.perf_counter() - start, 1), 'results': content.get('results', {})}
    if not in_time:
        return {'status': 'timeout', **outcome, 'error': f'ended after {limit:g} s; the results so far are kept'}
    if error := content.get('error'):
        return {'status': 'failed', **outcome, 'error': error, 'traceback': content['traceback']}
    if problems := outcome['results'].get(PROBLEMS):
        return {'status': 'failed', **outcome, 'error': '; '.join(problems)}
    if process.exitcode:
        return {'status': 'failed', **outcome, 'error': f'the process ended with exit code {process.exitcode}'}
    return {'status': 'skipped' if SKIPPED in outcome['results'] else 'ok', **outcome}


@cache
def _context(pretend: bool) -> Any:
    """Return a context whose processes start at once, forked from one that has imported the code; they can use the GPU.

    PyTorch forbids that in forked processes once it has asked the CUDA runtime for devices, so NVML is asked instead.
    Where that does not help, processes are started anew.
    """
    context: Any = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__, 'dscreid.lab.acceptance.numerics', 'dscreid.lab.acceptance.runs'])
    before = os.environ.get(_ASK_NVML)
    os.environ[_ASK_NVML] = '1'
    try:
        process = context.Process(target=_check_gpu_can_be_used)
        process.start()
        process.join()
    finally:
        os.environ.pop(_ASK_NVML)
        if before is not None:
            os.environ[_ASK_NVML] = before
    return context if pretend or not process.exitcode else multiprocessing.get_context('spawn')


def _check_gpu_can_be_used() -> None:
    import torch

    sys.exit(int(torch.cuda._is_in_bad_fork()))


def _measure(step: Step, settings: Settings, path: Path) -> None:
    """Run a step in its own process, and write its results after each part."""
    os.setsid()  # so that its own processes can be ended with it
    os.environ |= {name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()}
    from mmengine.registry import init_default_scope

    init_default_scope('dscreid')
    content: dict[str, Any] = {'results': {}}
    try:
        for part in importlib.import_module(step.module).measure(settings):
            content['results'] |= part
            write_json(path, content)
    except Exception as error:  # whatever it is, it belongs into the record
        write_json(path, content | {'error': f'{type(error).__name__}: {error}', 'traceback': traceback.format_exc()})


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """End a process and those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid or 0, number)
        except ProcessLookupError:
            process.kill()  # it has not made its own group yet
        process.join(_GRACE)
        if not process.is_alive():
            return
