"""Report errors of code that runs with a config's values as one sentence instead of a traceback."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from dscreid.errors import ConfigError, DscreidError
from dscreid.utils.signatures import accepted_arguments, closest

_UNKNOWN = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")


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
            reason += closest(unknown[2], next(map(accepted_arguments, called), None) or [])
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{Path(last.filename).name}:{last.lineno}'
        raise ConfigError(f'{place}: {built}{type(error).__name__}: {reason} ({where})') from error
