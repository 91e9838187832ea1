import re

import numpy as np
import pytest

from dscreid.visualization.cards import legend
from dscreid.visualization.charts import Rule, Series, format_number, line_chart, thin_out

NUMBER = r'-?\d+(?:\.\d+)?'


@pytest.fixture
def draw(parse):
    """Function that draws lines and returns the chart's texts and paths."""

    def call(*lines, **options):
        page = parse(line_chart(lines, **{'description': 'd', 'x_label': 'x', **options}))
        return [text for text in page.texts if text.strip()], page.find('path')

    return call


def points_of(path):
    return [tuple(map(float, pair)) for pair in re.findall(rf'({NUMBER}) ({NUMBER})', path['d'])]


def line_of(paths, color=0):
    """The path of a series' line, which is 2 px wide."""
    (path,) = (p for p in paths if f'stroke: var(--c{color}); stroke-width: 2' in p['style'])
    return path


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0, '0'),
        (0.25, '0.25'),
        (2000, '2\u202f000'),
        (1e-4, '1e−4'),
        (2.5e-5, '2.5e−5'),
        (-12.3456, '−12.35'),
    ],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


def test_points_are_where_the_scale_says(draw):
    _, paths = draw(Series('a', np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 0.5])))
    (left, bottom), (center, top), (right, middle) = points_of(line_of(paths))
    assert 0 < left < right < 360
    assert center == pytest.approx((left + right) / 2, abs=0.01)
    assert 0 < top < bottom < 215
    assert middle == pytest.approx((top + bottom) / 2, abs=0.01)


@pytest.mark.parametrize('last', [2, 3, 5, 8, 50])
def test_whole_positions_have_whole_ticks(draw, last):
    x = np.arange(1.0, last + 1)
    texts, _ = draw(Series('a', x, x / 7), y_ticks=False, x_label='epoch')
    ticks = [float(text) for text in texts if text != 'epoch']
    assert len(ticks) >= 2
    assert all(tick == int(tick) for tick in ticks)


def test_other_positions_may_have_fractions(draw):
    texts, _ = draw(Series('a', np.array([0.0, 0.3, 1.2]), np.ones(3)), y_ticks=False)
    assert '0.2' in texts


@pytest.mark.parametrize('values', [[93.0, 93.0], [70.0, 100.0], [100.0, 100.0], [0.0, 0.0]])
def test_percentages_stay_between_0_and_100(draw, values):
    line = Series('a', np.array([0.5, 1.5]), np.array(values))
    texts, paths = draw(line, x_label='epoch', from_zero=False, bounds=(0, 100))
    base = max(y for _, y in points_of(paths[-1]))
    heights = [y for _, y in points_of(line_of(paths))]
    assert max(heights) <= base
    assert all(0 <= float(text.replace('−', '-')) <= 100 for text in texts if text != 'epoch')


def test_a_gap_is_a_gap_and_never_nan(draw):
    _, paths = draw(Series('a', np.arange(5.0), np.array([1.0, 2.0, np.nan, 2.0, 1.0])))
    assert line_of(paths)['d'].count('M') == 2
    assert len(points_of(line_of(paths))) == 4
    assert not any('nan' in path['d'].lower() or 'inf' in path['d'].lower() for path in paths)


def test_a_point_alone_on_its_line_has_a_dot(draw):
    _, paths = draw(Series('a', np.array([2.0]), np.array([3.0])), Series('b', np.arange(3.0), np.ones(3), 1))
    (dot,) = (p for p in paths if 'stroke: var(--c0); stroke-width: 5' in p['style'])
    assert 'stroke-linecap: round' in dot['style']
    assert len(set(points_of(dot))) == 1


@pytest.mark.parametrize('y', [[], [np.nan, np.nan]])
def test_no_finite_point_is_an_error(y):
    with pytest.raises(ValueError, match='at least one finite point'):
        line_chart([Series('a', np.arange(len(y)), np.array(y))], description='d', x_label='x')


def test_a_rule_has_one_direction():
    with pytest.raises(ValueError, match='either x or y'):
        Rule('r')
    with pytest.raises(ValueError, match='either x or y'):
        Rule('r', x=1, y=1)


def test_a_chart_has_theme_colors_and_nothing_that_clashes_within_a_page(parse):
    lines = [Series('a', np.arange(3.0), np.arange(3.0), color, color > 3) for color in range(8)]
    svg = line_chart(lines, description='d', x_label='x', rules=[Rule('r', x=1, color=2), Rule('s', y=1)])
    assert {f'var(--c{color})' for color in range(8)} <= set(re.findall(r'var\(--\w+\)', svg))
    assert '#' not in svg
    page = parse(svg)
    assert {tag for tag, _ in page.elements} == {'svg', 'path', 'text'}
    assert not any('id' in attributes for _, attributes in page.elements)


def test_texts_are_escaped_and_formulas_are_not_read(parse):
    line = Series(r'$\frac$', np.arange(2.0), np.arange(2.0))
    svg = line_chart([line], description='"<i>"', x_label='<x>', rules=[Rule('$_$', y=1)])
    page = parse(svg)
    assert page.find('svg')[0]['aria-label'] == '"<i>"'
    assert '<x>' in page.texts
    assert [entry.name for entry in legend([line])] == [r'$\frac$']


def test_long_series_are_thinned_to_means():
    x = np.arange(1001, dtype=float)
    thin_x, thin_y = thin_out(x, 2 * x, 101)
    assert len(thin_x) == 101
    np.testing.assert_allclose(thin_y, 2 * thin_x)
    assert (thin_x[0], thin_x[-1]) == (4.5, 1000)
    assert thin_out(x, x, 1001)[0] is x
