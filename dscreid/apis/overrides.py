"""Refuse overrides of a config that would change nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from dscreid.apis.config_check import keys_that_are_read
from dscreid.errors import ConfigError
from dscreid.utils.signatures import closest

#: Keys of MMEngine's Runner that a run sets by itself, and what sets them.
_SET_BY_RUN = {
    'work_dir': 'use --work-dir',
    'resume': 'use --resume',
    'launcher': 'use --launcher',
    'experiment_name': 'runs are named after their --work-dir',
}
#: Helper variables whose overrides are passed on to the parts that were made with them.
_PASSED_ON = ('clustering',)
_SHOWN = 6


def check_overrides(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Check that something reads what is overridden.

    A config is a program: when it is overridden, its parts have long been made from its helper variables
    (``num_frames``, ``eval_pipeline``, ``learning_rate``).

    Args:
        config: As its file gives it.
        options: Overrides by dotted key.

    Raises:
        ConfigError: Nothing reads a key; the message names what holds the variable's value and can be overridden.
    """
    read = keys_that_are_read()
    for option in options:
        key, dot, rest = option.partition('.')
        if key in _SET_BY_RUN:
            raise ConfigError(f'--cfg-options {option}: changes nothing; {_SET_BY_RUN[key]}')
        if key in read or key in _PASSED_ON:
            continue
        if key not in config:
            raise ConfigError(f"--cfg-options {option}: nothing reads the key '{key}'{closest(key, read)}")
        places = list(dict.fromkeys(_places(config, key, read)))
        shown = ', '.join(f'{place}{dot}{rest}' for place in places[:_SHOWN])
        more = f' and {len(places) - _SHOWN} more' if len(places) > _SHOWN else ''
        raise ConfigError(
            f"--cfg-options {option}: changes nothing, the parts of the config were made with '{key}' before; "
            + (f'override them instead: {shown}{more}' if places else 'none of them holds its value any more')
        )


def _places(config: Mapping[str, Any], key: str, read: list[str]) -> Iterator[str]:
    """Dotted keys under which the parts of a config hold a variable's value."""
    for name in config:
        if name in read:
            yield from _holders(config[name], name, key, config[key])


def _holders(node: Any, place: str, key: str, value: Any) -> Iterator[str]:
    if _holds(node, place.rpartition('.')[2], key, value):
        yield place
        return
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _holders(child, f'{place}.{name}', key, value)
    elif isinstance(node, (list, tuple)):
        for number, child in enumerate(node):
            yield from _holders(child, f'{place}.{number}', key, value)


def _holds(node: Any, name: str, key: str, value: Any) -> bool:
    """Whether a part was made from a variable, as far as can be told: whole numbers may be equal by chance."""
    if isinstance(value, Mapping):
        return isinstance(node, Mapping) and all(part in node and node[part] == value[part] for part in value)
    telling = isinstance(value, (float, list, tuple)) or name == key
    return telling and type(node) is type(value) and node == value
