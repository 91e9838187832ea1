import pytest
from torch.optim import Adam

from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import MODELS
from dscreid.utils.build_errors import accepted_arguments, closest, config_errors


def takes(a, b):
    pass


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: Adam([], lrr=1), r"^model: TypeError: (Adam|Optimizer) has no argument 'lrr'"),
        (lambda: takes(aa=1), r"takes has no argument 'aa'; did you mean 'a'\? \(test_build_errors\.py:\d+\)$"),
        (lambda: takes(1), r"^model: TypeError: takes\(\) missing 1 required positional argument: 'b'"),
        (lambda: MODELS.build(dict(criterion='x')), r'^model: KeyError: .*must contain the key "type"'),
        (lambda: MODELS.build(dict(type='Nothing')), r'^model: KeyError: Nothing is not in the .*model registry'),
    ],
)
def test_wrong_calls_become_sentences(call, message):
    with pytest.raises(ConfigError, match=message), config_errors('model'):
        call()


@MODELS.register_module()
class Picky:
    def __init__(self, sizes):
        self.sizes = tuple(size.bit_length() for size in sizes)
        self.first = self.sizes[0]


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (2, "TypeError: 'int' object is not iterable"),
        ('no', "'str' object has no attribute"),
        ([], 'IndexError: tuple'),
    ],
)
def test_the_class_that_was_built_and_the_line_are_named(sizes, message):
    message = rf'^model: Picky cannot be made of its values in the config: .*{message}.* \(test_build_errors\.py:\d+\)$'
    with pytest.raises(ConfigError, match=message), config_errors('model'):
        MODELS.build(dict(type='Picky', sizes=sizes))


@pytest.mark.parametrize(
    'error', [DatasetError('no data'), PermissionError(13, 'x'), MemoryError(), KeyboardInterrupt()]
)
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, config_errors('model'):
        raise error
    assert caught.value is error


def test_keywords_are_followed_through_the_bases():
    class Base:
        def __init__(self, a, b=1):
            pass

    class Middle(Base):
        pass

    class Child(Middle):
        def __init__(self, c, a=2, **kwargs):
            pass

    class Open(Child):
        def __init__(self, *args, **kwargs):
            pass

    class Swallows:
        def __init__(self, **kwargs):
            pass

    assert accepted_arguments(Child) == ['c', 'a', 'b']
    assert accepted_arguments(Open) == ['c', 'a', 'b']
    assert accepted_arguments(Swallows) is None
    assert accepted_arguments(type('Bare', (), {})) == []
    assert accepted_arguments(lambda x, *, y: None) == ['x', 'y']


def test_the_closest_name():
    assert closest('esp', ['eps', 'k1']) == "; did you mean 'eps'?"
    assert closest('esp', ['k1']) == ''
    assert closest('abcd', ['abxy']) == ''  # half of it is too little
