"""The loader with which a run's ClusterHook extracts the features that it labels."""

from collections.abc import Mapping
from typing import Any

#: Tracklets per batch, the "clustering batch" of the paper.
BATCH_SIZE = 128
#: Settings of the training loader that the extraction loader shares.
_SHARED = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor')


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
    settings = {key: train[key] for key in _SHARED if key in train}
    if hook.get('num_workers') is not None:
        settings['num_workers'] = hook['num_workers']
    if not settings.get('num_workers'):
        settings = {'num_workers': 0, **{key: settings[key] for key in ('pin_memory',) if key in settings}}
    return {
        'batch_size': hook.get('batch_size', BATCH_SIZE),
        **settings,
        'sampler': {'type': 'SequentialSampler'},
        'dataset': {**train['dataset'], 'pipeline': hook['pipeline']},
    }
