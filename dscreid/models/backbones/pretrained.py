"""Load published or exported weights into CLIP's vision tower, and export a trained tower to a file of its own."""

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine import Config
from safetensors.torch import save_file
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import (
    ARCHITECTURE_KEY,
    in_words,
    list_differences,
    load_checkpoint,
    load_weights,
    read_metadata,
    sha256,
)
from dscreid.utils.files import existing_file, replacing
from dscreid.utils.shipped import locate_weights
from dscreid.utils.torchscript import is_torchscript

# From OpenAI's release, whose URL contains the hash; open_clip's pretrained.py lists the same hash.
OPENAI_VIT_B_16_SHA256 = '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f'
OPENAI_VIT_B_16_URL = f'https://openaipublic.azureedge.net/clip/models/{OPENAI_VIT_B_16_SHA256}/ViT-B-16.pt'
OPENAI_VIT_B_16_HUB = 'timm/vit_base_patch16_clip_224.openai (open_clip_model.safetensors)'
#: What to do if a file of CLIP is missing.
CLIP_REMEDY = (
    f"for CLIP ViT-B/16 get OpenAI's file from {OPENAI_VIT_B_16_URL} (sha256 {OPENAI_VIT_B_16_SHA256}), or from the "
    f'Hugging Face hub {OPENAI_VIT_B_16_HUB}'
)
TOWER_KIND = 'dscreid-tower'
TOWER_PREFIX = 'backbone.tower.'
#: In exported files, prefix of the weights of the tower's encoder, such as prompts.
ENCODER_PREFIX = 'encoder.'
HEAD_WIDTH = 64  # of OpenAI's vision transformers

# Settings that must match the config; image_size may differ because positions are resized.
_STRICT_SETTINGS = ('patch_size', 'width', 'layers', 'heads', 'stem')
# Parts of a CLIP model other than its visual tower, with the names used by OpenAI and open_clip.
_TEXT_PARTS = (
    'transformer.', 'token_embedding.', 'positional_embedding', 'ln_final.', 'text_projection', 'text.', 'logit_scale',
    'logit_bias', 'attn_mask', 'input_resolution', 'context_length', 'vocab_size',
)  # fmt: skip


def skip_pretrained(model: nn.Module) -> None:
    """Mark all towers in a model as initialized, so that ``init_weights`` loads no pretrained files."""
    for module in model.modules():
        if hasattr(module, 'pretrained_sha256'):
            module.is_init = True  # type: ignore[assignment]  # towers are modules of MMEngine


