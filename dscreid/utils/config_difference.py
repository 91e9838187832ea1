"""Compare the settings of two configs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine import Config

#: Settings that say where the data is, not what is done with it.
_ELSEWHERE = ('root', 'data_root')
_ABSENT = 'absent'


def setting_differences(reference: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, list]:
    """Map each dotted key that differs to [value in the reference, value in the settings], ``'absent'`` if missing."""
    theirs, ours = dict(_flat(reference)), dict(_flat(settings))
    pairs = {key: [theirs.get(key, _ABSENT), ours.get(key, _ABSENT)] for key in dict.fromkeys([*theirs, *ours])}
    return {key: [a, b] for key, (a, b) in pairs.items() if a != b or isinstance(a, bool) != isinstance(b, bool)}


def config_difference(reference: Config, config: Config) -> dict[str, list]:
    """Return the ``setting_differences`` of two configs, except in where the data is."""
    found = setting_differences(reference.to_dict(), config.to_dict())
    return {key: pair for key, pair in found.items() if key.rpartition('.')[2] not in _ELSEWHERE}


def effective_overrides(config: Config, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Select the overrides that change a value of the config."""
    flat = dict(_flat(config.to_dict()))
    return {key: value for key, value in overrides.items() if flat.get(key, _ABSENT) != value}


def _flat(node: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and JSON values; lists of plain values and empty containers are not split."""
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        children = node.items()
    elif isinstance(node, (list, tuple)) and any(isinstance(value, (Mapping, list, tuple)) for value in node):
        children = enumerate(node)
    if not children:
        yield prefix, _plain(node)
    for key, value in children:
        yield from _flat(value, f'{prefix}.{key}' if prefix else str(key))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
