"""Values of ``--cfg-options KEY=VALUE``: Python literals are evaluated, other text is kept as a string."""

import ast
import math
from typing import Any

_WORDS = {'true': True, 'false': False}
_OPENING = ('[', '(', '{', 'dict(')


def parse_value(text: str) -> Any:
    """Parse the value of an option.

    Numbers, ``None``, ``True``, ``False`` (also in lower case), quoted strings, and lists, tuples and dicts of them are
    read as in Python. ``dict(type='X')`` is allowed, and words inside brackets need no quotes. Literals separated by
    commas are a list (``40,65``), as elsewhere in OpenMMLab. Any other text is a string and kept unchanged.

    Raises:
        ValueError: If the text begins with a bracket but is not a list, tuple or dict.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text != text.strip():
        return text
    try:
        node = ast.parse(text, mode='eval').body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        if text.startswith(_OPENING):
            reason = 'is not a list, tuple or dict; quote the strings in it, or all of it'
            raise ValueError(f'{text} {reason}') from None
        return text
    if isinstance(node, ast.Tuple) and not text.startswith('('):
        return [_value(element, text) for element in node.elts] if all(map(_is_scalar, node.elts)) else text
    is_literal = _is_scalar(node) and ast.get_source_segment(text, node) == text  # no comment after it
    return _value(node, text) if is_literal or text.startswith(_OPENING) else text


def format_value(value: Any) -> str:
    """Format a value so that :func:`parse_value` can read it."""
    if not isinstance(value, str):
        return repr(value)
    try:
        plain = parse_value(value) == value
    except ValueError:
        plain = False
    return value if plain else repr(value)


def _is_scalar(node: ast.expr) -> bool:
    """Check if an expression is a number, a string, a bool or None."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value))


def _value(node: ast.expr, text: str) -> Any:
    """Evaluate an expression; parts that are not literals become strings, as written in the text."""
    if _is_scalar(node):
        return ast.literal_eval(node)
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(element, text) for element in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key, text): _value(value, text) for key, value in zip(node.keys, node.values, strict=True) if key
        }
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict' and not node.args:
        return {keyword.arg: _value(keyword.value, text) for keyword in node.keywords}
    word = ast.get_source_segment(text, node) or ''
    return _WORDS.get(word, word)
