"""Retrieval features of tracklets: pictures in, vectors out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.deployment.bundle import Bundle, build_model, read_bundle
from dscreid.deployment.export import SUFFIXES, read_exported
from dscreid.deployment.frames import FrameLoader, TrackletOfDataset
from dscreid.errors import ConfigError, TrainingError
from dscreid.structures import Modality
from dscreid.utils.progress import track

#: A folder of pictures, the paths of its pictures, frames, uint8 (T, H, W, 3) in RGB order, a list of frames of
#: different sizes, or a tracklet of a dataset.
Frames = str | Path | Sequence[str | Path] | npt.NDArray[np.uint8] | list[npt.NDArray[np.uint8]] | TrackletOfDataset


class TrackletInferencer:
    """Compute the retrieval features of tracklets, with all preprocessing of the evaluation.

    Args:
        bundle: Folder of a model bundle, a file exported from one (``.onnx`` or ``.pt2``), or the bundle.
        device: Device of the model; exported files run on the CPU.
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
        self._embed: Callable[[torch.Tensor, Sequence[str] | None], npt.NDArray[np.float32]]
        if not isinstance(bundle, Bundle) and Path(bundle).suffix in SUFFIXES:
            if torch.device(device).type != 'cpu':
                raise ConfigError(f'{bundle}: exported files run on the CPU here; use the bundle on {device}')
            self.bundle, run = read_exported(Path(bundle))
            self._embed = lambda frames, modalities: run(frames.numpy())
            self._needs_modalities = False
        else:
            self.bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
            model = _on_device(build_model(self.bundle), device)
            self._embed = lambda frames, modalities: _embedded(model, frames, modalities) * self.bundle.scale
            self._needs_modalities = model.needs_modalities
        self._loader = FrameLoader(self.bundle)
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
                paths of pictures, or frames, uint8 (T, H, W, 3) in RGB order or a list of (H, W, 3). T and H x W may
                differ.
            modalities: ``'rgb'`` or ``'ir'`` for each tracklet; only for encoders that need them.
            progress: Whether to show a progress bar.

        Returns:
            float32 (N, D). With ``retrieval='neck'`` they have unit length, so that their inner product is the mean of
            the cosines of both halves: half of the evaluation's score, in the same order.

        Raises:
            DatasetError: If a tracklet has no frames, or a picture cannot be read; the message names it.
            ConfigError: If the encoder needs modalities and they are missing.
        """
        if isinstance(tracklets, TrackletDataset):
            modalities = [tracklet.modality for tracklet in tracklets.tracklets]
            items: Sequence[Any] = [TrackletOfDataset(tracklets, row) for row in range(len(tracklets))]
        elif isinstance(tracklets, (str, Path)):
            raise ConfigError(f'{tracklets}: give a list of tracklets, for example [{str(tracklets)!r}]')
        else:
            items = tracklets
        if self._needs_modalities and (modalities is None or len(modalities) != len(items)):
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

    def embed(self, frames: torch.Tensor, modalities: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """Compute features, float32 (N, D), of loaded frames, uint8 (N, T, 3, H, W).

        Raises:
            TrainingError: If a feature is not finite.
        """
        features = self._embed(frames, modalities if self._needs_modalities else None)
        if not np.isfinite(features).all():
            raise TrainingError(f'{self.bundle.folder}: features are not finite; the weights are not usable')
        return features


@torch.inference_mode()
def _embedded(model: Any, frames: torch.Tensor, modalities: Sequence[str] | None) -> npt.NDArray[np.float32]:
    inputs = model.data_preprocessor({'inputs': frames}, training=False)['inputs']
    return model.rank_features(inputs, modalities).cpu().numpy()


def _on_device(model: Any, device: str | torch.device) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {str(device)!r} cannot be used ({reason}); use 'cpu' or 'cuda'") from None


class _Items(Dataset):
    def __init__(self, items: Sequence[Any], load: FrameLoader) -> None:
        self.items, self.load = items, load

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.load(self.items[row])
