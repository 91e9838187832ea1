"""Errors of code that runs with a config's values as one sentence, and the names that it could have used."""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from dscreid.errors import ConfigError, DscreidError

_UNKNOWN = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@contextmanager
def config_errors(place: str) -> Iterator[None]:
    """Convert errors to a ``ConfigError`` that names the class that was built, and the failing line.

    ``apis.config_check`` finds misspelled names earlier. Wrap only code that a wrong config can break, because a bug
    elsewhere should keep its traceback. ``place`` says what is done, for example the config's name.
    """
    try:
        yield
    except (DscreidError, OSError, MemoryError):
        raise
    except Exception as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        built = ''
        for caller, frame in pairwise(frames):
            if caller.f_code.co_name == 'build_from_cfg' and frame.f_code.co_name == '__init__':
                built = f'{type(frame.f_locals.get("self")).__name__} cannot be made of its values in the config: '
        reason = ' '.join(str(error.args[0] if error.args else '').split()) or 'no message'
        if unknown := _UNKNOWN.search(reason):
            near = [*frames[-1].f_locals.values(), *frames[-1].f_globals.values()]
            called = (value for value in near if callable(value) and getattr(value, '__name__', '') == unknown[1])
            accepted = next((accepted_arguments(value) for value in called), None)
            reason = f"{unknown[1]} has no argument '{unknown[2]}'{closest(unknown[2], accepted or [])}"
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{Path(last.filename).name}:{last.lineno}'
        raise ConfigError(f'{place}: {built}{type(error).__name__}: {reason} ({where})') from error


def closest(word: str, names: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'eps'?``, or an empty string if no name is similar."""
    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ''


def accepted_arguments(component: Any) -> list[str] | None:
    """List the keyword arguments of a function, or of a class and its bases; None if it accepts any."""
    layers = [component]
    if inspect.isclass(component):
        # without object, whose constructor takes nothing
        layers = [vars(owner)['__init__'] for owner in component.__mro__[:-1] if '__init__' in vars(owner)]
    names: list[str] = []
    for layer in layers:
        parameters = inspect.signature(layer).parameters.values()
        names += [p.name for p in parameters if p.kind in _KEYWORDS and p.name not in ('self', *names)]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None if layers else []
