"""Transforms for frame sampling, decoding and packing; each maps a dict to a dict."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch

from dscreid.datasets.bad_frames import OnBadFrame
from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.storage import FolderFrames, FrameFormat, FrameStorage
from dscreid.errors import ConfigError, DatasetError, FrameError
from dscreid.registry import TRANSFORMS
from dscreid.structures import ReIDDataSample

# The published rules for sampling frames: segments from VLD and MITML on HITSZ-VCM, the others from AuxNet on
# BUPTCampus. Each gives ``num_frames`` positions in [0, length), int64, ascending.


def segment_first_frames(length: int, num_frames: int) -> np.ndarray:
    """Take the first frame of each of ``num_frames`` equal segments (HITSZ-VCM, test).

    The tracklet is padded to a multiple of ``num_frames`` by repeating its last frame.
    """
    size = -(-length // num_frames)
    return np.minimum(np.arange(num_frames, dtype=np.int64) * size, length - 1)


def segment_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take one random frame of each segment of :func:`segment_first_frames` (HITSZ-VCM, train)."""
    size = -(-length // num_frames)
    starts = np.arange(num_frames, dtype=np.int64) * size
    return np.minimum(starts + rng.integers(size, size=num_frames), length - 1)


def linspace_frames(length: int, num_frames: int) -> np.ndarray:
    """Take ``linspace(0, length, num_frames, endpoint=False)``, truncated to integers (BUPTCampus, test)."""
    return np.linspace(0, length, num_frames, endpoint=False).astype(np.int64)


def sorted_random_frames(length: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Take random frames in temporal order (BUPTCampus, train), with replacement if the tracklet is too short."""
    return np.sort(rng.choice(length, num_frames, replace=length < num_frames)).astype(np.int64)


Rule = Callable[[int, int, np.random.Generator], np.ndarray]

RULES: dict[str, Rule] = {
    'segment_first': lambda length, num_frames, rng: segment_first_frames(length, num_frames),
    'segment_random': segment_random_frames,
    'linspace': lambda length, num_frames, rng: linspace_frames(length, num_frames),
    'sorted_random': sorted_random_frames,
}


@TRANSFORMS.register_module()
@dataclass(eq=False)
class SampleFrames:
    """Set ``frame_paths`` (T paths) and ``frame_indices`` (int64 (T,)) from ``tracklet``."""

    common_settings = MappingProxyType({'num_frames': 'num_frames'})

    num_frames: int = 6  #: T, frames per tracklet
    #: ``'segment_first'`` (test) and ``'segment_random'`` (train) for HITSZ-VCM, ``'linspace'`` (test) and
    #: ``'sorted_random'`` (train) for BUPTCampus; the random rules draw from ``rng``
    rule: str = 'segment_first'

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(f'SampleFrames: rule must be one of {", ".join(RULES)}, got {self.rule!r}')
        if not isinstance(self.num_frames, int) or self.num_frames < 1:
            raise ConfigError(f'SampleFrames: num_frames must be a whole number of at least 1, got {self.num_frames}')

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the sampled frames to ``results``."""
        frames = results['tracklet'].frames
        chosen = RULES[self.rule](len(frames), self.num_frames, results['rng'])
        results['frame_indices'] = chosen
        results['frame_paths'] = tuple(frames[i] for i in chosen)
        return results


def fit_frame(image: np.ndarray, out: np.ndarray, area_when_shrinking: bool = False) -> None:
    """Resize an image, uint8 (h, w, 3) in RGB order or (h, w), into ``out``, uint8 (H, W, 3), contiguous.

    The resizing is bilinear, or averages over pixel areas if both sides shrink and ``area_when_shrinking`` is True.
    """
    height, width = out.shape[:2]
    is_gray = image.ndim == 2
    if image.shape[:2] != (height, width):
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if area_when_shrinking and shrinks else cv2.INTER_LINEAR
        # resizing a gray image as one channel takes a third of the work
        image = cv2.resize(image, (width, height), None if is_gray else out, interpolation=method)
    if is_gray:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB, dst=out)
    if image is not out:
        out[...] = image


@TRANSFORMS.register_module()
@dataclass(eq=False)
class LoadFrames:
    """Set ``frames``, uint8 (T, H, W, 3) in RGB order, from ``frame_paths``."""

    common_settings = MappingProxyType({'size': 'frame_size'})

    size: tuple[int, int] = (288, 144)  #: (H, W) of the result; frames of another size are resized bilinearly
    area_when_shrinking: bool = False  #: average over pixel areas if both sides shrink, which avoids aliasing
    backend: str = 'auto'  #: ``'cv2'``, ``'turbojpeg'`` (package simplejpeg), or the faster one; same pixels
    #: Decode JPEGs at 1/2, 1/4 or 1/8 of their size if not below ``size``; faster, but changes the pixels.
    reduce: bool = False

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise ConfigError(f'LoadFrames: size must be (height, width), both positive, got {self.size}')
        self.size = (int(self.size[0]), int(self.size[1]))
        self.backend, self._decode = choose_decoder(self.backend)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the decoded frames to ``results``."""
        storage = results.get('storage') or FolderFrames(results['root'])
        self._check_format(storage.frame_format, storage.root)
        load = cache(lambda frame: self._load(storage, frame, results))  # short tracklets repeat frames
        frames = np.empty((len(results['frame_paths']), *self.size, 3), np.uint8)
        for frame, out in zip(results['frame_paths'], frames, strict=True):
            fit_frame(load(frame), out, self.area_when_shrinking)
        results['frames'] = frames
        return results

    def _load(self, storage: FrameStorage, frame: str, results: dict[str, Any]) -> np.ndarray:
        tracklet = results['tracklet']
        where = f'frame of tracklet {results["index"]}, {tracklet.modality.value}, camera {tracklet.camera}'
        try:
            return decode_frame(storage, frame, self._decode, self.size if self.reduce else None)
        except FrameError as error:
            remedy = ", or set the dataset's on_bad_frame"
            if results.get('on_bad_frame', OnBadFrame.ERROR) is not OnBadFrame.ERROR:
                remedy = "; it could be read when the dataset's frames were checked, see docs/reliability.md"
            raise FrameError(f'{error}{remedy} ({where})') from None
        except DatasetError as error:
            raise DatasetError(f'{error} ({where})') from None

    def _check_format(self, packed: FrameFormat | None, root: Path | str) -> None:
        own = (self.size, self.area_when_shrinking)
        if packed is not None and (packed.size, packed.area_when_shrinking) != own:
            raise ConfigError(
                f'{root}: the frames were packed with size={packed.size} and area_when_shrinking='
                f'{packed.area_when_shrinking}; give LoadFrames the same, or pack the dataset again into a new folder'
            )


@TRANSFORMS.register_module()
class PackTracklet:
    """Pack frames and metadata into ``dict(inputs, data_samples)``.

    ``inputs`` is a uint8 tensor (T, 3, H, W) in RGB order, a channels-last view of the frames. ``data_samples`` is a
    ``ReIDDataSample`` with the meta information ``index``, ``same_as`` (the first row with the same frames),
    ``modality``, ``camera``, ``length`` (frames of the whole tracklet), ``seed``, ``position``, ``is_query`` and, only
    if the split has them, ``pid`` (labeled) and ``label`` (labeled train).
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack ``frames`` and the metadata of ``tracklet``; all other entries are dropped."""
        tracklet = results['tracklet']
        facts: dict[str, Any] = {name: int(results[name]) for name in ('index', 'same_as', 'seed', 'position')}
        facts |= dict(modality=tracklet.modality.value, camera=tracklet.camera)
        facts |= dict(length=len(tracklet), is_query=tracklet.is_query)
        known = dict(pid=tracklet.pid, label=results['label'])
        facts |= {name: int(number) for name, number in known.items() if number is not None}
        inputs = torch.from_numpy(results['frames']).permute(0, 3, 1, 2)
        return {'inputs': inputs, 'data_samples': ReIDDataSample(metainfo=facts)}
