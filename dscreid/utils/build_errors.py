"""Report invalid constructor calls from a config as one sentence instead of a traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

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

    ``apis.config_check`` finds most of these mistakes earlier, but plain keyword dicts and classes of other packages
    are only checked when they are built. Wrap only the building code, because the same errors elsewhere are bugs.

    Args:
        place: What is built, for example the config's name.

    Raises:
        ConfigError: If an argument is unknown or missing, a type is not registered, torch or MMEngine refuses a value,
            or the constructor of a ``dict(type=...)`` cannot use one.
    """
    try:
        yield
    except _ERRORS as error:
        frame = _last_frame(error)
        text = str(error.args[0]) if error.args else ''
        explanation = _explain(text, frame)
        if explanation is None and (owner := _constructed(error)) is not None:
            reason = ' '.join(text.split()) or type(error).__name__
            explanation = f'{owner.__name__} cannot be made of its values in the config: {reason}'
        if explanation is None and frame is not None and text and _package(frame) in _LIBRARIES:
            explanation = f'{" ".join(text.split())}; correct the value in the config'
        if explanation is None:
            raise
        raise ConfigError(f'{place}: {explanation}') from error


def _explain(text: str, frame: FrameType | None) -> str | None:
    if match := _UNKNOWN.match(text):
        hint = _hint(match[1], match[2], frame)
        return f"{match[1]} has no argument '{match[2]}'{hint}; remove it from the config or correct its name"
    if match := _MISSING.match(text):
        return f'{match[1]} needs {match[2]}; add it to the config'
    if match := _UNTYPED.match(text):
        return f'{match[1]} has no type, and the config has no such part to change; add type='
    if match := _UNREGISTERED.match(text):
        return f"type '{match[1]}' is no registered {match[2]}; correct its name"
    return None


def _hint(name: str, argument: str, frame: FrameType | None) -> str:
    """Suggest the argument that was probably meant; empty if the frame does not show what was called."""
    component = None if frame is None else _called(name.split('.')[0], frame)
    accepted = None if component is None else accepted_arguments(component)
    return closest(argument, accepted or []).removesuffix('?')


def _called(name: str, frame: FrameType) -> Any:
    """Find a class or function by name among the variables of the frame that called it."""
    known = [*frame.f_locals.values(), *frame.f_globals.values()]
    return next(
        (value for value in known if callable(value) and getattr(value, '__name__', '') == name), None
    )


def _last_frame(error: BaseException) -> FrameType | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else trace.tb_frame


def _constructed(error: BaseException) -> type | None:
    """Find the class whose constructor raised the error, if a registry called it with a config's values."""
    owner, built, trace = None, False, error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if built and code.co_name == '__init__':
            owner = type(trace.tb_frame.f_locals.get('self'))
        built, trace = code.co_name == 'build_from_cfg', trace.tb_next
    return owner


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get('__name__', '')).split('.')[0]
