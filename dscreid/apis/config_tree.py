"""Walk through the nested dicts and lists of a config."""

from collections.abc import Iterator, Mapping
from typing import Any


def walk(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield a value and everything that it contains, parents first, each with its dotted key.

    Args:
        node: A config as plain dicts, lists and tuples, or a part of it.
        place: Dotted key of ``node``; empty for a whole config.
    """
    yield place, node
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if _is_list(node) else ()
    for key, child in children:
        yield from walk(child, f'{place}.{key}' if place else str(key))


def _is_list(node: Any) -> bool:
    return isinstance(node, (list, tuple))
