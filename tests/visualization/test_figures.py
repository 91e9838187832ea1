import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dscreid.errors import ConfigError
from dscreid.visualization import check_picture_name, save_figure
from dscreid.visualization.figures import COLORS, Rule, Series, format_number, line_chart, thin_out

NUMBER = r'-?\d+(?:\.\d+)?'


@pytest.fixture
def draw(drawing_of):
    """Function that draws lines and returns the chart's texts and the styles and points of its paths."""

    def call(*lines, **options):
        root = ElementTree.fromstring(drawing_of(line_chart(lines, **{'x_label': 'x', **options})))
        texts = [element.text for element in root.iter() if element.tag.endswith('}text')]
        paths = [element for element in root.iter() if element.tag.endswith('}path') and element.get('style')]
        return texts, [(path.get('style'), path.get('d')) for path in paths]

    return call


def points_of(path):
    return [tuple(map(float, pair)) for pair in re.findall(rf'({NUMBER}) ({NUMBER})', path)]


def line_of(paths, color=0):
    """The path of a series' line, which is 2 points wide."""
    (path,) = (d for style, d in paths if f'stroke: {COLORS[color]}; stroke-width: 2' in style)
    return path


def value_of(text):
    return float(text.replace('−', '-'))


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0, '0'),
        (0.25, '0.25'),
        (2000, '2\u202f000'),
        (48123, '48\u202f123'),
        (2.5e-5, '2.5e−05'),
        (-12.3456, '−12.35'),
        (-1234.5, '−1\u202f234'),
    ],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


def test_points_are_where_the_scale_says(draw):
    _, paths = draw(Series('a', np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 0.5])))
    (left, bottom), (center, top), (right, middle) = points_of(line_of(paths))
    assert 0 < left < right < 360
    assert center == pytest.approx((left + right) / 2, abs=0.01)
    assert 0 < top < bottom < 216
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
    assert any(value_of(text) % 1 for text in texts if text != 'x')


@pytest.mark.parametrize('values', [[93.0, 93.0], [70.0, 100.0], [100.0, 100.0], [0.0, 0.0]])
def test_percentages_stay_between_0_and_100(draw, values):
    line = Series('a', np.array([0.5, 1.5]), np.array(values))
    texts, _ = draw(line, x_label='epoch', from_zero=False, bounds=(0, 100))
    assert all(0 <= value_of(text) <= 100 for text in texts if text != 'epoch')


def test_a_gap_is_a_gap_and_never_nan(draw):
    _, paths = draw(Series('a', np.arange(5.0), np.array([1.0, 2.0, np.nan, 2.0, 1.0])))
    assert line_of(paths).count('M') == 2
    assert len(points_of(line_of(paths))) == 4
    assert not any('nan' in path.lower() for _, path in paths)


def test_a_single_point_of_a_line_has_a_dot(drawing_of):
    chart = line_chart(
        [Series('a', np.array([2.0]), np.array([3.0])), Series('b', np.arange(3.0), np.ones(3), COLORS[1])],
        x_label='x',
    )
    marks = [e for e in ElementTree.fromstring(drawing_of(chart)).iter() if e.tag.endswith('}use')]
    assert sum(COLORS[0] in mark.get('style', '') for mark in marks) == 1


def test_rules_are_dotted_and_gray_unless_they_have_a_color(draw):
    line = Series('a', np.arange(3.0), np.arange(3.0))
    rules = [Rule('r', 1, vertical=True, color=COLORS[2]), Rule('s', 1)]
    _, paths = draw(line, rules=rules)
    for rule in rules:
        (path,) = (d for style, d in paths if f'stroke: {rule.color}' in style and 'dasharray' in style)
        (x0, y0), (x1, y1) = points_of(path)
        assert (x0 == x1) == rule.vertical
        assert (y0 == y1) != rule.vertical


def test_texts_are_escaped_and_formulas_are_not_read(draw, drawing_of):
    line = Series('a', np.arange(2.0), np.arange(2.0))
    for label in ('<x> & "y"', r'$\frac$'):
        assert label in draw(line, x_label=label)[0]
    assert line_chart([line], x_label='x') == line_chart([line], x_label='x')


def test_long_series_are_thinned_to_means():
    x = np.arange(1001, dtype=float)
    thinned = thin_out(x, 101)
    assert len(thinned) == 101
    assert (thinned[0], thinned[-1]) == (4.5, 1000)
    np.testing.assert_allclose(thin_out(2 * x, 101), 2 * thinned)
    assert thin_out(x, 1001) is x


def drawing():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.add_axes((0, 0, 1, 1)).scatter([1, 2], [1, 2])
    return figure


@pytest.mark.parametrize(('name', 'beginning'), [('a.png', b'\x89PNG'), ('b.svg', b'<?xml'), ('C.SVG', b'<?xml')])
def test_the_suffix_gives_the_format_and_equal_figures_give_equal_bytes(name, beginning, tmp_path):
    first, second = tmp_path / name, tmp_path / 'new' / name
    save_figure(drawing(), first)
    save_figure(drawing(), second)
    assert first.read_bytes().startswith(beginning)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize('name', ['map.jpg', 'map', 'png'])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r'use a name that ends in \.png or \.svg'):
        check_picture_name(name)
    with pytest.raises(ConfigError):
        save_figure(drawing(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
