from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import (
    FeatureMap,
    choose_tracklets,
    draw_feature_maps,
    embed_in_plane,
    map_features,
    save_figure,
)
from dscreid.visualization.feature_map import UNKNOWN_COLOR, person_colors


def two_persons():
    """Five features around each of two orthogonal directions, at very different lengths."""
    generator = np.random.default_rng(0)
    directions = np.repeat(np.eye(2, 8), 5, axis=0) + 0.02 * generator.normal(size=(10, 8))
    return (directions * generator.uniform(0.1, 50, size=(10, 1))).astype(np.float32)


def test_persons_of_different_directions_land_apart_whatever_the_lengths():
    position = embed_in_plane(two_persons())
    assert position.shape == (10, 2)
    np.testing.assert_allclose(position.mean(axis=0), 0, atol=1e-9)
    distance = np.linalg.norm(position[:, None] - position[None], axis=2)
    within = max(distance[:5, :5].max(), distance[5:, 5:].max())
    assert distance[:5, 5:].min() > 2 * within


def test_the_same_seed_gives_the_same_coordinates():
    feature = np.random.default_rng(1).normal(size=(40, 6))
    np.testing.assert_array_equal(embed_in_plane(feature, seed=3), embed_in_plane(feature, seed=3))


@pytest.mark.parametrize('count', [3, 4])
def test_the_perplexity_fits_few_tracklets(count):
    position = embed_in_plane(np.eye(count, 4), perplexity=100)
    assert position.shape == (count, 2)
    assert np.isfinite(position).all()


def test_features_that_cannot_be_mapped():
    with pytest.raises(DscreidError, match='at least 3 tracklets, got 2'):
        embed_in_plane(np.eye(2))
    with pytest.raises(DscreidError, match='all tracklets of a feature map have the same feature'):
        embed_in_plane(np.ones((5, 4)) * np.arange(1, 6)[:, None])
    with pytest.raises(DscreidError, match='all tracklets of a feature map have the same feature'):
        embed_in_plane(np.zeros((5, 4)))


def test_persons_and_tracklets_are_chosen_by_the_seed_and_not_by_features_or_order(features):
    order = np.random.default_rng(3).permutation(32)
    tables = features(1), features(2, 0.1), features(1, order=order)
    chosen = [table.index[choose_tracklets(table, persons=3, tracklets=100, seed=5)].tolist() for table in tables]
    assert chosen[0] == chosen[1] == chosen[2] == sorted(chosen[0])
    pids = tables[0].pid[chosen[0]]
    assert np.unique(pids, return_counts=True)[1].tolist() == [4, 4, 4]
    others = {tuple(choose_tracklets(tables[0], persons=3, tracklets=100, seed=seed)) for seed in range(5)}
    assert len(others) > 1
    assert len(choose_tracklets(tables[0], persons=3, tracklets=7)) == 7
    assert len(choose_tracklets(tables[0], persons=100, tracklets=100)) == 32


def test_unknown_persons_take_the_places_that_known_ones_leave(features):
    table = features()
    table = replace(table, pid=np.where(table.pid >= 14, table.pid, -1))  # 16 tracklets each
    rows = choose_tracklets(table, persons=2, tracklets=11)
    assert (table.pid[rows] < 0).sum() == 3
    assert (table.pid[rows] >= 0).sum() == 8


def test_each_person_has_a_color_and_unknown_ones_are_gray():
    colors = person_colors(np.array([7, -1, 3, 7]))
    assert set(colors) == {-1, 3, 7}
    assert colors[-1] == UNKNOWN_COLOR
    assert len(set(colors.values())) == 3
    many = person_colors(np.arange(-1, 30))
    assert len(set(many.values())) == 31
    assert many[-1] == UNKNOWN_COLOR


def marks(drawing):
    """Elements of an SVG drawing that show a tracklet: the legend's marks have another edge."""
    return [element for element in drawing.iter() if 'stroke-width: 0.6' in element.get('style', '')]


def test_every_tracklet_is_drawn_in_its_color_and_the_file_depends_on_its_arguments_only(features, tmp_path):
    table = features(1)
    table = replace(table, pid=np.where(table.pid < 12, table.pid, -1))  # 8 known tracklets, 24 unknown ones
    maps = [map_features(name, table, seed=2) for name in ('CD', 'DSC')]
    save_figure(draw_feature_maps(maps, note='made by hand'), tmp_path / 'a.svg')
    save_figure(draw_feature_maps(maps, note='made by hand'), tmp_path / 'b.svg')
    assert (tmp_path / 'a.svg').read_bytes() == (tmp_path / 'b.svg').read_bytes()
    drawn = [mark.get('style') for mark in marks(ElementTree.parse(tmp_path / 'a.svg'))]
    for pid, color in person_colors(table.pid).items():
        assert sum(f'fill: {color}' in style for style in drawn) == 2 * (table.pid == pid).sum()
    text = (tmp_path / 'a.svg').read_text()
    for shown in (
        'CD',
        'DSC',
        'visible',
        'infrared',
        'one color per person',
        'unknown person',
        'made by hand',
    ):
        assert f'>{shown}</text>' in text


def test_a_png_of_one_run_without_persons(features, tmp_path):
    table = features()
    one = map_features('run', replace(table, pid=np.full(32, -1)))
    save_figure(draw_feature_maps([one]), tmp_path / 'map.png')
    assert (tmp_path / 'map.png').read_bytes().startswith(b'\x89PNG')


def test_maps_of_different_test_sets_are_not_drawn_together(features, tmp_path):
    table = features()
    one, other = map_features('CD', table), map_features('DSC', replace(table, pid=table.pid + 1))
    with pytest.raises(DscreidError, match='"DSC" and "CD" are of different test sets'):
        save_figure(draw_feature_maps([one, other]), tmp_path / 'map.svg')
    assert list(tmp_path.iterdir()) == []


def test_a_mirrored_and_turned_map_is_drawn_like_the_first(features, tmp_path):
    one = map_features('run', features())
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])
    other = FeatureMap('run', one.position @ turn, one.index, one.pid, one.modality)
    save_figure(draw_feature_maps([one, other]), tmp_path / 'map.svg')
    root = ElementTree.parse(tmp_path / 'map.svg').getroot()
    panels = [element for element in root.iter() if element.get('id') in ('axes_1', 'axes_2')]
    first, second = (
        np.array([(float(mark.get('x')), float(mark.get('y'))) for mark in marks(panel) if mark.get('x')])
        for panel in panels
    )
    assert len(first) == 16  # the circles; triangles have no single place
    np.testing.assert_allclose(second - first, np.tile(second[0] - first[0], (16, 1)), atol=1e-4)
