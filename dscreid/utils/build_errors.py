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
#: Other messages of Python and MMEngine, and what to say instead.
_EXPLAINED = {
    r'(\w[\w.]*?)(?:\.__init__)?\(\) missing \d+ required [\w -]*arguments?: (.+)':
    r'\1 needs \2; add it to the config',
    r'`cfg` or `default_args` must contain the key "type", but got ([^\n]+)':
    r'\1 has no type, and the config has no such part to change; add type=',
    r'(\w[\w.]*) is not in the \w+::([\w ]+) registry': r"type '\1' is not a registered \2; correct its name",
}  # fmt: skip
#: Errors raised by constructors for values they cannot use.
_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, RuntimeError, ArithmeticError, ImportError,
)  # fmt: skip
#: Packages whose constructors receive only values from a config: if they refuse one, the config is wrong.
_LIBRARIES = ('torch', 'mmengine', 'numpy')


@contextmanager
def config_errors(place: str) -> Iterator[None]:
    """Convert constructor errors caused by wrong keys, types and values of a config to ``ConfigError``.

    ``apis.config_check`` finds most of these mistakes earlier. Wrap only the building code, because the same errors
    elsewhere are bugs. ``place`` says what is built, for example the config's name.
    """
    try:
        yield
    except _ERRORS as error:
        text = str(error.args[0]) if error.args else ''
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        reason = ' '.join(text.split()) or type(error).__name__
        explanation = _explain(text, frames[-1])
        if explanation is None and (owner := _constructed(frames)) is not None:
            explanation = f'{owner.__name__} cannot be made of its values in the config: {reason}'
        package = str(frames[-1].f_globals.get('__name__', '')).split('.')[0]
        if explanation is None and text and package in _LIBRARIES:
            explanation = f'{reason}; correct the value in the config'
        if explanation is None:
            raise
        raise ConfigError(f'{place}: {explanation}') from error


def _explain(text: str, frame: FrameType) -> str | None:
    if match := _UNKNOWN.match(text):
        # suggest an argument if the frame shows what was called
        known = [*frame.f_locals.values(), *frame.f_globals.values()]
        called = (v for v in known if callable(v) and getattr(v, '__name__', '') == match[1].split('.')[0])
        accepted = next(map(accepted_arguments, called), None)
        hint = closest(match[2], accepted or []).removesuffix('?')
        return f"{match[1]} has no argument '{match[2]}'{hint}; remove it from the config or correct its name"
    matches = ((re.match(pattern, text), template) for pattern, template in _EXPLAINED.items())
    return next((match.expand(template) for match, template in matches if match), None)


def _constructed(frames: Sequence[FrameType]) -> type | None:
    """Find the class whose constructor raised the error, if a registry called it with a config's values."""
    owner = None
    for caller, frame in pairwise(frames):
        if caller.f_code.co_name == 'build_from_cfg' and frame.f_code.co_name == '__init__':
            owner = type(frame.f_locals.get('self'))
    return owner
