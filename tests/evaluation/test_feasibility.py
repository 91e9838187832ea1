"""Whether a protocol can be measured, against the ranking itself."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dscreid.datasets.records import first_rows
from dscreid.errors import DatasetError
from dscreid.evaluation import InnerProduct, protocol_directions, rank_queries
from dscreid.evaluation.feasibility import DirectionCount, plan_evaluation
from dscreid.structures import Modality, Tracklet


def split(*rows):
    """A test split; rows (frames, modality, camera, pid, is_query)."""
    tracklets = [
        Tracklet((frames,), Modality(modality), camera, pid, is_query)
        for frames, modality, camera, pid, is_query in rows
    ]
    return SimpleNamespace(tracklets=tracklets, same_as=first_rows(tracklets), wheres=None)


FAIR = [
    ('a', 'ir', 0, 1, True),
    ('b', 'rgb', 1, 1, False),
    ('c', 'ir', 0, 2, True),
    ('d', 'rgb', 0, 2, False),
]


def test_counts_of_a_split_small_enough_to_count():
    found = plan_evaluation(split(*FAIR), 'hitsz_vcm')  # person 2 is under one camera
    assert found.directions == {'rgb2ir': DirectionCount(2, 1, 2), 'ir2rgb': DirectionCount(2, 1, 2)}
    assert (found.unranked.tolist(), found.own_gallery) == ([], 0)
    more = plan_evaluation(split(*FAIR, ('e', 'ir', 4, 1, False)), 'hitsz_vcm')
    assert more.unranked.tolist() == [4]


@pytest.mark.parametrize('protocol', ['hitsz_vcm', 'bupt_campus'])
def test_counts_are_those_of_the_ranking(protocol):
    rng = np.random.default_rng(1)
    rows = [
        (
            f't{rng.integers(70)}',
            'rgb' if rng.random() < 0.5 else 'ir',
            int(rng.integers(2)),
            int(rng.integers(-1, 20)),
        )
        for _ in range(120)
    ]
    queries = [modality == 'ir' if protocol == 'hitsz_vcm' else rng.random() < 0.5 for _, modality, *_ in rows]
    dataset = split(*((*row, bool(query)) for row, query in zip(rows, queries, strict=True)))
    found = plan_evaluation(dataset, protocol)
    features = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    pids, cameras = (np.array([getattr(t, name) for t in dataset.tracklets]) for name in ('pid', 'camera'))
    for name, direction in protocol_directions(protocol, [r[1] for r in rows], queries).items():
        query, gallery, drop = direction[:3]
        scores = InnerProduct(features[query], features[gallery])
        tracklets = dataset.same_as[query], dataset.same_as[gallery]
        ranks = rank_queries(scores, pids[query], cameras[query], pids[gallery], cameras[gallery], drop, tracklets)
        assert found.directions[name] == (len(query), (ranks.matches > 0).sum(), len(gallery))
        assert 0 < found.directions[name].valid < len(query)


def test_queries_without_a_true_match_are_refused():
    one_camera = [(frames, modality, 5, pid, query) for frames, modality, _, pid, query in FAIR]
    with pytest.raises(
        DatasetError, match=r'none of the 2 queries of rgb2ir .* 2 gallery tracklets of other cameras; check'
    ):
        plan_evaluation(split(*one_camera), 'hitsz_vcm')
    strangers = [(frames, modality, camera, n, query) for n, (frames, modality, camera, _, query) in enumerate(FAIR)]
    with pytest.raises(DatasetError, match=r'hitsz_vcm cannot be measured: none .* check the person ids, cameras'):
        plan_evaluation(split(*strangers), 'hitsz_vcm')


def test_everything_listed_as_a_query_is_refused():
    with pytest.raises(DatasetError, match='queries of one modality'):
        plan_evaluation(split(*((*row[:4], True) for row in FAIR)), 'hitsz_vcm')
    with pytest.raises(DatasetError, match='finds no gallery tracklet for rgb2ir'):
        plan_evaluation(split(*((*row[:4], True) for row in FAIR)), 'bupt_campus')


def test_unknown_people_match_nobody_and_a_split_of_them_is_not_evaluated():
    strangers = [(*row[:3], -1, row[4]) for row in FAIR]
    assert plan_evaluation(split(*strangers), 'hitsz_vcm') is None
    assert plan_evaluation(split(*((*row[:3], None, row[4]) for row in FAIR)), 'hitsz_vcm') is None
    with pytest.raises(DatasetError, match='none of the 3 queries of rgb2ir'):
        plan_evaluation(split(*strangers, ('e', 'rgb', 3, 7, False)), 'hitsz_vcm')


def test_a_query_is_no_match_of_its_own():
    rows = [
        ('a', 'rgb', 0, 1, True),
        ('a', 'rgb', 0, 1, False),
        ('b', 'ir', 0, 1, True),
        ('c', 'ir', 0, 1, False),
    ]
    with pytest.raises(DatasetError, match='none of the 1 queries of rgb2rgb'):
        plan_evaluation(split(*rows), 'bupt_campus')
    found = plan_evaluation(split(*rows, ('d', 'rgb', 0, 1, False)), 'bupt_campus')
    assert found.own_gallery == 1
    assert found.directions['rgb2rgb'] == (1, 1, 2)
