"""Renders a whole world: guards the target folder, spreads people over processes, writes the marker last."""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import cv2

from ...errors import DatasetError
from ...structures import Modality
from .camera import draw_camera
from .domain import get_domain
from .identity import draw_identity
from .layouts import PlannedWalk, Split, plan_world, write_index
from .progress import frame_counter
from .renderer import View, fake_infrared, render_walk
from .seeding import Stream, generator
from .spec import WorldSpec
from .walk import draw_walk

RENDERER_VERSION = 1  # raise it whenever the same spec gives other pictures
MARKER = 'world.json'  # written last: a finished world
STARTED = 'world.started'  # written first, removed last: an unfinished one


@dataclass(frozen=True)
class WorldSummary:
    """What was rendered.

    Attributes:
        root: Where.
        counts: Per split name a dictionary of 'identities', 'tracklets' and 'frames', both modalities together.
        seconds: Wall time.
    """

    root: Path
    counts: dict[str, dict[str, int]]
    seconds: float

    @property
    def frames(self) -> int:
        """Frames of all splits."""
        return sum(split['frames'] for split in self.counts.values())


def render_world(
    root: str | Path,
    spec: WorldSpec,
    num_processes: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> WorldSummary:
    """Render a world in one of the official layouts.

    The same ``spec`` writes the same bytes whatever ``num_processes`` is.

    Args:
        root: Folder to write; created if it is missing.
        spec: What to render.
        num_processes: Number of processes; by default one per usable core.
        overwrite: Replace a synthetic world, finished or not, that lies in ``root``.
        progress: Show a progress bar.

    Returns:
        WorldSummary: Counts and time.

    Raises:
        DatasetError: ``root`` is not empty (and, with ``overwrite``, holds something else than a synthetic world).
    """
    begin = time.perf_counter()
    root = Path(root)
    _prepare_root(root, overwrite)
    people = plan_world(spec)
    processes = min(num_processes or len(os.sched_getaffinity(0)), len(people))
    counts = _count(people)
    total = sum(split['frames'] for split in counts.values())
    with frame_counter(f'Rendering {spec.domain} world ({spec.layout} layout)', total, progress) as advance:
        _render_people(root, spec, people, processes, advance)
    write_index(root, spec, people)
    _write_marker(root, spec, counts)
    return WorldSummary(root, counts, time.perf_counter() - begin)


def is_complete(root: str | Path, spec: WorldSpec) -> bool:
    """Whether ``root`` holds a finished world of exactly this ``spec``, rendered by this version."""
    try:
        marker = json.loads((Path(root) / MARKER).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return (
        isinstance(marker, dict)
        and marker.get('renderer') == RENDERER_VERSION
        and marker.get('spec') == spec.to_dict()
    )


# -- target folder -----------------------------------------------------------------------------------------------------


def _prepare_root(root: Path, overwrite: bool) -> None:
    """Make ``root`` an empty folder that holds the marker of an unfinished world."""
    if root.exists() and not root.is_dir():
        raise DatasetError(f'{root} is a file: name a folder to write the synthetic world to.')
    if root.exists() and any(root.iterdir()):
        ours = (root / MARKER).is_file() or (root / STARTED).is_file()
        if not ours:
            raise DatasetError(
                f'{root} is not empty and holds no synthetic world, so it is not touched: name another folder.'
            )
        if not overwrite:
            state = 'a finished' if (root / MARKER).is_file() else 'an unfinished'
            raise DatasetError(
                f'{root} already holds {state} synthetic world: pass --overwrite (overwrite=True) to replace it.'
            )
        _clear(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / STARTED).write_text('A synthetic world is being written here.\n', encoding='utf-8')


def _clear(root: Path) -> None:
    """Empty ``root``; the unfinished marker stands first and goes last, so a killed run is still known as ours."""
    (root / STARTED).write_text('A synthetic world is being replaced here.\n', encoding='utf-8')
    (root / MARKER).unlink(missing_ok=True)
    for entry in sorted(root.iterdir()):
        if entry.name == STARTED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_marker(root: Path, spec: WorldSpec, counts: dict) -> None:
    content = {'renderer': RENDERER_VERSION, 'spec': spec.to_dict(), 'counts': counts}
    partial = root / f'{MARKER}.partial'
    partial.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    partial.replace(root / MARKER)
    (root / STARTED).unlink()


def _count(people: list[list[PlannedWalk]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for walks in people:
        split = counts.setdefault(walks[0].split.name.lower(), {'identities': 0, 'tracklets': 0, 'frames': 0})
        split['identities'] += 1
        split['tracklets'] += sum(len(walk.modalities) for walk in walks)
        split['frames'] += sum(walk.frames * len(walk.modalities) for walk in walks)
    return counts


# -- work --------------------------------------------------------------------------------------------------------------


def _render_people(
    root: Path,
    spec: WorldSpec,
    people: list[list[PlannedWalk]],
    processes: int,
    advance: Callable[[int], None],
) -> None:
    """Render everybody, in this process or in several."""
    if processes <= 1:
        for walks in people:
            advance(render_person(root, spec, walks))
        return
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else 'spawn'
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(0,))
    try:
        for frames in _submitted(pool, root, spec, iter(people), 4 * processes):
            advance(frames)
    except BrokenProcessPool as error:
        raise DatasetError(
            f'A rendering process was killed, perhaps for lack of memory: render {root} again with overwrite.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submitted(
    pool, root: Path, spec: WorldSpec, people: Iterator[list[PlannedWalk]], ahead: int
) -> Iterator[int]:
    """Yield frames done, keeping only ``ahead`` people in the queue, so that Ctrl-C stops soon."""
    pending = {pool.submit(render_person, root, spec, walks) for walks in islice(people, ahead)}
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        pending |= {pool.submit(render_person, root, spec, walks) for walks in islice(people, len(done))}
        for future in done:
            yield future.result()


def render_person(root: Path, spec: WorldSpec, walks: list[PlannedWalk]) -> int:
    """Render and write all walks of one person.

    Args:
        root: The world's folder.
        spec: What the world is made of.
        walks: All of one person.

    Returns:
        int: Frames written.
    """
    domain = get_domain(spec.domain)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    identity = draw_identity(
        generator(spec.seed, Stream.IDENTITY, domain.code, walks[0].split, walks[0].person), domain.wardrobe
    )
    written = sum(_render_one(root, spec, identity, walk) for walk in walks)
    cv2.setNumThreads(threads)
    return written


def _render_one(root: Path, spec: WorldSpec, identity, planned: PlannedWalk) -> int:
    domain = get_domain(spec.domain)
    key = (domain.code, planned.split, planned.person, planned.key)
    walk = draw_walk(generator(spec.seed, Stream.WALK, *key), domain, identity, planned.frames)
    view = walk_view(spec, planned)
    names = {modality: _frame_paths(root, planned, modality) for modality in planned.modalities}
    fake_names = None
    if spec.fake_ir:
        fake_names = [file.replace('/RGB/', '/FakeIR/') for file in names[Modality.RGB]]
        Path(fake_names[0]).parent.mkdir(parents=True, exist_ok=True)
    noise = generator(spec.seed, Stream.FRAME, *key)
    quality = view.camera.jpeg
    for number, images in enumerate(render_walk(identity, view, walk, planned.modalities, noise)):
        for modality, image in images.items():
            _write_jpeg(names[modality][number], image, quality)
        if fake_names is not None:
            _write_jpeg(fake_names[number], fake_infrared(images[Modality.RGB]), quality)
    return planned.frames * len(planned.modalities)


def walk_view(spec: WorldSpec, planned: PlannedWalk) -> View:
    """Return the camera of a planned walk, from the cache unless the domain draws one per tracklet."""
    domain = get_domain(spec.domain)
    if not domain.camera_per_tracklet:
        return _camera_view(spec, planned.camera)
    rng = generator(spec.seed, Stream.VIEW, domain.code, planned.split, planned.person, planned.key)
    return View(
        draw_camera(rng, domain, planned.camera, spec.cameras, spec.modality_gap), spec.height, spec.width
    )


@lru_cache(maxsize=32)
def _camera_view(spec: WorldSpec, number: int) -> View:
    domain = get_domain(spec.domain)
    rng = generator(spec.seed, Stream.CAMERA, domain.code, number)
    return View(draw_camera(rng, domain, number, spec.cameras, spec.modality_gap), spec.height, spec.width)


def _frame_paths(root: Path, planned: PlannedWalk, modality: Modality) -> list[str]:
    (root / planned.folders[modality]).mkdir(parents=True, exist_ok=True)
    return [f'{root.as_posix()}/{file}' for file in planned.files(modality)]


def _write_jpeg(path: str, image, quality: int) -> None:
    """Encode in memory and write: unlike ``cv2.imwrite`` a full disk raises."""
    ok, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise RuntimeError(f'OpenCV could not encode {path}.')
    with open(path, 'wb') as file:
        file.write(data)


__all__ = ['MARKER', 'RENDERER_VERSION', 'STARTED', 'Split', 'WorldSummary', 'is_complete', 'render_world']
