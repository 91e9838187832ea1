import pytest

from dscreid.engine.schedule import check_stages, turn_at
from dscreid.errors import ConfigError


@pytest.mark.parametrize('begins', [[0], [0, 1], (0, 30, 40)])
def test_rising_stages(begins):
    check_stages(begins)


@pytest.mark.parametrize('begins', [[], [1], [0, 0], [0, 3, 2], [5, 0]])
def test_other_stages(begins):
    with pytest.raises(ConfigError, match=r'got begin_epoch=\['):
        check_stages(begins)


@pytest.mark.parametrize(('epoch', 'value'), [(0, 'a'), (29, 'a'), (30, 'b'), (34, 'b'), (35, 'c'), (99, 'c')])
def test_the_last_stage_that_has_begun(epoch, value):
    assert turn_at(epoch, [0, 30, 35], 'abc') == value


def test_turns_begin_with_their_stage():
    cycles = ['ab', 'c', 'def']
    assert ''.join(turn_at(epoch, [0, 5, 7], cycles) for epoch in range(12)) == 'ababaccdefde'
