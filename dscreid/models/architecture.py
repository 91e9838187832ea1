"""A model's settings by dotted name: what the shapes of its weights cannot tell."""

import inspect
from collections.abc import Mapping
from typing import Any

from dscreid.registry import MODELS

#: Where weights come from and how they are computed, not what they mean.
_NO_ARCHITECTURE = {
    'pretrained', 'pretrained_sha256', 'pretrained_activation', 'with_cp', 'compile_blocks', 'init_cfg',
}  # fmt: skip


def architecture_of(settings: Mapping[str, Any], prefix: str = 'backbone') -> dict[str, Any]:
    """The settings of a registered part, its defaults filled in, so that two configs of one network agree.

    Args:
        settings: Config of an encoder.
        prefix: What the names begin with.

    Returns:
        Numbers, strings, booleans, None and lists by dotted name, such as ``backbone.tower.heads``.
    """
    component = MODELS.get(settings['type'])
    parameters = inspect.signature(component).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty} | dict(settings)
    described: dict[str, Any] = {f'{prefix}.type': component.__name__}
    for name, value in given.items():
        place = f'{prefix}.{name}'
        if name in _NO_ARCHITECTURE or name == 'type':
            continue
        if isinstance(value, Mapping) and 'type' in value:
            described |= architecture_of(value, place)
        else:
            described[place] = list(value) if isinstance(value, (list, tuple)) else value
    return described
