"""Retrieval features of tracklets: pictures in, vectors out."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from dscreid.datasets.decoding import decode_frame
from dscreid.datasets.storage import FolderFrames
from dscreid.datasets.storage.frame_storage import IMAGE_SUFFIXES
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.datasets.transforms.load_frames import LoadFrames, fit_frame
from dscreid.datasets.transforms.sample_frames import SampleFrames
from dscreid.deployment.bundle import Bundle, build_model, read_bundle
from dscreid.errors import ConfigError, DatasetError, TrainingError
from dscreid.registry import TRANSFORMS
from dscreid.structures import Modality, Tracklet
from dscreid.utils.natural_order import natural_key
from dscreid.utils.progress import track

#: A folder of pictures, the paths of its pictures, or frames, uint8 (T, H, W, 3) in RGB order.
Frames = str | Path | Sequence[str | Path] | npt.NDArray[np.uint8]


class TrackletInferencer:
    """Compute the retrieval features of tracklets, with all preprocessing of the evaluation.

    Args:
        bundle: Folder of a model bundle, or the bundle.
        device: Device of the model.
        batch_size: Number of tracklets per batch.
        num_workers: Number of processes that load pictures; 0 loads them in this process.

    Raises:
        CheckpointError: If the bundle is damaged or incomplete.
        ConfigError: If the device cannot be used.

    Example::

        inferencer = TrackletInferencer('bundles/gate')
        features = inferencer(['tracks/gate_rgb/0001', 'tracks/yard_ir/0007'])
        similarity = features @ features.T
    """

    def __init__(
        self,
        bundle: str | Path | Bundle,
        device: str | torch.device = 'cpu',
        batch_size: int = 32,
        num_workers: int = 0,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self._loader = FrameLoader(self.bundle)
        self._model = build_model(self.bundle)
        try:
            self._model.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"device {str(device)!r} cannot be used ({reason}); take 'cpu' or 'cuda'") from None
        self.batch_size = batch_size
        self.num_workers = num_workers

    def __call__(
        self,
        tracklets: TrackletDataset | Sequence[Frames],
        modalities: Sequence[str | Modality] | None = None,
        progress: bool = True,
    ) -> npt.NDArray[np.float32]:
        """Compute the features of tracklets.

        Args:
            tracklets: A dataset, or N tracklets, each a folder of pictures in the order of their names, a sequence of
                paths of pictures, or frames, uint8 (T, H, W, 3) in RGB order. T and H x W may differ.
            modalities: ``'rgb'`` or ``'ir'`` for each tracklet; only for encoders that need them.
            progress: Whether to show a progress bar.

        Returns:
            float32 (N, D). With ``retrieval='neck'`` they have unit length, so that their inner product is the mean of
            the cosines of both halves: half of the evaluation's score, in the same order.

        Raises:
            DatasetError: If a tracklet has no frames, or a picture cannot be read; names it.
            ConfigError: If the encoder needs modalities and they are missing.
        """
        if isinstance(tracklets, TrackletDataset):
            modalities = [tracklet.modality for tracklet in tracklets.tracklets]
            items: Sequence[Any] = [_OfDataset(tracklets, row) for row in range(len(tracklets))]
        elif isinstance(tracklets, (str, Path)):
            raise ConfigError(f'{tracklets}: give a list of tracklets, for example [{str(tracklets)!r}]')
        else:
            items = tracklets
        if self._model.needs_modalities and (modalities is None or len(modalities) != len(items)):
            raise ConfigError('the encoder of this bundle needs the modality of each tracklet; give modalities')
        kinds = None if modalities is None else [Modality(modality).value for modality in modalities]
        loader = DataLoader(
            _Items(items, self._loader),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=torch.stack,
        )
        features = np.zeros((len(items), self.bundle.feature['size']), dtype=np.float32)
        batches = track(loader, 'features', total=len(loader)) if progress else loader
        for number, frames in enumerate(batches):
            rows = slice(number * self.batch_size, number * self.batch_size + len(frames))
            features[rows] = self.embed(frames, None if kinds is None else kinds[rows])
        return features

    @torch.inference_mode()
    def embed(self, frames: torch.Tensor, modalities: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Compute features, float32 (N, D), of loaded frames, uint8 (N, T, 3, H, W).

        Raises:
            TrainingError: If a feature is not finite.
        """
        inputs = self._model.data_preprocessor({'inputs': frames}, training=False)['inputs']
        halves = self._model.embed(inputs, modalities if self._model.needs_modalities else None)
        feature = halves.concatenated().float().cpu()
        if not feature.isfinite().all():
            raise TrainingError(f'{self.bundle.folder}: features are not finite; the weights are not usable')
        return scaled(feature.numpy(), self.bundle)


def scaled(features: npt.NDArray[np.float32], bundle: Bundle) -> npt.NDArray[np.float32]:
    """Scale joined halves of unit length to unit length; raw features stay as they are."""
    return features if bundle.model['retrieval'] == 'raw' else features / np.float32(math.sqrt(2))


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
        if isinstance(tracklet, _OfDataset):
            frames = self._load(self._sample(tracklet.results()))['frames']
        elif isinstance(tracklet, np.ndarray):
            frames = self._fitted(_checked(tracklet)[self._chosen(len(tracklet))])
        else:
            paths = paths_of(tracklet)
            frames = self._fitted(self._decoded(paths[number]) for number in self._chosen(len(paths)))
        return torch.from_numpy(frames).permute(0, 3, 1, 2)

    def _chosen(self, length: int) -> list[int]:
        """Sample T frames of a tracklet of some length."""
        tracklet = Tracklet(tuple(map(str, range(length))), Modality.RGB, camera=0)
        # the rules of the evaluation draw nothing
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


class _OfDataset(NamedTuple):
    """A tracklet of a dataset, by its row."""

    dataset: TrackletDataset
    row: int

    def results(self) -> dict[str, Any]:
        return {
            'tracklet': self.dataset.tracklets[self.row],
            'root': self.dataset.root,
            'storage': self.dataset.storage,
            'index': self.row,
            'rng': np.random.default_rng(0),
        }


class _Items(Dataset):
    def __init__(self, items: Sequence[Any], load: FrameLoader) -> None:
        self.items, self.load = items, load

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.load(self.items[row])


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
            raise DatasetError(f'{tracklet}: contains no pictures')
    return [path.resolve() for path in paths]


def _checked(frames: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise DatasetError(
            f'frames must be uint8 (T, H, W, 3) in RGB order with T >= 1, got {frames.dtype} {frames.shape}'
        )
    return frames
