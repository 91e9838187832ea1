"""Strategies: files that are nearly right, and files that are not right at all."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

TOKENS = (
    '', '0', '-1', '1', '2', '3', '00', '1.5', '1e999', 'NaN', '-Infinity', '9' * 18, '9' * 19, '1' + '0' * 5000, '١',
    '..', '.', '/', '~', '~nobody', '../outside/secret.jpg', '/etc/passwd', 'a/../../outside/secret.jpg', 'C:\\x',
    'link.jpg', 'folder/secret.jpg', '\x00', '\x1b[2J', '\ud800', 'ü', '\u2028', 'null', 'true', '[]', '{}', '"', "'",
    '{"a":' * 50, 'RGB', 'IR', 'RGB/IR', 'LS3', '0001M1D1T1F1.jpg', '0001M1D1T1F..', '0001M1D1T1Flink.jpg', '\t', ' ',
    '\r', '\n\n', '#', '\ufeff', 'x' * 300,
)  # fmt: skip
tokens = st.sampled_from(TOKENS) | st.text(max_size=6)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | tokens,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tokens, inner, max_size=3),
    max_leaves=5,
)

_positions = st.integers(0, 10**6)


def _encode(text: str) -> bytes:
    return text.encode('utf-8', 'surrogatepass')


def mutated_text(valid: str) -> st.SearchStrategy[bytes]:
    """A text file after a few edits of its words and lines, sometimes of its bytes, or another text altogether."""
    edit = st.tuples(st.sampled_from(('word', 'line', 'drop', 'twice', 'swap', 'cut')), _positions, tokens)
    edited = st.lists(edit, max_size=3).map(lambda edits: _encode(_edited(valid, edits)))
    return st.one_of(edited, edited, edited.flatmap(mutated_bytes), tokens.map(_encode), st.binary(max_size=40))


def _edited(text: str, edits: list[tuple[str, int, str]]) -> str:
    lines = text.split('\n')
    for kind, position, token in edits:
        row = position % len(lines)
        if kind == 'word':
            words = lines[row].split(' ')
            words[position // len(lines) % len(words)] = token
            lines[row] = ' '.join(words)
        elif kind == 'line':
            lines.insert(row, token)
        elif kind == 'drop' and len(lines) > 1:
            del lines[row]
        elif kind == 'twice':
            lines.insert(row, lines[row])
        elif kind == 'swap':
            lines[row], lines[0] = lines[0], lines[row]
        elif kind == 'cut':
            lines[row] = lines[row][: position % (len(lines[row]) + 1)]
    return '\n'.join(lines)


def mutated_bytes(valid: bytes) -> st.SearchStrategy[bytes]:
    """A binary file after a few flips, cuts and insertions; edits gather at its beginning, where headers are."""
    place = st.integers(0, min(len(valid), 256)) | st.integers(0, max(len(valid), 1))
    edit = st.tuples(st.sampled_from(('flip', 'insert', 'drop', 'cut', 'zero')), place, st.binary(max_size=9))
    return st.lists(edit, max_size=4).map(lambda edits: _edited_bytes(valid, edits))


def _edited_bytes(valid: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    content = bytearray(valid)
    for kind, at, data in edits:
        at = min(at, len(content))
        if kind == 'flip' and at < len(content):
            content[at] ^= 1 + (data[0] if data else 0) % 255
        elif kind == 'insert':
            content[at:at] = data
        elif kind == 'drop':
            del content[at : at + max(len(data), 1)]
        elif kind == 'cut':
            del content[at:]
        elif kind == 'zero':
            content[at : at + len(data)] = bytes(len(data))
    return bytes(content)


def mutated_json(valid: Any) -> st.SearchStrategy[bytes]:
    """A JSON file with some of its values or keys replaced, sometimes edited as text."""
    edit = st.tuples(st.sampled_from(('value', 'value', 'key', 'drop', 'add')), _positions, json_values, tokens)
    edited = st.lists(edit, max_size=3).map(lambda edits: _edited_json(valid, edits))
    return st.one_of(
        edited.map(_dump),
        edited.map(_dump),
        json_values.map(_dump),
        mutated_text(json.dumps(valid, indent=1)),
    )


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _edited_json(valid: Any, edits: list[tuple[str, int, Any, str]]) -> Any:
    root = [json.loads(json.dumps(valid))]
    for kind, position, value, key in edits:
        slots = list(_slots(root))
        owner, name = slots[position % len(slots)]
        if kind == 'value':
            owner[name] = value
        elif kind == 'drop' and owner is not root:
            del owner[name]
        elif kind == 'key' and isinstance(owner, dict):
            owner[key] = owner.pop(name)
        elif kind == 'add' and isinstance(owner, dict):
            owner[key] = value
    return root[0]


def _slots(node: Any) -> list[tuple[Any, Any]]:
    names = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    found = [(node, name) for name in names]
    return found + [slot for _, name in found for slot in _slots(node[name])]


def one_changed(
    files: dict[str, Any], mutate: Callable[[str, Any], st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a set of files, one or two of them mutated; the others stay as they are."""
    names = st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: mutate(name, files[name]) for name in chosen}))
