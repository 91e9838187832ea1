"""Settings that a config defines once at the top level and that apply to every part that accepts them.

A class declares which of its arguments come from common settings, for example::

    common_settings = {'root': 'data_root', 'k1': 'clustering.k1'}

A part that sets such an argument itself keeps its own value.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.visualization import Visualizer

from dscreid.registry import registered_classes

#: The top-level keys.
COMMON_SETTINGS = (
    'data_root', 'on_bad_frame', 'num_frames', 'frame_size', 'trial', 'test_from', 'eval_pipeline', 'clustering',
    'vis_backends',
)  # fmt: skip


class Use(NamedTuple):
    """An argument of a part, a ``dict(type=...)``, that can come from a common setting such as ``clustering.k1``."""

    setting: str
    place: str
    part: dict[str, Any]
    argument: str

    @property
    def key(self) -> str:
        """Dotted key of the argument."""
        return f'{self.place}.{self.argument}'


def uses_of_common_settings(config: dict[str, Any]) -> list[Use]:
    """List the arguments of a config's parts that can come from common settings, also those set by the part."""
    known = registered_classes()
    # a pipeline that is a common setting is complete before parts copy it
    keys = sorted(config, key=lambda key: key not in COMMON_SETTINGS)
    return [
        Use(setting, place, part, argument)
        for key in keys
        for place, part in _parts(config[key], str(key))
        for argument, setting in _taken_by(_class_of(part, known)).items()
    ]


def fill_common_settings(config: dict[str, Any]) -> None:
    """Fill in, in place, the common settings that each part accepts but does not set itself."""
    _spell_out_defaults(config)
    for use in uses_of_common_settings(config):
        found, value = common_value(config, use.setting)
        if found:
            use.part.setdefault(use.argument, copy.deepcopy(value))


def without_common_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Undo ``fill_common_settings``: values stand only at the top level, and unused common settings are left out."""
    config = copy.deepcopy(config)
    uses = [use for use in uses_of_common_settings(config) if use.argument in use.part]
    uses = [use for use in uses if common_value(config, use.setting) == (True, use.part[use.argument])]
    for use in uses:
        use.part.pop(use.argument, None)
    used = {use.setting for use in uses}
    for key in COMMON_SETTINGS:
        value = config.pop(key, None)
        if isinstance(value, Mapping):
            value = {part: value[part] for part in value if f'{key}.{part}' in used}
        if key in used or (isinstance(value, Mapping) and value):
            config[key] = value
    return config


def common_value(config: Mapping[str, Any], setting: str) -> tuple[bool, Any]:
    """Return whether a config defines a common setting, and its value."""
    key, _, part = setting.partition('.')
    node = config.get(key)
    if part:
        return (True, node[part]) if isinstance(node, Mapping) and part in node else (False, None)
    return node is not None, node


def walk(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield a config or a part of it, and everything that it contains, parents first, each with its dotted key."""
    yield place, node
    is_list = isinstance(node, (list, tuple))
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if is_list else ()
    for key, child in children:
        yield from walk(child, f'{place}.{key}' if place else str(key))


def _parts(node: Any, place: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    return ((key, part) for key, part in walk(node, place) if isinstance(part, dict) and 'type' in part)


def _class_of(part: Mapping[str, Any], known: Mapping[str, Any]) -> type | None:
    kind = part['type']
    if isinstance(kind, str):
        kind = known.get(kind.rpartition('.')[2])
    return kind if isinstance(kind, type) else None


def _taken_by(kind: type | None) -> Mapping[str, str]:
    """Map the arguments of a part's class that come from common settings to those settings."""
    if kind is not None and issubclass(kind, Visualizer):  # of MMEngine, which declares nothing
        return {'vis_backends': 'vis_backends'}
    return getattr(kind, 'common_settings', {})


def _spell_out_defaults(config: dict[str, Any]) -> None:
    """Add parts that are default arguments, such as the clustering of ``DSLULabeler``, to the config."""
    known = registered_classes()
    for _, part in _parts(config):
        kind = _class_of(part, known)
        if kind is None or not kind.__module__.startswith('dscreid'):
            continue
        for name, parameter in inspect.signature(kind).parameters.items():
            if isinstance(parameter.default, Mapping) and 'type' in parameter.default:
                part.setdefault(name, dict(parameter.default))
