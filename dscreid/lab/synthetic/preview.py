"""A contact sheet of people by cameras in both modalities, to look at before a long run."""

from pathlib import Path

import cv2
import numpy as np

from dscreid.errors import DatasetError
from dscreid.lab.synthetic.layouts import PlannedWalk, Split
from dscreid.lab.synthetic.person import draw_person, walk_images
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.structures import Modality

_BOTH = (Modality.RGB, Modality.IR)


def contact_sheet(spec: WorldSpec, people: int = 8, frames: int = 3, zoom: int = 1) -> np.ndarray:
    """Render a few training people under all cameras: uint8[H, W, 3], blue, green, red.

    Each person takes two rows, visible above infrared, with ``frames`` evenly spread frames of each walk, scaled by
    ``zoom``.
    """
    rows = [_person_rows(spec, person, frames) for person in range(people)]
    sheet = np.concatenate(rows, axis=0)
    return cv2.resize(sheet, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)


def write_contact_sheet(path: str | Path, spec: WorldSpec, **options) -> None:
    """Write ``contact_sheet(spec, **options)`` to an image file, or raise DatasetError if that is impossible."""
    try:
        written = cv2.imwrite(str(path), contact_sheet(spec, **options))
    except cv2.error:
        written = False
    if not written:
        raise DatasetError(f'cannot write the preview {path}; name a .png or .jpg file in an existing folder')


def _person_rows(spec: WorldSpec, person: int, frames: int) -> np.ndarray:
    identity = draw_person(spec, Split.TRAIN, person)
    strips: dict[Modality, list[np.ndarray]] = {modality: [] for modality in _BOTH}
    length = max(spec.min_frames, 4 * frames)
    for camera in range(spec.cameras):
        planned = PlannedWalk(Split.TRAIN, person, person + 1, camera, camera, length, _BOTH, {}, 1, 1)
        images = list(walk_images(spec, identity, planned))[:: length // frames][:frames]
        strips[Modality.RGB] += [image[Modality.RGB] for image in images]
        strips[Modality.IR] += [cv2.cvtColor(image[Modality.IR], cv2.COLOR_GRAY2BGR) for image in images]
        for strip in strips.values():
            strip.append(np.full((spec.height, 4, 3), 255, np.uint8))
    visible, infrared = (np.concatenate(strips[modality], axis=1) for modality in _BOTH)
    gap = np.full((4, visible.shape[1], 3), 255, np.uint8)
    return np.concatenate((visible, infrared, gap), axis=0)
