"""Scale what the blocks of an exported tower add to each other, so that attention on their sum is not saturated."""

import re
from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import ENCODER_PREFIX

#: Weights that write to the residual stream of a pre-norm transformer. All others read it through a layer norm.
_WRITERS = re.compile(r'ln_pre\..*|transformer\.resblocks\.\d+\.(attn\.out_proj|mlp\.c_proj)\..*')
_PROMPTS = f'{ENCODER_PREFIX}prompt_embedding'
_QUERIES_AND_KEYS = tuple(f'{ENCODER_PREFIX}attn.in_proj_{part}' for part in ('weight', 'bias'))


def scale_residuals(weights: Mapping[str, Tensor], factor: float, attention: float = 1.0) -> dict[str, Tensor]:
    """Scale the tokens of a tower by ``factor``, and the logits of its encoder's attention by ``factor² attention``.

    Each block reads its tokens through a layer norm, and so does the static feature, so these stay as they are, apart
    from the norms' epsilon. The dynamic feature attends to the tokens themselves: if they are large, its attention
    looks at one prompt only and gets hardly any gradient.

    Args:
        weights: Weights of a file of ``export_tower``, with or without those of the encoder.
        factor: Positive factor of the tokens and of the prompts that are appended to them.
        attention: Positive further factor of the attention's logits.

    Returns:
        New weights with the same names, shapes and dtypes.

    Raises:
        CheckpointError: If these are not the weights of a tower that begins with a layer norm.
    """
    if not (factor > 0 and attention > 0):
        raise ValueError(f'factors must be positive, got factor={factor} and attention={attention}')
    if 'ln_pre.weight' not in weights:
        raise CheckpointError('there is no ln_pre, so these are not the weights of an exported CLIP tower')
    scaled = {name: value.clone() for name, value in weights.items()}
    for name in scaled:
        if _WRITERS.fullmatch(name) or name == _PROMPTS:
            scaled[name] *= factor
        elif name in _QUERIES_AND_KEYS:  # rows of queries, keys and values; the logits are products of the first two
            scaled[name][: 2 * len(scaled[name]) // 3] *= attention**0.5
    return scaled
