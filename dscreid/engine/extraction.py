"""Extract the features of all tracklets, recalibrate the necks with them, and describe ClusterHook's loader."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.datasets import TrackletDataset
from dscreid.datasets.samplers import SequentialSampler
from dscreid.distributed import gather_objects
from dscreid.errors import ConfigError, DatasetError
from dscreid.models.reid import BaseReID
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.progress import track

#: Tracklets per batch, the "clustering batch" of the paper.
BATCH_SIZE = 128


def extract_features(
    model: BaseReID, dataloader: DataLoader, encode: Callable[..., TrackletFeatures], description: str = 'extract'
) -> TrackletFeatures:
    """Extract the static and dynamic features of each tracklet once; the model's mode is restored.

    Each rank extracts its share (see ``SequentialSampler``); all ranks return all rows. ``encode`` maps inputs
    (N, T, 3, H, W), and the modalities if the model has ``needs_modalities``, to N features.

    Returns:
        Float32 features (N, D) on the model's device; row i belongs to tracklet i of the dataset.

    Raises:
        ConfigError: If the loader omitted or repeated a tracklet.
    """

    def halves(*batch: Any) -> tuple[Tensor, Tensor]:
        features = encode(*batch)
        return features.static, features.dynamic

    static, dynamic = extract_rows(model, dataloader, halves, description)
    device = next(model.parameters()).device
    return TrackletFeatures(static=static.to(device), dynamic=dynamic.to(device))


@torch.no_grad()
def extract_rows(
    model: BaseReID, dataloader: DataLoader, encode: Callable[..., tuple[Tensor, ...]], description: str
) -> list[Tensor]:
    """Compute any values of each tracklet in the way of :func:`extract_features`.

    ``encode`` returns tensors with N rows. The results are float32 on the CPU, with a row for each tracklet.
    """
    start, was_training = time.perf_counter(), model.training
    model.eval()
    indices: list[int] = []
    found: list[list[Tensor]] = []
    for batch in track(dataloader, description, total=len(dataloader)):
        batch = model.data_preprocessor(batch, training=False)
        samples = batch['data_samples']
        modalities = [model.modalities_of(samples)] if getattr(model, 'needs_modalities', False) else []
        found.append([part.float().cpu() for part in encode(batch['inputs'], *modalities)])
        indices.extend(sample.index for sample in samples)
    model.train(was_training)

    dataset: Any = dataloader.dataset
    values = _gather_rows(indices, found, len(dataset))
    rate = len(dataset) / (time.perf_counter() - start)
    print_log(f'{description}: {len(dataset)} tracklets, {rate:.1f} tracklets/s', logger='current')
    return values


@torch.no_grad()
def recalibrated_features(model: BaseReID, dataloader: DataLoader) -> TrackletFeatures:
    """Set the necks' statistics to those of a loader's raw features, and return the tracklets' embeddings.

    The encoder runs only once, because necks act on raw features; with ``flip_test``, which averages after the necks,
    it runs twice.
    """
    dataset: Any = dataloader.dataset
    if len(dataset) < 2:
        raise DatasetError(
            f'{dataset.root}: the necks cannot be recalibrated on split {dataset.split!r}, which has {len(dataset)} '
            'tracklet; statistics need at least two, so check the index files, min_seq_len and on_bad_frame'
        )
    raw = extract_features(model, dataloader, lambda *batch: TrackletFeatures(*model.extract_feat(*batch)))
    model.recalibrate_necks(raw.static, raw.dynamic)
    if model.flip_test:
        return extract_features(model, dataloader, model.embed)
    was_training = model.training
    features = model.eval().finish(raw)
    model.train(was_training)
    return features


def training_set_loader(
    train_loader: DataLoader, pipeline: Sequence[Mapping], batch_size: int, num_workers: int | None = None
) -> DataLoader:
    """Make a loader that reads the tracklets of a training loader in order, with another pipeline.

    With ``num_workers=None`` it has as many worker processes as the training loader.
    """
    workers = train_loader.num_workers if num_workers is None else num_workers
    trained: Any = train_loader.dataset
    dataset = trained.with_pipeline(pipeline)
    names = ['collate_fn', 'pin_memory', 'worker_init_fn']
    names += ['prefetch_factor', 'persistent_workers'] if workers else []
    shared: dict[str, Any] = {name: getattr(train_loader, name) for name in names}
    return DataLoader(dataset, batch_size, sampler=SequentialSampler(dataset), num_workers=workers, **shared)


def check_both_modalities(dataset: TrackletDataset) -> None:
    """Raise a DatasetError if a training split lacks the tracklets of a modality."""
    visible, infrared = (len(dataset.indices(modality)) for modality in Modality)
    if not visible or not infrared:
        raise DatasetError(
            f'{dataset.root}: split {dataset.split!r} has {visible:,} visible and {infrared:,} infrared tracklets, but '
            f'adaptation needs both modalities; check the index files, min_seq_len={dataset.min_seq_len}, '
            f'modality={dataset.modality and dataset.modality.value!r} and on_bad_frame (skip_tracklet left out '
            f'{dataset.num_skipped_tracklets:,})'
        )


def _gather_rows(indices: list[int], batches: list[list[Tensor]], num_rows: int) -> list[Tensor]:
    """Join the batches of all ranks, each a list of several values of its tracklets, in the order of the dataset."""
    own = [torch.cat(values) for values in zip(*batches, strict=True)]
    gathered = gather_objects((indices, own))
    all_indices = [index for rank_indices, _ in gathered for index in rank_indices]
    if sorted(all_indices) != list(range(num_rows)):
        raise ConfigError(
            f'extraction received {len(all_indices)} tracklets ({len(set(all_indices))} different ones) of {num_rows}, '
            'but needs each one once; use SequentialSampler or ConsistentModalitySampler, without drop_last'
        )
    order = torch.as_tensor(all_indices).argsort()
    shares = [values for rank_indices, values in gathered if rank_indices]
    return [torch.cat(parts)[order] for parts in zip(*shares, strict=True)]


def cluster_hook_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the settings of a config's ``ClusterHook`` in the config itself, not a copy; None if it has none."""
    hooks = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    return next((hook for hook in hooks if hook and hook.get('type') == 'ClusterHook'), None)


def extraction_loader(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the settings of the loader that a config's ``ClusterHook`` makes; None if it labels no training split.

    It reads the tracklets of ``train_dataloader`` in order, with the hook's pipeline.
    """
    hook, train = cluster_hook_of(config), config.get('train_dataloader')
    if hook is None or train is None:
        return None
    workers = hook.get('num_workers')
    workers = (train.get('num_workers') if workers is None else workers) or 0
    shared = ('pin_memory', 'persistent_workers', 'prefetch_factor') if workers else ('pin_memory',)
    return {
        'batch_size': hook.get('batch_size', BATCH_SIZE),
        'num_workers': workers,
        **{key: train[key] for key in shared if key in train},
        'sampler': {'type': 'SequentialSampler'},
        'dataset': {**train['dataset'], 'pipeline': hook['pipeline']},
    }