def load_pretrained_tower(
    tower: nn.Module, path: str, sha256: str | None = None, activation: str | None = None
) -> None:
    """Load a weights file into a :class:`CLIPVisionTransformer`, in place.

    Raises CheckpointError if the file is missing, has a different hash, is damaged, is not a CLIP model or tower, or
    does not fit the tower; ConfigError if the activation of the file is unknown, or contradicts ``activation`` or that
    of the tower.
    """
    file = find_weights(path, sha256, CLIP_REMEDY)
    content = load_weights(file)
    whole_model = any(name.startswith('visual.') for name in content)
    weights = _visual_tower(path, content, 'visual.' if whole_model else '')
    stored = stored_settings(path, file, weights, activation)
    settings = json.loads(json.dumps(tower.settings))
    check_activation(path, stored, settings['activation'])
    for name in _STRICT_SETTINGS:
        if name in stored and stored[name] != settings[name]:
            raise CheckpointError(
                f'{path}: is a tower with {name}={stored[name]}, the config says {name}={settings[name]}'
            )
    if 'positional_embedding' in weights:
        grid: tuple[int, int] = tower.grid_size  # type: ignore[assignment]  # a plain attribute of the tower
        height, width = (side // settings['patch_size'] for side in stored.get('image_size', (0, 0)))
        embedding, source = weights['positional_embedding'], (height, width) if height else None
        # the grid of every published CLIP model is square
        weights['positional_embedding'] = fit_positional_embedding(embedding, grid, path, source, square=whole_model)
    if differences := list_differences(tower, weights):
        raise CheckpointError(f'{path}: does not fit the tower of the config ({in_words(differences)})')
    tower.load_state_dict(weights)


def load_pretrained_encoder(encoder: nn.Module, path: str, sha256: str | None = None) -> None:
    """Load all weights of an encoder outside its ``tower`` from a file of ``export_tower``, in place.

    Raises CheckpointError if the file has none, or if they do not fit the encoder.
    """
    file = find_weights(path, sha256, 'export it with dscreid export-tower --encoder')
    content = load_weights(file).items()
    weights = {name.removeprefix(ENCODER_PREFIX): value for name, value in content if name.startswith(ENCODER_PREFIX)}
    if not weights:
        raise CheckpointError(
            f'{path}: contains a tower only; export it with --encoder, or set pretrained_prompts=False in the config'
        )
    weights |= {name: value for name, value in encoder.state_dict().items() if name.startswith('tower.')}
    if differences := list_differences(encoder, weights):
        remedy = 'set pretrained_prompts=False to train them from random weights'
        raise CheckpointError(f'{path}: does not fit the encoder of the config ({in_words(differences)}); {remedy}')
    encoder.load_state_dict(weights)


def check_activation(path: str, stored: dict[str, Any], wanted: str) -> None:
    """Raise a ConfigError if a file was trained with another activation than that of the config."""
    if (trained := stored['activation']) != wanted:
        raise ConfigError(f'{path}: was trained with {trained}, not {wanted}; set activation={trained!r} in the config')


def stored_settings(path: str, file: Path, weights: dict[str, Tensor], activation: str | None) -> dict[str, Any]:
    """Read the known settings of a file's tower, always with 'activation'; all of them for exported towers.

    ``weights`` are those of the tower, or at least its ``class_embedding``.
    """
    settings: dict[str, Any] = {}
    metadata = read_metadata(file)
    if metadata.get('kind') == TOWER_KIND:
        settings = _exported_settings(file, metadata.get('settings', ''))
    elif is_torchscript(file):  # only OpenAI publishes CLIP as TorchScript
        settings = {'heads': weights['class_embedding'].numel() // HEAD_WIDTH, 'activation': 'quick_gelu'}
    known = settings.setdefault('activation', activation)
    if activation not in (None, known):
        raise ConfigError(f'{path}: was trained with {known}, but pretrained_activation says {activation}')
    if known is None:
        raise ConfigError(
            f"{path}: does not say with which activation it was trained; set pretrained_activation='quick_gelu' in "
            "the tower's config for weights of OpenAI, 'gelu' for most others of open_clip"
        )
    return settings


def find_weights(path: str, expected: str | None, remedy: str) -> Path:
    """Find a weights file and check its SHA-256 (None accepts any file); raises CheckpointError."""
    file = existing_file(locate_weights(path))
    if file is None:
        raise CheckpointError(f'{path}: pretrained weights not found; {remedy}, and set `pretrained` to its path')
    if expected is not None and (found := sha256(file)) != expected.lower():
        remedy = 'fetch the file again, or correct `pretrained_sha256`'
        raise CheckpointError(f'{file}: has sha256 {found}, expected {expected.lower()}; {remedy}')
    return file


def fit_positional_embedding(
    embedding: Tensor,
    grid: tuple[int, int],
    path: str,
    source: tuple[int, int] | None = None,
    square: bool = False,
    upright: bool = False,
) -> Tensor:
    """Resize the positional embedding of a file, floats ``(1 + P, D)``, to the ``grid`` of a tower: ``(1 + H * W, D)``.

    ``source`` is the grid of the file, if known. Otherwise it is square, or, unless ``square`` is True, equal to
    ``grid``, or, if ``upright`` is True, twice as high as wide. The result is float32.
    """
    if embedding.ndim != 2 or not embedding.is_floating_point():
        found = f'{embedding.dtype} of shape {tuple(embedding.shape)}'
        raise CheckpointError(f'{path}: positional_embedding is {found}, expected floats of shape (1 + P, D)')
    positions = len(embedding) - 1
    side = math.isqrt(max(positions, 0))
    shapes = {(side, side)} if square else {(side, side), grid}
    if upright:
        half = math.isqrt(max(positions // 2, 0))
        shapes |= {(2 * half, half)}
    candidates = sorted(shape for shape in ({source} if source else shapes) if math.prod(shape) == positions)
    if not candidates:
        raise CheckpointError(
            f'{path}: positional_embedding has {positions + 1} rows, not those of a class position and a square or '
            f'{grid[0]}x{grid[1]} grid; use the config with which the file was written'
        )
    if len(candidates) > 1:
        grids = ' or '.join(f'{height}x{width}' for height, width in candidates)
        raise CheckpointError(
            f'{path}: its {positions} positions may be a grid of {grids}; export the tower with '
            'tools/model_converters/export_tower.py, which records its image_size, or choose another image_size'
        )
    return resize_positional_embedding(embedding.float(), candidates[0], grid)


def _visual_tower(path: str, weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    unknown = [name for name in weights if not name.startswith((prefix, *_TEXT_PARTS))]
    if unknown:
        raise CheckpointError(f'{path}: contains weights that belong to no CLIP model ({in_words(unknown)})')
    names = [name for name in weights if name.startswith(prefix) and not name.startswith(ENCODER_PREFIX)]
    tower = {name.removeprefix(prefix): weights[name] for name in names}
    tower.pop('proj', None)
    if 'class_embedding' not in tower:
        raise CheckpointError(f'{path}: contains no vision transformer of CLIP (class_embedding is missing)')
    return tower


def _exported_settings(file: Path, text: str) -> dict[str, Any]:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        settings = json.loads(text)
        sizes = [settings['patch_size'], *settings['image_size']]
        usable = len(sizes) == 3 and all(type(size) is int and 0 < size < 2**20 for size in sizes)
        if usable and isinstance(settings['activation'], str):
            return settings
    raise CheckpointError(f'{file}: its settings are damaged; export the tower again')


def resize_positional_embedding(embedding: Tensor, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """Resize a positional embedding, ``(1 + h * w, D)``, from the grid ``source`` = (h, w) to ``target``; same dtype.

    The position of the class token, which comes first, is unchanged. Interpolation is bilinear without antialiasing,
    as in VLD and earlier person re-ID methods (antialiased bicubic in open_clip).
    """
    source, target = tuple(source), tuple(target)
    if embedding.ndim != 2 or len(embedding) != 1 + source[0] * source[1]:
        raise ValueError(f'grid {source} needs 1 + h * w positions, got shape {tuple(embedding.shape)}')
    if source == target:
        return embedding.clone()
    grid = embedding[1:].float().reshape(1, *source, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=target, mode='bilinear', align_corners=False)
    positions = grid.permute(0, 2, 3, 1).flatten(0, 2).to(embedding.dtype)
    return torch.cat([embedding[:1], positions])


def export_tower(
    checkpoint: str,
    target: str | Path,
    tower: dict | None = None,
    prefix: str = TOWER_PREFIX,
    half: bool = False,
    note: str | None = None,
    encoder: bool = False,
) -> dict:
    """Write the tower of a checkpoint to a ``.safetensors`` file with open_clip's names, and return its settings.

    The config of the tower is read from the checkpoint unless it is given, ``prefix`` is that of the names of its
    weights, and ``note`` a text to store. ``half`` stores matrices, but not vectors, in half precision. With
    ``encoder``, the file also holds the other weights of the encoder that contains the tower.

    Raises CheckpointError or ConfigError if the tower cannot be read.
    """
    content = load_weights(checkpoint)
    weights = {name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)}
    if not weights:
        raise CheckpointError(f'{checkpoint}: contains no weights named {prefix}*; give their prefix')
    module = MODELS.build({**(tower or _tower_config(checkpoint)), 'pretrained': None})
    if differences := list_differences(module, weights):
        raise CheckpointError(f'{checkpoint}: its tower is not that of its config ({in_words(differences)})')
    metadata = {'format': 'pt', 'kind': TOWER_KIND, 'settings': json.dumps(module.settings)}
    if note:
        metadata['note'] = note
    if encoder:
        outer = prefix.removesuffix('tower.')
        others = {name.removeprefix(outer): value for name, value in content.items() if name.startswith(outer)}
        weights |= {ENCODER_PREFIX + name: value for name, value in others.items() if not name.startswith('tower.')}
    with replacing(target) as path:
        save_file({name: _as_stored(value, half) for name, value in weights.items()}, path, metadata)
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


def _as_stored(value: Tensor, half: bool) -> Tensor:
    value = value.contiguous()
    return value.half() if half and value.is_floating_point() and value.ndim > 1 else value.clone()
