"""Extract the features of all tracklets of a data loader, in dataset order."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.distributed import gather_objects
from dscreid.errors import ConfigError
from dscreid.models.reid import BaseReID
from dscreid.structures import ReIDDataSample, TrackletFeatures
from dscreid.utils.progress import track


@torch.no_grad()
def extract_features(
    model: BaseReID,
    dataloader: DataLoader,
    encode: Callable[..., TrackletFeatures],
    description: str = 'extract',
) -> TrackletFeatures:
    """Extract the static and dynamic features of each tracklet once.

    Each rank extracts its share (see ``SequentialSampler``); all ranks return all rows. The model's mode (training
    or evaluation) is restored.

    Args:
        model: A re-ID model with a ``data_preprocessor``, not wrapped for distributed use.
        dataloader: Loader over the dataset with the evaluation pipeline.
        encode: Maps normalized inputs (N, T, 3, H, W) to N features, for example ``model.embed``. If the model has
            ``needs_modalities``, the second argument is the modality of each tracklet.
        description: Text next to the progress bar.

    Returns:
        Float32 features (N, D) on the model's device; row i belongs to tracklet i of the dataset.

    Raises:
        ConfigError: If the loader omitted or repeated a tracklet.
    """
    was_training = model.training
    model.eval()
    start = time.perf_counter()
    dataset: Any = dataloader.dataset
    indices: list[int] = []
    rows: tuple[list[Tensor], list[Tensor]] = ([], [])
    for batch in track(dataloader, description, total=len(dataloader)):
        batch = model.data_preprocessor(batch, training=False)
        features = encode(batch['inputs'], *_modalities(model, batch['data_samples']))
        indices.extend(sample.index for sample in batch['data_samples'])
        rows[0].append(features.static.float())
        rows[1].append(features.dynamic.float())
    model.train(was_training)

    num_tracklets = len(dataset)
    device = next(model.parameters()).device
    static, dynamic = (_gather_rows(indices, half, num_tracklets).to(device) for half in rows)
    rate = num_tracklets / (time.perf_counter() - start)
    print_log(f'{description}: {num_tracklets} tracklets, {rate:.1f} tracklets/s', logger='current')
    return TrackletFeatures(static=static, dynamic=dynamic)


def _modalities(model: BaseReID, data_samples: Sequence[ReIDDataSample]) -> tuple[list[str] | None, ...]:
    """Return ``encode``'s extra arguments: the modalities, or nothing for models that do not need them."""
    if not getattr(model, 'needs_modalities', False):
        return ()
    return (model.modalities_of(data_samples),)


def _gather_rows(indices: list[int], rows: list[Tensor], num_rows: int) -> Tensor:
    """Collect the rows of all ranks in dataset order, on the CPU."""
    local = torch.cat(rows).cpu() if rows else torch.empty(0)
    gathered = gather_objects((indices, local))
    all_indices = [index for rank_indices, _ in gathered for index in rank_indices]
    if sorted(all_indices) != list(range(num_rows)):
        raise ConfigError(
            f'extraction received {len(all_indices)} tracklets ({len(set(all_indices))} different ones) of {num_rows}: '
            'the loader must give each tracklet once; use SequentialSampler or ConsistentModalitySampler, without '
            'drop_last'
        )
    all_rows = torch.cat([rank_rows for _, rank_rows in gathered if len(rank_rows)])
    ordered = torch.empty_like(all_rows)
    ordered[torch.as_tensor(all_indices)] = all_rows
    return ordered
