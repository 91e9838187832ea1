"""Values of --cfg-options keep what is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dscreid.apis.option_values import format_value, parse_value

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda children: (
        st.lists(children) | st.lists(children).map(tuple) | st.dictionaries(st.text() | st.integers(), children)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_formatted_is_read_again(value):
    found = parse_value(format_value(value))
    assert found == value
    assert repr(found) == repr(value)  # True is 1, and 1.0 too


@given(
    st.text(alphabet=' =,~-_.ab1\'"()[]{}\\é', max_size=12),
    st.sampled_from(['/', '~/', '../', './', 'data/a ']),
)
def test_paths_are_kept_as_they_are(text, start):
    assert parse_value(start + text) == start + text


@pytest.mark.parametrize(('text', 'value'), [
    ('3', 3), ('-2.5e-4', -2.5e-4), ('1e3', 1000.0), ('None', None), ('True', True), ('false', False), ('true', True),
    ('', ''), ('cosine', 'cosine'), ("'a b'", 'a b'), ('"3"', '3'), ('my data', 'my data'), (' 3', ' 3'), ('a ', 'a '),
    ('a=b', 'a=b'), ('a==b', 'a==b'), ("it's", "it's"), ('x,y', 'x,y'), ('1,x', '1,x'), ('40,65', [40, 65]),
    ('1,', [1]), ('0.5,None', [0.5, None]), ('[40,65]', [40, 65]), ('[40, 65]', [40, 65]), ('(1,)', (1,)),
    ('()', ()), ('[]', []), ('[vv,tt]', ['vv', 'tt']), ('(vv, tt)', ('vv', 'tt')), ('[a b.py]', None),
    ('[a.b, c-d, true]', ['a.b', 'c-d', True]), ('[(1,2),[x]]', [(1, 2), ['x']]), ("{'a': 1}", {'a': 1}),
    ("dict(type='X', k=[1])", {'type': 'X', 'k': [1]}), ("[dict(type=Wandb, a=dict(b='c d'))]",
     [{'type': 'Wandb', 'a': {'b': 'c d'}}]), ('dictionary', 'dictionary'),
    ('a[0]', 'a[0]'), ('lambda: 1', 'lambda: 1'),
    ('007', '007'), ('1e999', '1e999'), ('1j', '1j'), ("b'a'", "b'a'"), ('[1,2', None), ('(a', None),
    ('dict(1)x', None),
    ('inf', 'inf'), ('nan', 'nan'), ('a\nb', 'a\nb'), ('1\x00', '1\x00'), ('((2))', 2),
    ('f()', 'f()'), ('3 #x', '3 #x'),
])  # fmt: skip
def test_examples(text, value):
    if value is None and text != 'None':
        with pytest.raises(ValueError, match='is not a list, tuple or dict; quote the'):
            parse_value(text)
        return
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)
