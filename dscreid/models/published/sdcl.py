"""Checkpoints of SDCL (Yang et al., CVPR 2024), whose shallow and deep features are the static and dynamic halves."""

import re
from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import HEAD_WIDTH, fit_positional_embedding
from dscreid.models.published.layout import Converted, Layout, Rules, rename

_TITLE = 'an SDCL checkpoint'


def _patch_rules(theirs: str, ours: str) -> Rules:
    """Rules of a patch embedding; the numbers are places in a sequence of convolutions and norms."""
    source, target = rf'base\.{theirs}\.', f'backbone.patches.{ours}.'
    return {
        rf'{source}conv\.(0|3|6|7)\.(\w+)': [rf'{target}convolutions.\1.\2'],
        rf'{source}conv\.(1|4)\.IN\.(\w+)': [rf'{target}convolutions.\1.instance.\2'],
        rf'{source}conv\.(1|4)\.BN\.(\w+)': [rf'{target}convolutions.\1.batch.\2'],
        rf'{source}proj\.(\w+)': [rf'{target}projection.\1'],
    }


def _rules(last: int) -> Rules:
    return {
        **_patch_rules('patch_embed', 'rgb'),
        **_patch_rules('patch_embed2', 'ir'),
        r'base\.cls_token': ['backbone.class_token'],
        r'base\.pos_embed': ['backbone.positional_embedding'],
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

    Raises CheckpointError if the patches are embedded without convolutions, and if a weight has an unknown name.
    """
    numbers = [int(found[1]) for name in weights if (found := re.match(r'base\.blocks\.(\d+)\.', name))]
    places = ('base.pos_embed', 'base.patch_embed.conv.0.weight', 'base.patch_embed.proj.weight')
    if missing := [name for name in places if name not in weights]:
        raise CheckpointError(f'{path}: is not {_TITLE} with convolutions before its patches (missing {missing[0]})')
    state_dict, dropped = rename(weights, _rules(max(numbers, default=0)), path, _TITLE)
    width, channels, half_patch = weights[places[2]].shape[:3]
    grid = (image_size[0] // (2 * half_patch), image_size[1] // (2 * half_patch))
    positions = fit_positional_embedding(weights[places[0]].flatten(0, -2), grid, path, upright=True)
    state_dict['backbone.positional_embedding'] = positions
    backbone = dict(
        type='ShallowDeepTransformer',
        image_size=image_size,
        patch_size=2 * half_patch,
        width=width,
        layers=max(numbers, default=0) + 1,
        heads=width // HEAD_WIDTH,
        stem_channels=channels,
    )
    return Converted(state_dict, dropped, backbone)


SDCL = Layout(_TITLE, (r'base\.patch_embed2\..*', r'bottlenecks\..*'), convert)
