"""Which tracklets a protocol searches for and in."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError, DatasetError
from dscreid.evaluation import Direction, EvaluationProtocol, protocol_directions
from dscreid.registry import METRICS, PROTOCOLS
from dscreid.structures import Modality


def test_hitsz_vcm():
    modalities = ['ir', 'rgb', 'ir', 'rgb', 'rgb']
    directions = protocol_directions('hitsz_vcm', modalities, [True, False, True, False, False])
    assert set(directions) == {'rgb2ir', 'ir2rgb'}
    assert directions['ir2rgb'].query.tolist() == [0, 2]
    assert directions['ir2rgb'].gallery.tolist() == [1, 3, 4]  # all other tracklets
    assert directions['rgb2ir'].query.tolist() == [1, 3, 4]
    assert directions['rgb2ir'].gallery.tolist() == [0, 2]
    assert all(direction.drop_same_camera for direction in directions.values())


def test_hitsz_vcm_with_a_visible_query_list():
    directions = protocol_directions('hitsz_vcm', ['ir', 'rgb', 'ir', 'rgb'], [False, True, False, True])
    assert directions['rgb2ir'].query.tolist() == directions['ir2rgb'].gallery.tolist() == [1, 3]
    assert directions['rgb2ir'].gallery.tolist() == directions['ir2rgb'].query.tolist() == [0, 2]


def test_hitsz_vcm_leaves_out_unlisted_tracklets_of_the_queries_modality():
    directions = protocol_directions('hitsz_vcm', ['ir', 'ir', 'rgb'], [True, False, False])
    assert [part.tolist() for part in directions['ir2rgb'][:2]] == [[0], [2]]
    assert [part.tolist() for part in directions['rgb2ir'][:2]] == [[2], [0]]


def test_hitsz_vcm_refuses_queries_of_both_modalities():
    modalities, is_query = ['ir', 'rgb', 'ir', 'rgb', 'rgb'], [True, True, True, False, False]
    with pytest.raises(
        DatasetError,
        match=r'names 1 visible and 2 infrared tracklets; remove the visible ones \(tracklet 1\)',
    ):
        protocol_directions('hitsz_vcm', modalities, is_query)
    wheres = [f'track_test_info.txt:{line}' for line in range(1, 6)]
    with pytest.raises(DatasetError, match=r'remove the visible ones \(track_test_info.txt:2\)'):
        protocol_directions('hitsz_vcm', modalities, is_query, wheres)
    assert set(protocol_directions('bupt_campus', [*modalities, 'ir'], [*is_query, False])) > {'rgb2ir'}


@pytest.mark.parametrize('protocol', ['hitsz_vcm', 'bupt_campus', 'bupt_campus_as_published'])
@pytest.mark.parametrize('listed', ['ir', 'rgb'])
def test_the_name_of_a_direction_is_that_of_its_tracklets(protocol, listed):
    rng = np.random.default_rng(0)
    modalities = rng.choice(['ir', 'rgb'], 500)
    is_query = rng.random(500) < 0.5
    if protocol == 'hitsz_vcm':
        is_query &= modalities == listed
    for name, direction in protocol_directions(protocol, modalities.tolist(), is_query).items():
        assert {*modalities[direction.query]} == {name.split('2')[0]}
        assert {*modalities[direction.gallery]} == {name.split('2')[1]}


def test_bupt_campus():
    modalities = [Modality.RGB, Modality.IR, Modality.RGB, Modality.IR, Modality.RGB]
    directions = protocol_directions('bupt_campus', modalities, [True, True, False, False, False])
    rows = {name: (d.query.tolist(), d.gallery.tolist()) for name, d in directions.items()}
    assert rows == {
        'rgb2ir': ([0], [3]), 'ir2rgb': ([1], [2, 4]), 'rgb2rgb': ([0], [2, 4]), 'ir2ir': ([1], [3])
    }  # fmt: skip
    assert not any(direction.drop_same_camera for direction in directions.values())


def _bupt_test_set(rgb_queries, ir_queries, rgb_gallery, ir_gallery):
    modalities = ['rgb'] * rgb_queries + ['ir'] * ir_queries + ['rgb'] * rgb_gallery + ['ir'] * ir_gallery
    is_query = [True] * (rgb_queries + ir_queries) + [False] * (rgb_gallery + ir_gallery)
    return modalities, is_query


def test_published_bupt_figures_lack_the_last_visible_tracklets():
    # chosen such that the counts of the reference remain: 1,048 queries and 4,790 in the gallery
    world = _bupt_test_set(512 + 28, 536, 2368 + 60, 2422)
    exact = protocol_directions('bupt_campus', *world)
    published = protocol_directions('bupt_campus_as_published', *world)

    def sizes(directions, part):
        pair = directions['rgb2ir'], directions['ir2rgb']
        return sum(len(getattr(direction, part)) for direction in pair)

    assert (sizes(exact, 'query'), sizes(exact, 'gallery')) == (1076, 4850)
    assert (sizes(published, 'query'), sizes(published, 'gallery')) == (1048, 4790)
    assert published['rgb2ir'].query.tolist() == list(range(512))
    np.testing.assert_array_equal(published['ir2ir'].query, exact['ir2ir'].query)
    np.testing.assert_array_equal(published['ir2ir'].gallery, exact['ir2ir'].gallery)
    assert published['rgb2rgb'].gallery.tolist() == exact['rgb2rgb'].gallery[:2368].tolist()


@pytest.mark.parametrize('rgb_queries', [64, 63])
def test_published_bupt_slice_may_leave_nothing(rgb_queries):
    world = _bupt_test_set(rgb_queries, 5, 65, 5)
    with pytest.raises(
        DatasetError,
        match=f'bupt_campus_as_published finds no query tracklet for rgb2.*{70 + rgb_queries + 5}',
    ):
        protocol_directions('bupt_campus_as_published', *world)


def test_refuses_what_cannot_be_evaluated():
    with pytest.raises(ConfigError, match=r"unknown evaluation protocol 'sysu' \(known are hitsz_vcm"):
        protocol_directions('sysu', ['rgb'], [True])
    with pytest.raises(ConfigError, match=r"protocol 'hitsz'; did you mean 'hitsz_vcm'\? \(known are"):
        protocol_directions('hitsz', ['rgb'], [True])
    with pytest.raises(DatasetError, match=r'hitsz_vcm finds no gallery tracklet for rgb2ir among 2'):
        protocol_directions('hitsz_vcm', ['rgb', 'ir'], [False, False])
    with pytest.raises(DatasetError, match='finds no gallery tracklet for ir2rgb'):
        protocol_directions('bupt_campus', ['rgb', 'ir', 'ir'], [True, True, False])


class VisibleQueries(EvaluationProtocol):
    """Only visible queries are searched, among everything else."""

    def directions(self, visible, queries):
        return {'rgb2all': Direction(np.flatnonzero(visible & queries), np.flatnonzero(~(visible & queries)), False)}


@pytest.fixture
def own_protocol():
    PROTOCOLS.register_module(name='visible_queries', module=VisibleQueries)
    yield 'visible_queries'
    del PROTOCOLS.module_dict['visible_queries']


def test_a_registered_class_is_a_protocol_of_the_metric(own_protocol):
    metric = METRICS.build(dict(type='ReIDMetric', protocol=own_protocol, ranks=(1,), confidence=0.9))
    facts = dict(static=torch.zeros(1), dynamic=torch.zeros(1), camera=0)
    for index in range(8):
        modality, feature = ('rgb', 'ir')[index % 2], torch.eye(4)[index // 2 % 4]
        sample = dict(feature=feature, pid=index // 2, modality=modality, is_query=index < 4, index=index)
        metric.process(None, [sample | facts])
    values = metric.evaluate(8)
    assert values['rgb2all/mAP'] == values['mean/mAP'] == 1
    assert values['mean/mAP_low'] == 1


def test_a_protocol_declares_whether_queries_have_one_modality(own_protocol, monkeypatch):
    mixed = ['rgb', 'ir', 'ir'], [True, True, False]
    assert set(protocol_directions(own_protocol, *mixed)) == {'rgb2all'}
    monkeypatch.setattr(VisibleQueries, 'one_query_modality', True)
    with pytest.raises(DatasetError, match='visible_queries ranks queries of one modality'):
        protocol_directions(own_protocol, *mixed)
