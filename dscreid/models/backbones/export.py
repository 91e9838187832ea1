"""Export a trained tower to a separate weights file that also stores the settings needed to load it."""

import ast
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.pretrained import TOWER_KIND
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import in_words, list_differences, load_checkpoint, load_weights
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
    """Write the tower of a checkpoint to a ``.safetensors`` file with the parameter names of open_clip.

    The metadata of the file store the settings of the tower, which this function returns. ``CLIPVisionTransformer``
    compares them with its config when it loads the file.

    Args:
        checkpoint: Path of a checkpoint of this project.
        target: Path of the file to write.
        tower: Config of the tower. None reads it from the checkpoint; see ``tower_config``.
        prefix: Prefix of the names of the tower's weights.
        half: Store matrices in half precision. Vectors (biases, norms) stay in single precision.
        note: Text to store in the file, such as the command and seed that produced it.

    Raises:
        CheckpointError: If the checkpoint cannot be read, or its tower does not match the config.
        ConfigError: If no config is known.
    """
    weights = {
        name.removeprefix(prefix): value for name, value in load_weights(checkpoint).items() if name.startswith(prefix)
    }
    if not weights:
        raise CheckpointError(f'{checkpoint}: contains no weights named {prefix}*; give their prefix')
    module = MODELS.build({**(tower or tower_config(checkpoint)), 'pretrained': None})
    if differences := list_differences(module, weights):
        raise CheckpointError(f'{checkpoint}: its tower is not that of its config ({in_words(differences)})')
    metadata = {'format': 'pt', 'kind': TOWER_KIND, 'settings': json.dumps(module.settings)}
    if note:
        metadata['note'] = note
    with replacing(target) as path:
        save_file({name: _stored(value, half) for name, value in weights.items()}, path, metadata)
    return module.settings


def tower_config(checkpoint: str) -> dict:
    """Read the config of the tower from ``meta['tower']`` of a checkpoint, or from the text of its training config.

    The text is parsed, not executed. Only literals and ``dict(...)`` are supported, which is what MMEngine writes.

    Raises:
        ConfigError: If the checkpoint does not contain the config.
    """
    meta = load_checkpoint(checkpoint).get('meta') or {}
    if 'tower' in meta:
        return {'type': 'CLIPVisionTransformer', **meta['tower']}
    try:
        for statement in ast.parse(meta.get('cfg') or '').body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == 'model':
                return dict(_literal(statement.value)['backbone']['tower'])
    except (AttributeError, KeyError, SyntaxError, TypeError, ValueError):
        pass
    raise ConfigError(f'{checkpoint}: does not contain the config of its tower; give the config file')


def _literal(node: ast.AST | None) -> Any:
    """Evaluate literals and ``dict`` calls with keyword arguments."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError('only dict(key=value) is supported')
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_literal(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    return ast.literal_eval(node)  # type: ignore[arg-type]  # None is refused


def _stored(value: Tensor, half: bool) -> Tensor:
    value = value.contiguous()
    return value.half() if half and value.is_floating_point() and value.ndim > 1 else value.clone()
