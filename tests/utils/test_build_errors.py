import pytest
from torch.optim import Adam

from dscreid.errors import ConfigError
from dscreid.registry import MODELS
from dscreid.utils.build_errors import config_errors


def takes(a, b):
    pass


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: Adam([], lrr=1), r"^model: (Adam|Optimizer).*has no argument 'lrr'"),
        (lambda: takes(1), r"takes needs 'b'; add it"),
        (lambda: takes(), r"takes needs 'a' and 'b'"),
        (
            lambda: MODELS.build(dict(criterion='x')),
            r"^model: \{'criterion': 'x'\} has no type, and the config has no such part",
        ),
        (lambda: MODELS.build(dict(type='Nothing')), "type 'Nothing' is not a registered model"),
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

    def use(self):
        return self.sizes + 1


def test_a_value_that_does_not_fit_is_the_configs_fault_and_a_bug_is_not():
    message = "^model: Picky cannot be made of its values in the config: 'int' object is not iterable$"
    with pytest.raises(ConfigError, match=message), config_errors('model'):
        MODELS.build(dict(type='Picky', sizes=2))
    with pytest.raises(ConfigError, match="'str' object has no attribute"), config_errors('model'):
        MODELS.build(dict(type='Picky', sizes='no'))
    with pytest.raises(ConfigError, match='tuple index out of range'), config_errors('model'):
        MODELS.build(dict(type='Picky', sizes=[]))
    with pytest.raises(TypeError, match='concatenate'), config_errors('model'):
        MODELS.build(dict(type='Picky', sizes=[2])).use()


@pytest.mark.parametrize('error', [TypeError('unhashable'), KeyError('a'), KeyError(), ValueError('x')])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, config_errors('model'):
        raise error
    assert caught.value is error
