"""Checkpoints of VLD (Li et al., "Video-Level Language-Driven Video-Based Visible-Infrared Person Re-Identification").

Its weights are named ``image_encoder.*``, ``prompt_embedding`` and ``attn.*``, at any nesting level; the forward pass
never uses ``ln_post2``.
"""

from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import HEAD_WIDTH, fit_positional_embedding
from dscreid.models.published.layout import Converted, Layout

_TITLE = 'a VLD checkpoint'
_START_LAYER = (
    'The start layer of the prompts is not in the file: set that of the training (9 in the released settings).'
)


def convert(weights: Mapping[str, Tensor], path: str, image_size: tuple[int, int]) -> Converted:
    """Take the visual tower and the spatio-temporal prompting, and resize positions to ``image_size``.

    Raises CheckpointError if a part is missing or found twice, or if the positions have no known grid.
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
    tower = clip_tower(state_dict, patches, image_size)
    grid = (image_size[0] // tower['patch_size'], image_size[1] // tower['patch_size'])
    state_dict['backbone.tower.positional_embedding'] = fit_positional_embedding(positions, grid, path)
    num_frames = len(weights[prompt])
    return Converted(
        state_dict,
        sorted(set(weights) - set(names)),
        dict(type='SpatioTemporalPrompting', num_frames=num_frames, tower=tower),
        undetermined=dict(start_layer=0, num_heads=1),
        notes=[_START_LAYER],
    )


def clip_tower(state_dict: Mapping[str, Tensor], patches: Tensor, image_size: tuple[int, int]) -> dict:
    """Describe a tower of OpenAI's CLIP by its weights ``backbone.tower.*``, of which ``patches`` embed the patches."""
    width, _, patch_size, _ = patches.shape
    return {
        'type': 'CLIPVisionTransformer',
        'activation': 'quick_gelu',  # as all models that start from OpenAI's weights
        'image_size': image_size,
        'patch_size': patch_size,
        'width': width,
        'layers': len({name.split('.')[4] for name in state_dict if '.tower.transformer.resblocks.' in name}),
        'heads': width // HEAD_WIDTH,
        'stem': None,
    }


def _unique(path: str, weights: Mapping[str, Tensor], ending: str, excluding: str | None = None) -> str:
    """Find the only weight named ``ending`` or ``*.ending``."""
    named = [name for name in weights if f'.{name}'.endswith(f'.{ending}')]
    found = [name for name in named if not (excluding and excluding in name)]
    if len(found) != 1:
        what = f'found more than once ({", ".join(sorted(found))})' if found else 'missing'
        raise CheckpointError(f'{path}: is not {_TITLE} ({ending} is {what})')
    return found[0]


VLD = Layout(_TITLE, (r'(.*\.)?class_embedding', r'(.*\.)?prompt_embedding'), convert)
