import cv2
import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import (
    RetrievalExample,
    TrackletPictures,
    draw_retrieval,
    instructive_query,
    save_figure,
)
from dscreid.visualization.retrieval import Hit

GREEN, RED = (26, 127, 55), (207, 34, 46)


def example(index, before, after, direction='rgb2ir'):
    """A query with answers that are right where a text has ``+``."""
    lists = tuple(
        (name, tuple(Hit(rank, 10, 1, mark == '+', 0.5) for rank, mark in enumerate(marks)))
        for name, marks in (('CD', before), ('DSC', after))
    )
    return RetrievalExample(direction, index, 10, 1, lists)


def test_a_query_is_drawn_from_those_that_are_answered_better():
    examples = [
        example(0, '+--', '+--'),
        example(1, '---', '+--'),
        example(2, '+--', '-++'),  # better, but wrong at rank 1
        example(3, '++-', '+--'),
        example(4, '-+-', '++-'),
    ]
    chosen = [instructive_query(examples, seed) for seed in range(10)]
    assert {one.example.index for one in chosen} == {1, 4}
    assert {(one.better, one.worse, one.total) for one in chosen} == {(3, 1, 5)}
    assert instructive_query(examples, 3).example is instructive_query(examples, 3).example


def test_no_query_is_answered_better():
    with pytest.raises(DscreidError, match='the second run answers none of the 2 queries better'):
        instructive_query([example(0, '+-', '+-'), example(1, '+-', '--')])


def count(pixels, color):
    return int((np.abs(pixels.astype(int) - color).max(axis=2) < 3).sum())


def test_right_answers_are_framed_green_and_wrong_ones_red(dataset, tmp_path):
    pictures = TrackletPictures(dataset)
    shares = []
    for number, marks in enumerate(('++', '+-', '--')):
        path = tmp_path / f'{number}.png'
        save_figure(draw_retrieval(example(8, marks, marks), pictures), path)
        pixels = cv2.imread(str(path))[..., ::-1]
        shares.append((count(pixels, GREEN), count(pixels, RED)))
    (green_two, no_red), (green_one, red_one), (no_green, red_two) = shares
    assert no_red == no_green == 0
    assert green_two == pytest.approx(2 * green_one, rel=0.1)
    assert red_two == pytest.approx(2 * red_one, rel=0.1)
    assert 0 < red_one < green_one  # dashes leave gaps


@pytest.mark.parametrize(('direction', 'heading'), [('rgb2ir', 'Visible query'), ('ir2rgb', 'Infrared query')])
def test_words_of_the_picture(direction, heading, dataset, tmp_path):
    path = tmp_path / 'picture.svg'
    figure = draw_retrieval(example(8, '-+', '++', direction), TrackletPictures(dataset, 3), note='made by hand')
    save_figure(figure, path)
    answers = 'infrared' if direction == 'rgb2ir' else 'visible'
    text = path.read_text()
    for shown in (
        heading,
        f'CD: 1 of 2 {answers} answers right',
        f'DSC: 2 of 2 {answers} answers right',
        'made by hand',
    ):
        assert f'>{shown}</text>' in text


def test_equal_pictures_have_equal_bytes_and_no_note_unless_given(dataset, tmp_path):
    paths = [tmp_path / name for name in ('a.svg', 'b.svg')]
    for path in paths:
        save_figure(draw_retrieval(example(8, '-+', '++'), TrackletPictures(dataset)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert 'ynthetic' not in paths[0].read_text()
