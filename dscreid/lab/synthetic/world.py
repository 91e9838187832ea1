"""Render a whole world: check the output folder, distribute people over processes, write the marker last."""

import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
from rich import progress as rich_progress

from dscreid.errors import DatasetError
from dscreid.lab.synthetic.layouts import PlannedWalk, plan_world, write_index
from dscreid.lab.synthetic.person import render_person
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.lab.synthetic.target_folder import prepare_root, write_marker
from dscreid.utils.machine import usable_cores


@dataclass(frozen=True)
class WorldSummary:
    """Result of rendering a world."""

    root: Path  #: folder of the world
    #: split name → number of 'identities', 'tracklets' and 'frames', both modalities together
    counts: dict[str, dict[str, int]]
    seconds: float  #: wall time

    @property
    def frames(self) -> int:
        """Total number of frames."""
        return sum(split['frames'] for split in self.counts.values())


def render_world(
    root: str | Path,
    spec: WorldSpec,
    num_processes: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> WorldSummary:
    """Render a world in one of the official layouts. The number of processes changes no byte.

    Args:
        root: Output folder, created if it does not exist.
        spec: What to render.
        num_processes: Number of processes. Default: one per usable core.
        overwrite: Replace an existing synthetic world in ``root``, finished or not.
        progress: Whether to show a progress bar.

    Raises:
        DatasetError: If ``root`` is not empty (or, with ``overwrite``, holds anything other than a synthetic world).
    """
    begin = time.perf_counter()
    root = Path(root)
    prepare_root(root, overwrite)
    people = plan_world(spec)
    processes = min(num_processes or usable_cores(), len(people))
    counts = _count(people)
    total = sum(split['frames'] for split in counts.values())
    with (
        _single_threaded_opencv(),
        _progress_bar(progress) as bar,
        closing(_render_people(root, spec, people, processes)) as finished,
    ):
        task = bar.add_task(f'Rendering {spec.domain} world ({spec.layout} layout)', total=total)
        for frames in finished:
            bar.update(task, advance=frames)
            bar.refresh()
    write_index(root, spec, people)
    write_marker(root, spec, counts)
    return WorldSummary(root, counts, time.perf_counter() - begin)


def _count(people: list[list[PlannedWalk]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for walks in people:
        split = counts.setdefault(walks[0].split.name.lower(), {'identities': 0, 'tracklets': 0, 'frames': 0})
        split['identities'] += 1
        split['tracklets'] += sum(len(walk.modalities) for walk in walks)
        split['frames'] += sum(walk.frames * len(walk.modalities) for walk in walks)
    return counts


def _progress_bar(show: bool) -> rich_progress.Progress:
    """Return a bar that counts frames. It has no refresh thread, because processes are forked while it is shown."""
    bars, count = rich_progress.Progress.get_default_columns(), rich_progress.MofNCompleteColumn()
    return rich_progress.Progress(*bars, count, 'frames', auto_refresh=False, disable=not show)


def _render_people(
    root: Path, spec: WorldSpec, people: list[list[PlannedWalk]], processes: int
) -> Generator[int, None, None]:
    """Render all people, in this process or in several; yield the number of frames of each."""
    if processes <= 1:
        yield from (render_person(root, spec, walks) for walks in people)
        return
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker)
    try:
        yield from _submitted(pool, root, spec, iter(people), 4 * processes)
    except BrokenProcessPool as error:
        raise DatasetError(
            f'a rendering process was killed, perhaps for lack of memory; render {root} again with overwrite'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Disable OpenCV's threads before forking: pictures are small, and the processes provide the parallelism."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _start_worker() -> None:
    """Let only the parent handle Ctrl-C: it stops submitting people, and workers finish their current ones."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _submitted(pool, root: Path, spec: WorldSpec, people: Iterator[list[PlannedWalk]], ahead: int) -> Iterator[int]:
    """Yield finished frame counts. At most ``ahead`` people are queued, so that Ctrl-C stops soon."""
    pending = {pool.submit(render_person, root, spec, walks) for walks in islice(people, ahead)}
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        pending |= {pool.submit(render_person, root, spec, walks) for walks in islice(people, len(done))}
        for future in done:
            yield future.result()
