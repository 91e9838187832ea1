"""Export a trained tower to a separate weights file that also stores the settings needed to load it."""

import json
from pathlib import Path

from mmengine import Config
from safetensors.torch import save_file
from torch import Tensor

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.pretrained import TOWER_KIND
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import ARCHITECTURE_KEY, in_words, list_differences, load_checkpoint, load_weights
from dscreid.utils.files import replacing

TOWER_PREFIX = 'backbone.tower.'


def export_tower(
    checkpoint: str,
    target: str | Path,
    tower: dict | None = None,
    prefix: str = TOWER_PREFIX,
    half: bool = False,
    note: str | None = None,
) -> dict:
    """Write the tower of a checkpoint to a ``.safetensors`` file with open_clip's names, and return its settings.

    The config of the tower is read from the checkpoint unless it is given, ``prefix`` is that of the names of its
    weights, and ``note`` a text to store. ``half`` stores matrices, but not vectors, in half precision. Raises
    CheckpointError or ConfigError if the tower cannot be read.
    """
    weights = {
        name.removeprefix(prefix): value for name, value in load_weights(checkpoint).items() if name.startswith(prefix)
    }
    if not weights:
        raise CheckpointError(f'{checkpoint}: contains no weights named {prefix}*; give their prefix')
    module = MODELS.build({**(tower or _tower_config(checkpoint)), 'pretrained': None})
    if differences := list_differences(module, weights):
        raise CheckpointError(f'{checkpoint}: its tower is not that of its config ({in_words(differences)})')
    metadata = {'format': 'pt', 'kind': TOWER_KIND, 'settings': json.dumps(module.settings)}
    if note:
        metadata['note'] = note
    with replacing(target) as path:
        save_file({name: _stored(value, half) for name, value in weights.items()}, path, metadata)
    return module.settings


def _tower_config(checkpoint: str) -> dict:
    meta = load_checkpoint(checkpoint).get('meta') or {}
    if 'tower' in meta:
        return {'type': 'CLIPVisionTransformer', **meta['tower']}
    settings = meta.get(ARCHITECTURE_KEY) or {}
    config = Config()
    config.merge_from_dict({k: v for k, v in settings.items() if k.startswith(TOWER_PREFIX)})
    if not config:
        raise ConfigError(f'{checkpoint}: does not contain the config of its tower; give the config file')
    return config.to_dict()['backbone']['tower']


def _stored(value: Tensor, half: bool) -> Tensor:
    value = value.contiguous()
    return value.half() if half and value.is_floating_point() and value.ndim > 1 else value.clone()
