"""Report invalid constructor calls from a config as one sentence instead of a traceback."""

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import FrameType

from dscreid.errors import ConfigError
from dscreid.utils.signatures import accepted_arguments, closest

_UNKNOWN = re.compile(r"(\w[\w.]*?)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'(\w[\w.]*?)(?:\.__init__)?\(\) missing \d+ required [\w -]*arguments?: (.+)')
_UNTYPED = re.compile(r'`cfg` or `default_args` must contain the key "type", but got ([^\n]+)')
#: Errors raised by constructors for values they cannot use.
_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, RuntimeError, ArithmeticError, ImportError,
)  # fmt: skip
#: Packages whose constructors receive only values from a config: if they refuse one, the config is wrong.
_LIBRARIES = ('torch', 'mmengine', 'numpy')
_UNREGISTERED = re.compile(r'(\w[\w.]*) is not in the \w+::([\w ]+) registry')


@contextmanager
def config_errors(place: str) -> Iterator[None]:
    """Convert constructor errors caused by wrong keys, types and values of a config to ``ConfigError``.

    ``apis.config_check`` finds most of these mistakes earlier. Wrap only the building code, because the same errors
    elsewhere are bugs.

    Args:
        place: What is built, for example the config's name.
    """
    try:
        yield
    except _ERRORS as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        text = str(error.args[0]) if error.args else ''
        explanation = _explain(text, frames[-1])
        if explanation is None and (owner := _constructed(frames)) is not None:
            reason = ' '.join(text.split()) or type(error).__name__
            explanation = f'{owner.__name__} cannot be made of its values in the config: {reason}'
        package = str(frames[-1].f_globals.get('__name__', '')).split('.')[0]
        if explanation is None and text and package in _LIBRARIES:
            explanation = f'{" ".join(text.split())}; correct the value in the config'
        if explanation is None:
            raise
        raise ConfigError(f'{place}: {explanation}') from error


def _explain(text: str, frame: FrameType) -> str | None:
    if match := _UNKNOWN.match(text):
        hint = _hint(match[1], match[2], frame)
        return f"{match[1]} has no argument '{match[2]}'{hint}; remove it from the config or correct its name"
    if match := _MISSING.match(text):
        return f'{match[1]} needs {match[2]}; add it to the config'
    if match := _UNTYPED.match(text):
        return f'{match[1]} has no type, and the config has no such part to change; add type='
    if match := _UNREGISTERED.match(text):
        return f"type '{match[1]}' is not a registered {match[2]}; correct its name"
    return None


def _hint(name: str, argument: str, frame: FrameType) -> str:
    """Suggest the argument that was probably meant; empty if the frame does not show what was called."""
    known = [*frame.f_locals.values(), *frame.f_globals.values()]
    called = [v for v in known if callable(v) and getattr(v, '__name__', '') == name.split('.')[0]]
    accepted = accepted_arguments(called[0]) if called else None
    return closest(argument, accepted or []).removesuffix('?')


def _constructed(frames: Sequence[FrameType]) -> type | None:
    """Find the class whose constructor raised the error, if a registry called it with a config's values."""
    owner = None
    for caller, frame in pairwise(frames):
        if caller.f_code.co_name == 'build_from_cfg' and frame.f_code.co_name == '__init__':
            owner = type(frame.f_locals.get('self'))
    return owner
