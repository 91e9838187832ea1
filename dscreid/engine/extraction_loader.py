"""The loader with which a run's ClusterHook extracts the features that it labels."""

from collections.abc import Mapping
from typing import Any

#: Tracklets per batch, the "clustering batch" of the paper.
BATCH_SIZE = 128


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
