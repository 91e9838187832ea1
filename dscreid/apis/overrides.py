"""Refuse settings and overrides that would have no effect."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from dscreid.apis.config_check import keys_that_are_read
from dscreid.apis.config_files import ConfigFile
from dscreid.engine.common_settings import COMMON_SETTINGS, Use, common_value, uses_of_common_settings
from dscreid.errors import ConfigError
from dscreid.utils.signatures import closest

#: Keys of MMEngine's Runner that a run sets itself, and the option to use instead.
_SET_BY_RUN = {
    'work_dir': 'use --work-dir',
    'resume': 'use --resume',
    'launcher': 'use --launcher',
    'experiment_name': 'runs are named after their --work-dir',
}
#: Alternative names of settings.
_SYNONYMS = {'learning_rate': 'lr'}
_SHOWN = 6


def check_helpers(config: Mapping[str, Any], files: ConfigFile) -> None:
    """Check that each variable of a config's files is a setting or is read.

    The parts of a config are built from its helper variables (``learning_rate``, ``eval_pipeline``) when its file is
    run. If an inheriting file sets the variable again, it is too late. A base file without bases may define variables
    that not every config reads. Names that begin with an underscore are not checked.

    Args:
        config: The config as given by its files, without overrides.
        files: Its files.

    Raises:
        ConfigError: If nothing reads a variable; the message names the keys that were built from the inherited one.
    """
    read = keys_that_are_read()
    for file, name in files.without_effect():
        offers = file is not files and not file.bases
        if offers or name in read or name.startswith('_') or not _is_value(config.get(name)):
            continue
        bases = [base.load().to_dict() for base in file.bases]
        made = next((base for base in bases if name in base), None)
        if made is None:
            raise ConfigError(f"{file.path.name}: nothing reads the key '{name}'{_meant(config, name, read)}")
        raise ConfigError(
            f"{file.path.name}: setting '{name}' changes nothing, the parts that the config inherits were made with "
            f'it before; {_instead(_places(made, name, read))}'
        )


def check_overrides(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Check that something reads each overridden key.

    Args:
        config: The config as given by its files.
        options: Overrides by dotted key.

    Raises:
        ConfigError: If nothing reads a key; the message names the keys that hold its value and can be overridden.
    """
    read = keys_that_are_read()
    for option in options:
        key, dot, rest = option.partition('.')
        if key in _SET_BY_RUN:
            raise ConfigError(f'--cfg-options {option}: changes nothing; {_SET_BY_RUN[key]}')
        if key in read:
            continue
        if key not in config:
            raise ConfigError(
                f"--cfg-options {option}: nothing reads the key '{key}'{_meant(config, key, read)}"
            )
        raise ConfigError(
            f"--cfg-options {option}: changes nothing, the parts of the config were made with '{key}' before; "
            f'{_instead(f"{place}{dot}{rest}" for place in _places(config, key, read))}'
        )


def check_common_settings(
    config: dict[str, Any], name: str, assigned: Collection[str], options: Collection[str]
) -> None:
    """Check that the common settings of a file or of the command line reach a part.

    Args:
        config: The config, with its parts filled in.
        name: Name of the config in messages.
        assigned: Top-level keys that the file itself sets; inherited ones may all be replaced.
        options: Overrides by dotted key.

    Raises:
        ConfigError: If no part takes a setting, or all of them have their own value.
    """
    uses = uses_of_common_settings(config)
    for setting in _given(config, assigned, options):
        _, value = common_value(config, setting)
        takers = [use for use in uses if use.setting == setting]
        if not takers:
            near = closest(setting, sorted({use.setting for use in uses}))
            raise ConfigError(f'{name}: no part of this config takes {setting}{near}')
        if not any(_is_same(use, value) for use in takers):
            raise ConfigError(
                f'{name}: {setting}={value!r} changes nothing, the parts that take it have values of their own; '
                f'{_instead(use.key for use in takers)}'
            )


def _given(config: Mapping[str, Any], assigned: Collection[str], options: Collection[str]) -> Iterator[str]:
    """Yield dotted keys of the common settings that a file or the command line sets to a value other than None."""
    # overrides may have replaced the parts that the file's own settings were meant for
    given = {option.partition('.')[0] for option in options} or set(assigned)
    for key in COMMON_SETTINGS:
        value = config.get(key)
        if key in given and value is not None:
            yield from (f'{key}.{part}' for part in value) if isinstance(value, Mapping) else (key,)


def _is_same(use: Use, value: Any) -> bool:
    own = use.part.get(use.argument)
    both = isinstance(own, (list, tuple)) and isinstance(value, (list, tuple))
    return list(own) == list(value) if both else own == value


def _is_value(value: Any) -> bool:
    """Check if a variable could be a setting; modules, classes and functions are helpers of the file."""
    return value is not None and not callable(value)


def _instead(places: Iterable[str]) -> str:
    """Suggest keys to set instead of a setting without effect."""
    keys = list(dict.fromkeys(places))
    if not keys:
        return 'none of them holds its value any more'
    more = f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''
    return f'set these instead: {", ".join(keys[:_SHOWN])}{more}'


def _meant(config: Mapping[str, Any], name: str, read: list[str]) -> str:
    """Suggest a replacement for a key that nothing reads: the same key in a part, or a similar one."""
    name = _SYNONYMS.get(name, name)
    keys = (key for top in config if top in read for key in _keys_named(config[top], top, name))
    places = list(dict.fromkeys(keys))
    return f'; {_instead(places)}' if places else closest(name, read)


def _keys_named(node: Any, place: str, name: str) -> Iterator[str]:
    pairs = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, child in pairs:
        if key == name:
            yield f'{place}.{key}'
        yield from _keys_named(child, f'{place}.{key}', name)


def _places(config: Mapping[str, Any], key: str, read: list[str]) -> Iterator[str]:
    """Yield dotted keys under which the parts of a config hold a variable's value."""
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
    """Guess if a part was built from a variable; integers may be equal by chance, so they must have the same name."""
    if isinstance(value, Mapping):
        return isinstance(node, Mapping) and all(part in node and node[part] == value[part] for part in value)
    telling = isinstance(value, (float, list, tuple)) or name == key
    return telling and type(node) is type(value) and node == value
