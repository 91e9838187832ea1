"""Load the frames of tracklets as the evaluation of a bundle's model does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dscreid.datasets.decoding import decode_frame
from dscreid.datasets.storage import FolderFrames
from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.datasets.transforms import LoadFrames, SampleFrames, fit_frame
from dscreid.deployment.bundle import Bundle
from dscreid.errors import DatasetError
from dscreid.registry import TRANSFORMS
from dscreid.structures import Modality, Tracklet
from dscreid.utils.natural_order import natural_key


class FrameLoader:
    """Samples, reads and resizes the frames of one tracklet as the evaluation of a bundle's model does."""

    def __init__(self, bundle: Bundle) -> None:
        self._sample: SampleFrames
        self._load: LoadFrames
        self._sample, self._load = (TRANSFORMS.build(dict(step)) for step in bundle.pipeline)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W) of the loaded frames."""
        return (self._sample.num_frames, *self._load.size)

    def __call__(self, tracklet: Any) -> torch.Tensor:
        """Load a tracklet, uint8 (T, 3, H, W)."""
        if isinstance(tracklet, TrackletOfDataset):
            frames = self._load(self._sample(tracklet.results()))['frames']
        elif isinstance(tracklet, np.ndarray):
            frames = self._fitted(_checked(tracklet)[self._chosen(len(tracklet))])
        elif isinstance(tracklet, list) and tracklet and isinstance(tracklet[0], np.ndarray):
            frames = self._fitted(_checked(tracklet[number][None])[0] for number in self._chosen(len(tracklet)))
        else:
            paths = paths_of(tracklet)
            frames = self._fitted(self._decoded(paths[number]) for number in self._chosen(len(paths)))
        return torch.from_numpy(frames).permute(0, 3, 1, 2)

    def _chosen(self, length: int) -> list[int]:
        """Sample T frames of a tracklet of some length."""
        tracklet = Tracklet(tuple(map(str, range(length))), Modality.RGB, camera=0)
        # the evaluation samples frames without random numbers
        results = self._sample({'tracklet': tracklet, 'rng': np.random.default_rng(0)})
        return results['frame_indices'].tolist()

    def _decoded(self, path: Path) -> npt.NDArray[np.uint8]:
        return decode_frame(
            FolderFrames(path.parent), path.name, self._load._decode, self._load.size if self._load.reduce else None
        )

    def _fitted(self, images: Iterable[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
        """Resize T images to uint8 (T, H, W, 3)."""
        fitted = np.empty((*self.shape, 3), np.uint8)
        for out, image in zip(fitted, images, strict=True):
            fit_frame(np.ascontiguousarray(image), out, self._load.area_when_shrinking)
        return fitted


class TrackletOfDataset(NamedTuple):
    """A tracklet of a dataset, by its row."""

    dataset: TrackletDataset
    row: int

    def results(self) -> dict[str, Any]:
        """Make the input of the evaluation's transforms."""
        return {
            'tracklet': self.dataset.tracklets[self.row],
            'root': self.dataset.root,
            'storage': self.dataset.storage,
            'index': self.row,
            'rng': np.random.default_rng(0),
        }


def paths_of(tracklet: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the pictures of a tracklet in temporal order, with links resolved.

    Raises:
        DatasetError: If the folder is missing or has no pictures, or no path is given.
    """
    if not isinstance(tracklet, (str, Path)):
        paths = [Path(path) for path in tracklet]
        if not paths:
            raise DatasetError('a tracklet has no pictures; leave it out')
    elif not Path(tracklet).exists():
        raise DatasetError(f'{tracklet}: does not exist; give the folder of a tracklet or the paths of its pictures')
    elif Path(tracklet).is_file():
        paths = [Path(tracklet)]
    else:
        inside = [path for path in Path(tracklet).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        paths = sorted((p for p in inside if not p.name.startswith('.')), key=lambda path: natural_key(path.name))
        if not paths:
            raise DatasetError(f'{tracklet}: contains no pictures; give the folder of a tracklet')
    return [path.resolve() for path in paths]


def _checked(frames: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise DatasetError(
            f'frames must be uint8 (T, H, W, 3) in RGB order with T >= 1, got {frames.dtype} {frames.shape}'
        )
    return frames
