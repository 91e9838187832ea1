"""Every file that the project reads gives an object or one sentence, never a traceback, a hang or a look elsewhere."""

import pytest
from hypothesis import strategies as st
from parser_fuzzing.catalogue import PARSERS
from parser_fuzzing.harness import SECRET, Link, Parser, Workplace, fuzz

from dscreid.errors import DatasetError

EXAMPLES = 150


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize('parser', PARSERS, ids=lambda parser: parser.name)
def test_parser(parser, monkeypatch):
    monkeypatch.setenv('DSCREID_CACHE', 'unused')  # restored afterwards: one parser sets it
    tally = fuzz(parser, EXAMPLES)
    assert tally.total >= EXAMPLES // 3  # hypothesis tries no case twice, and some strategies are small
    assert tally.parsed > 0
    assert (tally.refused.total() == 0) == parser.remade


def parser_that(parse):
    return Parser('x', st.just({'a.txt': b'x'}), parse, errors=(DatasetError,), named=('a.txt',))


def refuse(message):
    raise DatasetError(message)


@pytest.mark.parametrize(
    ('parse', 'fault'),
    [
        (lambda folder, case: {}['x'], KeyError),
        (lambda folder, case: refuse('something is wrong'), AssertionError),
        (lambda folder, case: refuse('a.txt:1: wrong\nvery'), AssertionError),
        (lambda folder, case: open(folder.parent / SECRET / 'secret.txt').close(), AssertionError),
        (lambda folder, case: open(folder / '../outside/secret.txt').close(), AssertionError),
    ],
)
def test_the_harness_sees_broken_promises(tmp_path, parse, fault):
    with pytest.raises(fault):
        Workplace(parser_that(parse), tmp_path).run({'a.txt': b'x'})


def test_the_harness_sees_a_link_followed(tmp_path):
    place = Workplace(parser_that(lambda folder, case: (folder / 'a.txt').read_bytes()), tmp_path)
    assert place.run({'a.txt': b'x'}) is None
    with pytest.raises(AssertionError, match='looked outside'):
        place.run({'a.txt': Link(f'{SECRET}/secret.txt')})
