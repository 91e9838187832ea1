from hypothesis import given
from hypothesis import strategies as st

from dscreid.deployment.gallery_conditions import All, OneOf, all_of
from dscreid.deployment.gallery_lance_rows import quoted


@given(st.text())
def test_quoted_texts_are_one_literal(text):
    literal = quoted(text)
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", '') == text.replace("'", '')
    assert literal[1:-1].replace("''", "'") == text


def test_joining():
    one, other = OneOf('camera', ('a',)), OneOf('camera', ('b',))
    assert all_of([]) is None
    assert all_of([None, one]) == one
    assert all_of([one, None, other]) == All((one, other))
