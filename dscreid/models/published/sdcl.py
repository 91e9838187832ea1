"""Checkpoints of SDCL (Yang et al., CVPR 2024), whose shallow and deep features are the static and dynamic halves."""

import re
from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import HEAD_WIDTH, fit_positional_embedding
from dscreid.models.published.layout import Converted, Layout, Rules, rename

_TITLE = 'an SDCL checkpoint'


def _rules(last: int) -> Rules:
    return {
        r'base\.patch_embed\.(.*)': [r'backbone.stems.rgb.\1'],
        r'base\.patch_embed2\.(.*)': [r'backbone.stems.ir.\1'],
        r'base\.(cls_token|pos_embed)': [r'backbone.\1'],
        # the branches have copies of the last block and of the norm
        rf'base\.(blocks\.{last}|norm|fc|decoder_norm)\..*': [],
        r'base\.(blocks\..*)': [r'backbone.\1'],
        r'b1\.(.*)': [r'backbone.deep.\1'],
        r'b2\.(.*)': [r'backbone.shallow.\1'],
        r'bottleneck\.(.*)': [r'dynamic_neck.\1'],
        r'bottlenecks\.(.*)': [r'static_neck.\1'],
    }


def convert(weights: Mapping[str, Tensor], path: str, image_size: tuple[int, int]) -> Converted:
    """Take both patch embeddings, all blocks and both necks; resize positions to ``image_size``.

    Raises CheckpointError if a weight has an unknown name.
    """
    numbers = [int(found[1]) for name in weights if (found := re.match(r'base\.blocks\.(\d+)\.', name))]
    places = ('base.pos_embed', 'base.patch_embed.proj.weight')
    if missing := [name for name in places if name not in weights]:
        raise CheckpointError(f'{path}: is not {_TITLE} (missing {missing[0]})')
    state_dict, dropped = rename(weights, _rules(max(numbers, default=0)), path, _TITLE)
    width, _, side = weights[places[1]].shape[:3]
    conv_stem = any(name.startswith('base.patch_embed.conv.') for name in weights)
    patch_size = 2 * side if conv_stem else side  # the convolutions halve the image
    grid = (image_size[0] // patch_size, image_size[1] // patch_size)
    positions = fit_positional_embedding(weights[places[0]][0], grid, path, upright=True)
    state_dict['backbone.pos_embed'] = positions[None]
    backbone = dict(
        type='ShallowDeepViT',
        image_size=image_size,
        patch_size=patch_size,
        width=width,
        layers=max(numbers, default=0) + 1,
        heads=width // HEAD_WIDTH,
        conv_stem=conv_stem,
    )
    return Converted(state_dict, dropped, backbone)


SDCL = Layout(_TITLE, (r'base\.patch_embed2\..*', r'bottlenecks\..*'), convert)
