"""Checkpoints of AGW and of the methods on its two-stream ResNet: CAJ, ADCA, PGM, GUR, N-ULC, RPNR and others.

Each of the two stems and the trunk is a whole ResNet, of which only a part runs. Their non-local blocks, where they
have any, have a width of 1 (``reduc_ratio // reduc_ratio`` in all of these releases).
"""

import re
from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.two_stream_resnet import LAYERS
from dscreid.models.published.layout import Converted, Layout, Rules, rename

_TITLE = 'a two-stream ResNet of AGW'
#: Number of blocks of each layer, and whether they are bottlenecks, by depth.
_DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
}
_RULES: Rules = {
    r'visible_module\.visible\.((conv1|bn1)\..*)': [r'backbone.stems.rgb.\1'],
    r'thermal_module\.thermal\.((conv1|bn1)\..*)': [r'backbone.stems.ir.\1'],
    r'base_resnet\.base\.(layer[1-4]\..*)': [r'backbone.layers.\1'],
    r'bottleneck\.(.*)': [r'static_neck.\1', r'dynamic_neck.\1'],
    r'(visible_module\.visible|thermal_module\.thermal)\.(layer[1-4]|fc)\..*': [],
    r'base_resnet\.base\.(conv1|bn1|fc)\..*': [],
    r'classifier\w*\.(weight|bias)': [],
}
_NON_LOCAL = {r'theta': 'query', r'phi': 'key', r'g\.0': 'value', r'W\.0': 'output', r'W\.1': 'norm'}


def convert(weights: Mapping[str, Tensor], path: str, image_size: tuple[int, int]) -> Converted:
    """Take both stems, the trunk, the non-local blocks and the neck, which serves both halves.

    Raises CheckpointError for other depths than 18, 34 and 50, and if a weight has an unknown name.
    """
    blocks = {layer: _count(weights, rf'base_resnet\.base\.{layer}\.(\d+)\.') for layer in LAYERS}
    bottleneck = any(name.endswith('.conv3.weight') for name in weights)
    depth = _DEPTHS.get((tuple(blocks.values()), bottleneck))
    if depth is None:
        kind = f'{list(blocks.values())} {"bottleneck" if bottleneck else "basic"} blocks'
        raise CheckpointError(f'{path}: is {_TITLE}, but of {kind}; only depths 18, 34 and 50 are supported')
    rules: dict = dict(_RULES)
    for number, layer in enumerate(LAYERS, start=1):
        count = _count(weights, rf'NL_{number}\.(\d+)\.')
        for index in range(count):  # the last blocks of the layer have one
            target = f'backbone.non_local_blocks.{layer}_{blocks[layer] - count + index}'
            rules |= {
                rf'NL_{number}\.{index}\.{theirs}\.(\w+)': [rf'{target}.{ours}.\1']
                for theirs, ours in _NON_LOCAL.items()
            }
    state_dict, dropped = rename(weights, rules, path, _TITLE)
    widths = {len(value) for name, value in weights.items() if re.fullmatch(r'NL_\d\.\d+\.theta\.weight', name)}
    backbone: dict = {'type': 'TwoStreamResNet50'}
    if depth != 50 or widths:
        backbone = {'type': 'TwoStreamResNet', 'depth': depth}
    if widths:
        backbone |= {'non_local': True, 'non_local_channels': min(widths)}
    return Converted(state_dict, dropped, backbone)


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    """Count the different numbers that the names contain at a place."""
    return len({found[1] for name in weights if (found := re.match(pattern, name))})


AGW = Layout(
    _TITLE, (r'visible_module\.visible\..*', r'thermal_module\.thermal\..*', r'base_resnet\.base\..*'), convert
)
