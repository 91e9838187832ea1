"""The loaders of a training run, and what its dataset must contain."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import get_world_size
from torch.utils.data import DataLoader

from dscreid.datasets import TrackletDataset
from dscreid.datasets.samplers import SequentialSampler
from dscreid.datasets.samplers.batch_plan_sampler import BatchPlanSampler
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Modality

#: Default batch size when features are extracted for clustering, the paper's "clustering batch".
CLUSTERING_BATCH = 128
#: Settings of a training loader that also hold for the extraction.
_WORKERS = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')


def tracklet_counts(dataset: TrackletDataset) -> dict[Modality, int]:
    """Return the number of tracklets of each modality."""
    return {modality: len(dataset.indices(modality)) for modality in Modality}


def check_both_modalities(dataset: TrackletDataset) -> None:
    """Check that a training split has tracklets of both modalities, as adaptation requires.

    Raises:
        DatasetError: If a modality has no tracklet.
    """
    counts = tracklet_counts(dataset)
    missing = [modality for modality, count in counts.items() if not count]
    if not missing:
        return
    names = {Modality.RGB: 'visible', Modality.IR: 'infrared'}
    found = ', '.join(f'{count:,} {names[modality]}' for modality, count in counts.items() if count)
    rules = (
        [f'min_seq_len={dataset.min_seq_len} leaves out shorter tracklets'] if dataset.min_seq_len > 1 else []
    )
    if dataset.num_skipped_tracklets:
        rules.append(f'on_bad_frame=skip_tracklet left out {dataset.num_skipped_tracklets:,}')
    if dataset.modality is not None:
        rules.append(f'modality={dataset.modality.value!r} keeps only these')
    raise DatasetError(
        f'{dataset.root}: split {dataset.split!r} has no {names[missing[0]]} tracklet ({found or "none at all"}'
        f'{"".join(f"; {rule}" for rule in rules)}), but adaptation needs both modalities; check the index files'
        f'{" and these settings" if rules else ""}'
    )


def with_batch_size(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a loader's config with the ``batch_size`` of its sampler, if the sampler plans batches.

    Such a sampler plans the batches of all processes together, so their number does not change what is learned. The
    added ``batch_size`` is the share of this process.

    Raises:
        ConfigError: If the config also sets ``batch_size``.
    """
    settings = dict(settings)
    total = planned_batch_size(settings)
    if total is None:
        return settings
    if 'batch_size' in settings:
        raise ConfigError(
            f'train_dataloader: batch_size={settings["batch_size"]} is not needed, because its sampler '
            f'{settings["sampler"]["type"]} plans batches of {total} tracklets; remove batch_size, or change the '
            'numbers of the sampler'
        )
    return settings | {'batch_size': max(1, total // get_world_size())}


def planned_batch_size(settings: Mapping[str, Any]) -> int | None:
    """Return the batch size of all processes together that the sampler of a loader's config plans; None if it does not.

    The sampler itself rejects numbers that cannot be meant or divided among the processes.
    """
    sampler = dict(settings.get('sampler') or {})
    kind = sampler.pop('type', None)
    if isinstance(kind, str):
        kind = DATA_SAMPLERS.get(kind)
    if not isinstance(kind, type) or not issubclass(kind, BatchPlanSampler):
        return None
    try:
        return kind.draws_per_batch(sampler)
    except (TypeError, ValueError):
        return 1  # values that the sampler rejects when it is built


def cluster_settings(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config of the hook that clusters the training set (``ClusterHook``); None if there is none."""
    hooks = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    return next((hook for hook in hooks if hook and 'labelers' in hook), None)


def extraction_settings(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config of the loader from which ``ClusterHook`` extracts features; None without such a hook."""
    hook, train = cluster_settings(config), config.get('train_dataloader')
    if hook is None or train is None or 'pipeline' not in hook:
        return None
    settings = {key: train[key] for key in _WORKERS if key in train}
    if hook.get('num_workers') is not None:
        settings['num_workers'] = hook['num_workers']
    if not settings.get('num_workers'):
        settings.pop('persistent_workers', None)
        settings.pop('prefetch_factor', None)
    return copy.deepcopy(
        settings
        | dict(
            batch_size=hook.get('batch_size', CLUSTERING_BATCH),
            sampler=dict(type='SequentialSampler'),
            dataset={**train['dataset'], 'pipeline': hook['pipeline']},
        )
    )


def extraction_loader(
    trained: DataLoader,
    pipeline: Sequence[Any],
    batch_size: int,
    seed: int | None,
    num_workers: int | None = None,
) -> DataLoader:
    """Build a loader that gives each tracklet of a training loader once, in order, through another pipeline.

    Args:
        trained: The training loader, over a ``TrackletDataset``.
        pipeline: Transforms, or their configs.
        batch_size: Tracklets per batch and process.
        seed: The run's seed.
        num_workers: Number of worker processes; None for that of the training loader.
    """
    shared: Any = trained.dataset
    dataset = shared.with_pipeline(pipeline)
    workers = trained.num_workers if num_workers is None else num_workers
    return DataLoader(
        dataset,
        batch_size,
        sampler=SequentialSampler(dataset, seed),
        num_workers=workers,
        collate_fn=trained.collate_fn,
        pin_memory=trained.pin_memory,
        worker_init_fn=trained.worker_init_fn,
        prefetch_factor=trained.prefetch_factor if workers else None,
        persistent_workers=trained.persistent_workers and workers > 0,
    )


def check_num_classes(loader: DataLoader, num_classes: int) -> None:
    """Check that a classifier has an output for each identity of the loader's dataset.

    Raises:
        ConfigError: If the dataset is not labeled, or has more identities than outputs.
    """
    found = getattr(loader.dataset, 'num_classes', None)
    if found is None:
        raise ConfigError(
            'train_dataloader: SourceReID learns from labels, but the dataset has none; use a labeled train split'
        )
    if found > num_classes:
        raise ConfigError(
            f'model: num_classes={num_classes}, but the training split has {found} identities; set num_classes=None '
            'to have them counted'
        )
