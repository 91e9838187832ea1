"""Look for misspelt types and keys in a config before anything long starts."""

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.registry import Registry

from dscreid import registry as registries
from dscreid.errors import ConfigError

#: Keys that a config gives but that never reach the constructor.
_CONSUMED_KEYS = {'type', '_scope_', 'priority', 'begin_epoch'}


def check_config(config: dict, name: str = 'config') -> None:
    """Check each ``dict(type=...)`` in the config against the registered class's signature.

    Args:
        config: A config, or any part of one; nested dicts, lists and tuples are searched.
        name: How messages name the top level.

    Raises:
        ConfigError: A type is not registered, or a key is not an argument of one of this package's classes;
            the message gives the place in the config and the closest valid name.
    """
    known = _registered_classes()
    for place, node in _typed_dicts(config, name):
        component = node['type']
        if isinstance(component, str):
            component = _find_class(component, known, place)
        if getattr(component, '__module__', '').startswith('dscreid'):
            _check_keys(component, node, place)


def closest(word: str, names: list[str]) -> str:
    """A hint such as ``; did you mean 'eps'?``, or an empty string where nothing is near."""
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ''


def _registered_classes() -> dict[str, Any]:
    classes: dict[str, Any] = {}
    for value in vars(registries).values():
        if isinstance(value, Registry):
            value.import_from_location()
            classes.update(value.module_dict)
    return classes


def _find_class(type_name: str, known: dict[str, Any], place: str) -> Any:
    bare_name = type_name.rsplit('.', 1)[-1]
    if bare_name in known:
        return known[bare_name]
    mmengine_names = _mmengine_names()
    if bare_name in mmengine_names:
        return mmengine_names[bare_name]
    if '.' in type_name and not type_name.startswith('dscreid.'):
        return None  # a full import path to somebody's own class: left to the registry
    hint = closest(bare_name, [*known, *mmengine_names])
    raise ConfigError(f"{place}: type '{type_name}' is not registered{hint}")


def _mmengine_names() -> dict[str, Any]:
    from mmengine.registry import root

    names: dict[str, Any] = {}
    for value in vars(root).values():
        if isinstance(value, Registry):
            value.import_from_location()
            names.update(value.module_dict)
    return names


def _check_keys(component: Any, node: dict, place: str) -> None:
    parameters = inspect.signature(component).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    accepted = [p.name for p in parameters]
    for key in node:
        if key not in accepted and key not in _CONSUMED_KEYS:
            raise ConfigError(
                f"{place}: {component.__name__} has no argument '{key}'{closest(key, accepted)}"
                f' (it takes {", ".join(accepted)})'
            )


def _typed_dicts(node: Any, place: str) -> Iterator[tuple[str, dict]]:
    if isinstance(node, dict):
        if 'type' in node and isinstance(node['type'], (str, type)):
            yield place, node
        for key, value in node.items():
            yield from _typed_dicts(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for position, value in enumerate(node):
            yield from _typed_dicts(value, f'{place}[{position}]')
