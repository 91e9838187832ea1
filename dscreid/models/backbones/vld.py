"""Convert VLD's released checkpoints to the parameter names of this project."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import HEAD_WIDTH, fit_positional_embedding
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import in_words, list_differences


class ConvertedVLD(NamedTuple):
    """Converted VLD checkpoint."""

    #: ``backbone.tower.*``, ``backbone.prompt_embedding`` and ``backbone.attn.*``, float32
    state_dict: dict[str, Tensor]
    dropped: list[str]  #: sorted names of the VLD weights that are not converted
    num_frames: int  #: number of frames ``T`` of the spatio-temporal prompts
    tower: dict[str, Any]  #: settings of the tower, as far as the weights determine them


def convert_vld(
    weights: dict[str, Tensor], path: str = 'VLD checkpoint', image_size: Sequence[int] = (288, 144)
) -> ConvertedVLD:
    """Extract the visual tower and the spatio-temporal prompting from VLD's weights, of any floating dtype.

    VLD (Li et al., "Video-Level Language-Driven Video-Based Visible-Infrared Person Re-Identification", TIFS 2025)
    names them ``image_encoder.*``, ``prompt_embedding`` and ``attn.*``, at any nesting level; its forward pass never
    uses ``ln_post2``. Positions are resized to ``image_size``, (height, width). ``path`` is for error messages.

    Raises CheckpointError if a part is missing, found twice, or does not fit the network.
    """
    encoder = _unique(path, weights, 'class_embedding').removesuffix('class_embedding')
    prompt = _unique(path, weights, 'prompt_embedding')
    attention = _unique(path, weights, 'attn.in_proj_weight', excluding='resblocks.').removesuffix('in_proj_weight')
    patches = weights[_unique(path, weights, f'{encoder}conv1.weight')]
    positions = weights[_unique(path, weights, f'{encoder}positional_embedding')]

    names = {prompt: 'backbone.prompt_embedding'}
    for name in weights:
        if name.startswith(attention):
            names[name] = f'backbone.attn.{name.removeprefix(attention)}'
        elif name.startswith(encoder) and name not in (prompt, f'{encoder}proj'):
            names[name] = f'backbone.tower.{name.removeprefix(encoder)}'
    state_dict = {new: weights[old] for old, new in names.items()}
    width, _, patch_size, _ = patches.shape
    tower = {
        'activation': 'quick_gelu',  # VLD starts from OpenAI's weights
        'image_size': tuple(image_size),
        'patch_size': patch_size,
        'width': width,
        'layers': len({name.split('.')[4] for name in state_dict if '.tower.transformer.resblocks.' in name}),
        'heads': width // HEAD_WIDTH,
        'stem': None,
    }
    grid = (image_size[0] // patch_size, image_size[1] // patch_size)
    state_dict['backbone.tower.positional_embedding'] = fit_positional_embedding(positions, grid, path)
    num_frames = len(weights[prompt])
    if differences := _differences(tower, num_frames, state_dict):
        raise CheckpointError(f'{path}: is not a VLD checkpoint ({in_words(differences)})')
    state_dict = {name: value.float() for name, value in state_dict.items()}
    return ConvertedVLD(state_dict, sorted(set(weights) - set(names)), num_frames, tower)


def _unique(path: str, weights: dict[str, Tensor], ending: str, excluding: str | None = None) -> str:
    """Find the only weight named ``ending`` or ``*.ending``."""
    named = [name for name in weights if f'.{name}'.endswith(f'.{ending}')]
    found = [name for name in named if not (excluding and excluding in name)]
    if len(found) != 1:
        what = f'found more than once ({", ".join(sorted(found))})' if found else 'missing'
        raise CheckpointError(f'{path}: is not a VLD checkpoint ({ending} is {what})')
    return found[0]


def _differences(tower: dict[str, Any], num_frames: int, state_dict: dict[str, Tensor]) -> list[str]:
    config = dict(
        type='SpatioTemporalPrompting',
        tower={'type': 'CLIPVisionTransformer', **tower},
        num_frames=num_frames,
        start_layer=0,
        num_heads=1,
    )
    with torch.device('meta'):
        return list_differences(nn.ModuleDict({'backbone': MODELS.build(config)}), state_dict)
