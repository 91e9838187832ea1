"""Render a world, with people distributed over processes, or a contact sheet of some of its people."""

import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from rich.progress import MofNCompleteColumn, Progress

from dscreid.errors import DatasetError
from dscreid.lab.synthetic.camera import draw_camera
from dscreid.lab.synthetic.draws import Stream, generator
from dscreid.lab.synthetic.faults import draw_switch
from dscreid.lab.synthetic.identity import Identity, draw_identity
from dscreid.lab.synthetic.layouts import index_files, plan_world
from dscreid.lab.synthetic.planned_walk import PlannedWalk, Split
from dscreid.lab.synthetic.renderer import View, fake_infrared, render_walk
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.lab.synthetic.target_folder import prepare_root, write_marker
from dscreid.lab.synthetic.walk import draw_walk
from dscreid.structures import Modality
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
    root: str | Path, spec: WorldSpec, num_processes: int | None = None, overwrite: bool = False, progress: bool = True
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
    people = plan_world(spec)
    index = index_files(spec, people)
    counts, frame_files = _plan_files(spec, people)
    prepare_root(root, [*frame_files, *index], overwrite)
    with ExitStack() as stack:
        # Pictures are small, the processes provide the parallelism, and OpenCV's threads do not survive a fork.
        stack.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(0)
        # Without a refresh thread, because processes are forked while the bar is shown.
        columns = Progress.get_default_columns()
        bar = Progress(*columns, MofNCompleteColumn(), 'frames', auto_refresh=False, disable=not progress)
        stack.enter_context(bar)
        total = sum(split['frames'] for split in counts.values())
        task = bar.add_task(f'Rendering {spec.domain} world ({spec.layout} layout)', total=total)
        processes = min(num_processes or usable_cores(), len(people))
        for frames in stack.enter_context(closing(_render_people(root, spec, people, processes))):
            bar.update(task, advance=frames)
            bar.refresh()
    for name, text in index.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding='utf-8')
    write_marker(root, spec, counts)
    return WorldSummary(root, counts, time.perf_counter() - begin)


