"""The memory of a config's training step, computed from shapes alone, and the size of its batches."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine import Config
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dscreid.models.augmentation import TrackletAugmentation
from dscreid.registry import MODELS
from dscreid.structures import Modality

#: Bytes of a weight's two moments in Adam.
_MOMENTS = 8


class TrainingMemory(NamedTuple):
    """Bytes of a training step that stay on each device until its end; weights and Adam's moments are float32."""

    weights: int
    gradients: int
    moments: int  #: of Adam
    activations: int  #: that the backbone keeps for the backward pass, of the device's share of the batch

    @property
    def total(self) -> int:
        """All of them, without what one operation needs while it runs."""
        return sum(self)


def step_memory(config: Config, devices: int = 1, **backbone: Any) -> TrainingMemory:
    """Compute the memory of a config's training step on each of some devices, in the precision of its optimizer.

    ``backbone`` are settings that replace those of ``model.backbone``, such as ``with_cp=True``.
    """
    num_frames, size = frames_and_size(config)
    settings = {**config.model.backbone, **backbone}
    return training_memory(settings, (num_frames, *size), batch_views(config), devices, _low_precision(config))


def training_memory(
    backbone: Mapping[str, Any],
    size: tuple[int, int, int],
    tracklets: int,
    devices: int = 1,
    dtype: torch.dtype | None = None,
) -> TrainingMemory:
    """Compute the memory of a training step from shapes alone, without allocating it.

    Args:
        backbone: Config of a ``SpatioTemporalPrompting``, with or without ``with_cp``; its weights are not read.
        size: Frames of a tracklet, their height and width.
        tracklets: Tracklets of a batch of all devices; each view counts.
        devices: Devices that share the batch equally.
        dtype: ``torch.bfloat16`` or ``torch.float16`` of mixed precision; None for float32.
    """
    num_frames, height, width = size
    mixed: AbstractContextManager[Any] = nullcontext() if dtype is None else torch.autocast('cpu', dtype)
    with FakeTensorMode(), mixed:  # unlike on the device meta, attention is the fused one
        model = MODELS.build(dict(backbone)).train()
        share = torch.empty(-(-tracklets // devices), num_frames, 3, height, width)
        kept = saved_bytes(lambda: model(share))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return TrainingMemory(weights, trained, optimizer_bytes(model), kept)


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes of the distinct tensors, without parameters, that a call keeps for its gradient."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not isinstance(tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage  # kept alive, so that no address is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in kept.values())


def optimizer_bytes(model: nn.Module) -> int:
    """Return the bytes of Adam's two moments for all trainable parameters."""
    return sum(p.numel() * _MOMENTS for p in model.parameters() if p.requires_grad)


def batch_counts(sampler: Mapping[str, Any]) -> dict[Modality, int]:
    """Return the tracklets of each modality in a batch of a ``PseudoLabelSampler`` or ``IdentitySampler`` config."""
    if 'visible' in sampler:
        return {Modality.IR: int(np.prod(sampler['infrared'])), Modality.RGB: int(np.prod(sampler['visible']))}
    count = sampler['num_identities'] * sampler['num_tracklets']
    return {Modality.RGB: count, Modality.IR: count}


def batch_views(config: Config) -> int:
    """Return the number of tracklets of a batch that the backbone encodes, each in all views of its modality."""
    counts = batch_counts(config.train_dataloader.sampler)
    augmentation = (config.model.get('data_preprocessor') or {}).get('augmentation')
    if augmentation is None:
        return sum(counts.values())
    views = TrackletAugmentation(**{key: value for key, value in augmentation.items() if key != 'type'}).views
    return sum(count * len(views[modality.value]) for modality, count in counts.items())


def frames_and_size(config: Config) -> tuple[int, tuple[int, int]]:
    """Return the number of frames of a tracklet, and their height and width."""
    return config.num_frames, tuple(config.frame_size)


def _low_precision(config: Config) -> torch.dtype | None:
    """Return the type of a config's mixed precision, MMEngine's default if it names none; None for float32."""
    wrapper = config.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper':
        return None
    return getattr(torch, wrapper.get('dtype') or 'float16')
