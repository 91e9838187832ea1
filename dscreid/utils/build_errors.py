"""Sentences instead of tracebacks where a config calls a constructor wrongly."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dscreid.errors import ConfigError

_UNKNOWN = re.compile(r"(\w[\w.]*?)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'(\w[\w.]*?)(?:\.__init__)?\(\) missing \d+ required [\w -]*arguments?: (.+)')
_UNTYPED = re.compile(r'`cfg` or `default_args` must contain the key "type", but got ([^\n]+)')
_UNREGISTERED = re.compile(r'(\w[\w.]*) is not in the \w+::([\w ]+) registry')


@contextmanager
def config_errors(place: str) -> Iterator[None]:
    """Turn what wrong keys and types of a config make of constructors into ``ConfigError``.

    ``apis.config_check`` finds most of them earlier and names the nearest key; plain keyword dicts and classes
    of other packages show only when they are built. Wrap building alone: the same errors elsewhere are bugs.

    Args:
        place: What is built, for example the config's name.

    Raises:
        ConfigError: An argument is unknown or missing, or a type is not registered.
    """
    try:
        yield
    except (TypeError, KeyError) as error:
        explanation = _explain(str(error.args[0]) if error.args else '')
        if explanation is None:
            raise
        raise ConfigError(f'{place}: {explanation}') from error


def _explain(text: str) -> str | None:
    if match := _UNKNOWN.match(text):
        return f"{match[1]} has no argument '{match[2]}'; remove it from the config or correct its name"
    if match := _MISSING.match(text):
        return f'{match[1]} needs {match[2]}; add it to the config'
    if match := _UNTYPED.match(text):
        return f'{match[1]} says no type, and the config has no such part whose settings it could change; add type='
    if match := _UNREGISTERED.match(text):
        return f"type '{match[1]}' is no registered {match[2]}; correct its name"
    return None