def _plan_files(spec: WorldSpec, people: list[list[PlannedWalk]]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the counts of each split, and the paths of all frames."""
    counts: dict[str, dict[str, int]] = {}
    files = []
    for walks in people:
        split = counts.setdefault(walks[0].split.name.lower(), {'identities': 0, 'tracklets': 0, 'frames': 0})
        split['identities'] += 1
        for walk in walks:
            own = [file for modality in walk.modalities for file in walk.files(modality)]
            split['tracklets'] += len(walk.modalities)
            split['frames'] += len(own)
            files += own + (walk.fake_files() if spec.fake_ir else [])
    return counts, files


def _render_people(
    root: Path, spec: WorldSpec, people: list[list[PlannedWalk]], processes: int
) -> Generator[int, None, None]:
    """Render all people, in this process or in several; yield the number of frames of each."""
    if processes <= 1:
        yield from (render_person(root, spec, walks) for walks in people)
        return
    # Only this process handles Ctrl-C: it cancels the waiting people, and workers finish their current ones.
    ignored = (signal.SIGINT, signal.SIG_IGN)
    context = multiprocessing.get_context('fork')
    pool = ProcessPoolExecutor(processes, context, initializer=signal.signal, initargs=ignored)
    try:
        jobs = [pool.submit(render_person, root, spec, walks) for walks in people]
        yield from (job.result() for job in as_completed(jobs))
    except BrokenProcessPool as error:
        raise DatasetError(
            f'a rendering process was killed, perhaps for lack of memory; render {root} again with overwrite'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def render_person(root: Path, spec: WorldSpec, walks: list[PlannedWalk]) -> int:
    """Render and write all walks of one person; return the number of frames written."""
    identity = _draw_person(spec, walks[0])
    for walk in walks:
        names = {modality: walk.files(modality) for modality in walk.modalities}
        fake_names = walk.fake_files() if spec.fake_ir else []
        for file in (*(files[0] for files in names.values()), *fake_names[:1]):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
        quality = _walk_view(spec, walk).camera.jpeg
        for number, images in enumerate(_walk_images(spec, identity, walk)):
            for modality, image in images.items():
                _write_jpeg(root / names[modality][number], image, quality)
            if fake_names:
                _write_jpeg(root / fake_names[number], fake_infrared(images[Modality.RGB]), quality)
    return sum(walk.frames * len(walk.modalities) for walk in walks)


def contact_sheet(spec: WorldSpec, people: int = 8, frames: int = 3) -> np.ndarray:
    """Render a few training people under all cameras: uint8[H, W, 3], blue, green, red.

    Each person takes two rows, visible above infrared, with ``frames`` evenly spread frames of each walk.
    """
    return np.concatenate([_person_rows(spec, person, frames) for person in range(people)], axis=0)


def write_contact_sheet(path: str | Path, spec: WorldSpec) -> None:
    """Write ``contact_sheet(spec)`` to an image file, or raise DatasetError if that is impossible."""
    try:
        written = cv2.imwrite(str(path), contact_sheet(spec))
    except cv2.error:
        written = False
    if not written:
        raise DatasetError(f'cannot write the preview {path}; name a .png or .jpg file in an existing folder')


def _person_rows(spec: WorldSpec, person: int, frames: int) -> np.ndarray:
    visible, infrared = [], []
    length = max(spec.min_frames, 4 * frames)
    gap = np.full((spec.height, 4, 3), 255, np.uint8)
    for camera in range(spec.cameras):
        walk = PlannedWalk(Split.TRAIN, person, person + 1, camera, camera, length, dict.fromkeys(Modality, ''))
        images = list(_walk_images(spec, _draw_person(spec, walk), walk))[:: length // frames][:frames]
        visible += [*(image[Modality.RGB] for image in images), gap]
        infrared += [*(cv2.cvtColor(image[Modality.IR], cv2.COLOR_GRAY2BGR) for image in images), gap]
    rows = np.concatenate([np.concatenate(strip, axis=1) for strip in (visible, infrared)])
    return np.pad(rows, ((0, 4), (0, 0), (0, 0)), constant_values=255)


def _draw_person(spec: WorldSpec, walk: PlannedWalk) -> Identity:
    domain = spec.appearance
    return draw_identity(generator(spec.seed, Stream.IDENTITY, domain.code, walk.split, walk.person), domain.wardrobe)


def _walk_images(spec: WorldSpec, identity: Identity, planned: PlannedWalk) -> Iterator[dict[Modality, np.ndarray]]:
    """Render the frames of a planned walk, with the faults of its tracklet; see ``render_walk``."""
    view, end = _walk_view(spec, planned), planned.begin + planned.frames
    switch = None
    if planned.split is Split.TRAIN:
        switch = draw_switch(spec, planned.person, planned.key, planned.begin, planned.frames)
    at = end if switch is None else planned.begin + switch.frame
    yield from islice(_whole_walk(spec, identity, planned, view), planned.begin, at)
    if switch is not None:
        other = replace(planned, person=switch.person)
        yield from islice(_whole_walk(spec, _draw_person(spec, other), other, view), at, end)


def _whole_walk(
    spec: WorldSpec, identity: Identity, planned: PlannedWalk, view: View
) -> Iterator[dict[Modality, np.ndarray]]:
    domain = spec.appearance
    key = (domain.code, planned.split, planned.person, planned.key)
    length = planned.frames if planned.length is None else planned.length
    walk = draw_walk(generator(spec.seed, Stream.WALK, *key), domain, identity, length)
    noise = generator(spec.seed, Stream.FRAME, *key)
    return render_walk(identity, view, walk, planned.modalities, noise)


def _walk_view(spec: WorldSpec, walk: PlannedWalk) -> View:
    if spec.appearance.camera_per_tracklet:
        return _view(spec, walk.camera, Stream.VIEW, (walk.split, walk.person, walk.key))
    return _view(spec, walk.camera, Stream.CAMERA, (walk.camera,))


@lru_cache(maxsize=16)
def _view(spec: WorldSpec, number: int, stream: Stream, key: tuple[int, ...]) -> View:
    domain = spec.appearance
    rng = generator(spec.seed, stream, domain.code, *key)
    return View(draw_camera(rng, domain, number, spec.cameras), spec.height, spec.width)


def _write_jpeg(path: Path, image: np.ndarray, quality: int) -> None:
    """Encode in memory, then write. Unlike ``cv2.imwrite``, this raises if the disk is full."""
    ok, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise RuntimeError(f'OpenCV could not encode {path}')
    path.write_bytes(data.tobytes())
