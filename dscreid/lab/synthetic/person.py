"""Render and write all walks of one person, the unit of work of a process."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from dscreid.lab.synthetic.camera import draw_camera
from dscreid.lab.synthetic.identity import Identity, draw_identity
from dscreid.lab.synthetic.layouts import PlannedWalk, Split, fake_infrared_path
from dscreid.lab.synthetic.renderer import View, fake_infrared, render_walk
from dscreid.lab.synthetic.seeding import Stream, generator
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.lab.synthetic.walk import draw_walk
from dscreid.structures import Modality


def render_person(root: Path, spec: WorldSpec, walks: list[PlannedWalk]) -> int:
    """Render and write all walks of one person; return the number of frames written."""
    identity = draw_person(spec, walks[0].split, walks[0].person)
    return sum(_render_one(root, spec, identity, walk) for walk in walks)


def draw_person(spec: WorldSpec, split: Split, person: int) -> Identity:
    """Return the identity of person number ``person`` (starting at 0) of a split."""
    domain = spec.appearance
    rng = generator(spec.seed, Stream.IDENTITY, domain.code, split, person)
    return draw_identity(rng, domain.wardrobe)


def _render_one(root: Path, spec: WorldSpec, identity: Identity, planned: PlannedWalk) -> int:
    names = {modality: planned.files(modality) for modality in planned.modalities}
    fake_names = [fake_infrared_path(file) for file in names[Modality.RGB]] if spec.fake_ir else []
    for files in (*names.values(), fake_names):
        for file in files[:1]:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
    quality = walk_view(spec, planned).camera.jpeg
    for number, images in enumerate(walk_images(spec, identity, planned)):
        for modality, image in images.items():
            _write_jpeg(root / names[modality][number], image, quality)
        if fake_names:
            _write_jpeg(root / fake_names[number], fake_infrared(images[Modality.RGB]), quality)
    return planned.frames * len(planned.modalities)


def walk_images(spec: WorldSpec, identity: Identity, planned: PlannedWalk) -> Iterator[dict[Modality, np.ndarray]]:
    """Render the frames of a planned walk; see ``render_walk``."""
    domain = spec.appearance
    key = (domain.code, planned.split, planned.person, planned.key)
    walk = draw_walk(generator(spec.seed, Stream.WALK, *key), domain, identity, planned.frames)
    noise = generator(spec.seed, Stream.FRAME, *key)
    return render_walk(identity, walk_view(spec, planned), walk, planned.modalities, noise)


def walk_view(spec: WorldSpec, planned: PlannedWalk) -> View:
    """Return the view of a planned walk. It is cached unless the domain draws a camera per tracklet."""
    domain = spec.appearance
    if not domain.camera_per_tracklet:
        return _camera_view(spec, planned.camera)
    rng = generator(spec.seed, Stream.VIEW, domain.code, planned.split, planned.person, planned.key)
    return View(draw_camera(rng, domain, planned.camera, spec.cameras, domain.modality_gap), spec.height, spec.width)


@lru_cache(maxsize=32)
def _camera_view(spec: WorldSpec, number: int) -> View:
    domain = spec.appearance
    rng = generator(spec.seed, Stream.CAMERA, domain.code, number)
    return View(draw_camera(rng, domain, number, spec.cameras, domain.modality_gap), spec.height, spec.width)


def _write_jpeg(path: Path, image: np.ndarray, quality: int) -> None:
    """Encode in memory, then write. Unlike ``cv2.imwrite``, this raises if the disk is full."""
    ok, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    if not ok:
        raise RuntimeError(f'OpenCV could not encode {path}')
    path.write_bytes(data.tobytes())
