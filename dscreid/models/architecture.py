"""Describe a model by its settings, which the shapes of its weights do not fully determine."""

import inspect
from collections.abc import Mapping
from typing import Any

from dscreid.registry import MODELS

#: Settings that do not change the network: the source of its weights and how it is run.
_NO_ARCHITECTURE = {
    'pretrained', 'pretrained_sha256', 'pretrained_activation', 'with_cp', 'compile_blocks', 'init_cfg',
}  # fmt: skip


def architecture_of(settings: Mapping[str, Any], prefix: str = 'backbone') -> dict[str, Any]:
    """Collect the settings of a registered module, including its defaults, by dotted names with a ``prefix``.

    Two configs of the same network give the same result, such as ``{'backbone.tower.heads': 12, ...}``.
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
