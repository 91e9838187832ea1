"""Convert published checkpoints of other projects to the parameter names of this one."""

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.published.agw import AGW
from dscreid.models.published.clip_reid import CLIP_REID
from dscreid.models.published.layout import Converted
from dscreid.models.published.sdcl import SDCL
from dscreid.models.published.vld import VLD
from dscreid.models.reid.base import BaseReID
from dscreid.utils.checkpoint import in_words, list_differences

#: The known layouts, by the name that ``dscreid convert-weights --layout`` takes.
LAYOUTS = {'agw': AGW, 'clip-reid': CLIP_REID, 'sdcl': SDCL, 'vld': VLD}
_NECKS = ('static_neck.', 'dynamic_neck.')


def recognize(names: Iterable[str], path: str) -> str:
    """Find the layout of a checkpoint by the names of its weights: a key of ``LAYOUTS``.

    Raises:
        CheckpointError: If no layout fits, or more than one.
    """
    names = list(names)
    found = [
        key
        for key, layout in LAYOUTS.items()
        if all(any(re.fullmatch(mark, name) for name in names) for mark in layout.marks)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(
            f'{path}: may be {" or ".join(LAYOUTS[key].title for key in found)}; choose with --layout'
        )
    if any(name.startswith('backbone.') for name in names):
        raise CheckpointError(f'{path}: has the names of this project already; use it as it is')
    raise CheckpointError(
        f'{path}: is none of {", ".join(layout.title for layout in LAYOUTS.values())}; its weights have names '
        f'such as {in_words(names[:3])}'
    )


def convert_weights(
    weights: Mapping[str, Tensor],
    path: str = 'checkpoint',
    layout: str | None = None,
    image_size: Sequence[int] = (288, 144),
) -> Converted:
    """Convert a published checkpoint, with weights of any floating dtype, to float32 weights of this project.

    Args:
        weights: Weights by name, as ``load_weights`` returns them.
        path: For error messages.
        layout: Key of ``LAYOUTS``; None recognizes it by the names.
        image_size: Height and width to which positions are resized.

    Raises:
        ConfigError: If there is no such layout.
        CheckpointError: If the layout is unclear, or a weight is missing, unknown, or of another shape.
    """
    name = layout or recognize(weights, path)
    if name not in LAYOUTS:
        raise ConfigError(f'layout must be one of {", ".join(LAYOUTS)}, got {name!r}')
    chosen = LAYOUTS[name]
    try:
        converted = chosen.convert(weights, path, (image_size[0], image_size[1]))
        with torch.device('meta'):
            model = BaseReID({**converted.backbone, **converted.undetermined})
    except (ValueError, IndexError, ArithmeticError, RuntimeError) as error:  # shapes from which no encoder follows
        raise CheckpointError(f'{path}: is not {chosen.title}, its weights have other shapes ({error})') from error
    state_dict = dict(converted.state_dict)
    # PyTorch before 0.4 wrote no batch normalization counters, which are not used here
    counters = [name for name in model.state_dict() if name.endswith('.num_batches_tracked')]
    with_neck = any(name.startswith(_NECKS) for name in state_dict)
    state_dict |= {
        name: torch.tensor(0)
        for name in counters
        if name not in state_dict and (with_neck or not name.startswith(_NECKS))
    }
    if differences := list_differences(model, state_dict, () if with_neck else _NECKS):
        raise CheckpointError(f'{path}: is not {chosen.title} ({in_words(differences)})')
    state_dict = {name: value.float() if value.is_floating_point() else value for name, value in state_dict.items()}
    return converted._replace(state_dict=state_dict)
