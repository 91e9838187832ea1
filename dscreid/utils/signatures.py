"""Arguments accepted by a class or function, and suggestions for misspelled names."""

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


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
