"""Convert VLD's released checkpoints to the parameter names of this project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import fit_positional_embedding
from dscreid.utils.checkpoint import in_words

_TOWER_PARTS = (
    'conv1.weight', 'class_embedding', 'positional_embedding', 'ln_pre.', 'transformer.resblocks.', 'ln_post.',
)  # fmt: skip
_ATTENTION = ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')
_HEAD_WIDTH = 64  # the same in every CLIP tower that VLD can use


@dataclass(frozen=True)
class ConvertedVLD:
    """Converted VLD checkpoint."""

    #: ``backbone.tower.*``, ``backbone.prompt_embedding`` and ``backbone.attn.*``, float32
    state_dict: dict[str, Tensor]
    dropped: list[str]  #: sorted names of the VLD weights that are not converted
    num_frames: int  #: number of frames ``T`` of the spatio-temporal prompts
    tower: dict  #: settings of the tower, as far as the weights determine them


def convert_vld(
    weights: dict[str, Tensor], path: str = 'VLD checkpoint', image_size: Sequence[int] = (288, 144)
) -> ConvertedVLD:
    """Extract the visual tower and the spatio-temporal prompting from VLD's weights, of any floating dtype.

    VLD (Li et al., "Video-Level Language-Driven Video-Based Visible-Infrared Person Re-Identification", TIFS 2025)
    names them ``image_encoder.*``, ``prompt_embedding`` and ``attn.*``. They are found by the ends of their names, at
    any nesting level. VLD's ``ln_post2`` is a copy that its forward pass never uses: the dynamic feature goes through
    ``image_encoder.ln_post``, as it does here. Positions are resized to ``image_size``, (height, width). ``path`` is
    for error messages.

    Raises:
        CheckpointError: If a part is missing, found twice, or has an unexpected shape.
    """
    prefix = _unique(path, weights, 'class_embedding').removesuffix('class_embedding')
    tower = {
        name: name.removeprefix(prefix)
        for name in weights
        if name.startswith(prefix) and name.removeprefix(prefix).startswith(_TOWER_PARTS)
    }
    prompt = _unique(path, weights, 'prompt_embedding')
    attention = _unique(path, weights, 'attn.in_proj_weight', excluding='resblocks.').removesuffix('in_proj_weight')
    names = {name: f'backbone.tower.{short}' for name, short in tower.items()}
    names[prompt] = 'backbone.prompt_embedding'
    names.update({attention + part: f'backbone.attn.{part}' for part in _ATTENTION})
    missing = sorted(name for name in names if name not in weights)
    if missing:
        raise CheckpointError(f'{path}: is not a VLD checkpoint ({", ".join(missing)} missing)')

    dropped = sorted(set(weights) - set(names))
    unknown = [n for n in dropped if n.startswith(prefix) and n != f'{prefix}proj'] if prefix else []
    if unknown:
        raise CheckpointError(
            f'{path}: its image encoder is not a vision transformer of CLIP (unexpected {in_words(unknown)})'
        )
    if integers := [old for old in names if not weights[old].is_floating_point()]:
        raise CheckpointError(f'{path}: contains integers in place of weights ({in_words(integers)})')
    state_dict = {new: weights[old].float() for old, new in names.items()}
    settings = _tower_settings(path, state_dict, image_size)
    _check_prompting(path, state_dict, settings['width'])
    state_dict['backbone.tower.positional_embedding'] = fit_positional_embedding(
        state_dict['backbone.tower.positional_embedding'],
        (image_size[0] // settings['patch_size'], image_size[1] // settings['patch_size']),
        path,
    )
    return ConvertedVLD(state_dict, dropped, len(state_dict['backbone.prompt_embedding']), settings)


def _unique(path: str, weights: dict[str, Tensor], ending: str, excluding: str | None = None) -> str:
    """Find the only weight named ``ending`` or ``*.ending``."""
    named = [name for name in weights if f'.{name}'.endswith(f'.{ending}')]
    found = [name for name in named if not (excluding and excluding in name)]
    if len(found) != 1:
        what = f'found more than once ({", ".join(sorted(found))})' if found else 'missing'
        raise CheckpointError(f'{path}: is not a VLD checkpoint ({ending} is {what})')
    return found[0]


def _tower_settings(path: str, state_dict: dict[str, Tensor], image_size: Sequence[int]) -> dict[str, Any]:
    needed = ('conv1.weight', 'positional_embedding', 'ln_post.weight')
    missing = [name for name in needed if f'backbone.tower.{name}' not in state_dict]
    if missing:
        raise CheckpointError(f'{path}: its image encoder lacks {", ".join(missing)}')
    width, _, patch_size, _ = state_dict['backbone.tower.conv1.weight'].shape
    blocks = {name.split('.')[4] for name in state_dict if name.startswith('backbone.tower.transformer.')}
    return {
        'activation': 'quick_gelu',  # VLD starts from OpenAI's weights
        'image_size': tuple(image_size),
        'patch_size': patch_size,
        'width': width,
        'layers': len(blocks),
        'heads': width // _HEAD_WIDTH,
        'stem': None,
    }


def _check_prompting(path: str, state_dict: dict[str, Tensor], width: int) -> None:
    prompt = tuple(state_dict['backbone.prompt_embedding'].shape)
    if len(prompt) != 3 or prompt[0] != prompt[1] or prompt[2] != width:
        raise CheckpointError(f'{path}: prompt_embedding must have shape (T, T, {width}), it has {prompt}')
    attention = tuple(state_dict['backbone.attn.in_proj_weight'].shape)
    if attention != (3 * width, width):
        raise CheckpointError(f'{path}: attn.in_proj_weight must have shape ({3 * width}, {width}), it has {attention}')
