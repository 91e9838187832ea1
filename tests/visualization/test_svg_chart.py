import numpy as np
import pytest

from dscreid.visualization.svg_chart import (
    Rule,
    Series,
    format_number,
    legend,
    line_chart,
    nice_ticks,
    thin_out,
)


@pytest.mark.parametrize(
    ('low', 'high', 'expected'),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.03, 0.27, [0.05, 0.1, 0.15, 0.2, 0.25]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low, high, expected):
    np.testing.assert_allclose(nice_ticks(low, high), expected, atol=1e-12)


@pytest.mark.parametrize(
    ('value', 'text'),
    [(0, '0'), (0.25, '0.25'), (2000, '2\u202f000'), (1e-4, '1e-4'), (2.5e-5, '2.5e-5'), (12.3456, '12.35')],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


def test_points_lie_where_the_scale_says(parse):
    line = Series('a', np.array([0.0, 10.0]), np.array([0.0, 1.0]))
    points = parse(line_chart([line], description='d', x_label='x')).find('polyline')[0]['points']
    (left, bottom), (right, top) = ([float(v) for v in point.split(',')] for point in points.split())
    assert (left, bottom) == (50, 198)
    assert right == 398
    assert 12 < top < 30


def test_single_and_constant_points_are_drawn():
    for y in ([0.0], [5.0, 5.0], [-2.0]):
        svg = line_chart([Series('a', np.arange(len(y)), np.array(y))], description='d', x_label='x')
        assert 'nan' not in svg
        assert 'inf' not in svg


def test_no_point_is_an_error():
    with pytest.raises(ValueError, match='at least one point'):
        line_chart([Series('a', np.zeros(0), np.zeros(0))], description='d', x_label='x')


def test_a_rule_has_one_direction():
    with pytest.raises(ValueError, match='either x or y'):
        Rule('r')
    with pytest.raises(ValueError, match='either x or y'):
        Rule('r', x=1, y=1)


def test_names_are_escaped():
    line = Series('<b>', np.arange(2.0), np.arange(2.0))
    html = line_chart([line], description='"<i>"', x_label='<x>') + legend([line], [Rule('<r>', y=1)])
    assert not any(tag in html for tag in ('<b>', '<i>', '<x>', '<r>'))


def test_long_series_are_thinned_to_means():
    x = np.arange(1001, dtype=float)
    thin_x, thin_y = thin_out(x, 2 * x, 101)
    assert len(thin_x) == 101
    np.testing.assert_allclose(thin_y, 2 * thin_x)
    assert (thin_x[0], thin_x[-1]) == (4.5, 1000)
    assert thin_out(x, x, 1001)[0] is x
