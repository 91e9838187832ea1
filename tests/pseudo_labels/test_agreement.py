"""The agreement schedule of label unification, alone and in DSLULabeler."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import (
    DSLULabeler,
    Labeler,
    LabelingContext,
    PseudoLabels,
    unify_labels,
    votes_needed,
)
from dscreid.registry import LABELERS
from dscreid.structures import Modality, TrackletFeatures


@LABELERS.register_module()
class EighthsLabeler(Labeler):
    """Eight clusters in each modality by the rows' order, every seventh tracklet an outlier."""

    def __call__(self, visible, infrared, context=None):
        rgb, ir = (np.arange(len(part)) % 8 for part in (visible, infrared))
        ir[::7] = -1
        return PseudoLabels(rgb=rgb, ir=ir, shared=False)


@pytest.fixture
def features():
    rows = torch.randn(2, 2, 40, 6, generator=torch.Generator().manual_seed(0))
    return TrackletFeatures(*rows[0]), TrackletFeatures(*rows[1])


def context(epoch):
    return LabelingContext(epoch=epoch, cameras={modality: np.zeros(40, np.int64) for modality in Modality})


def test_votes_fall_on_a_line_and_stay():
    votes = [votes_needed(epoch, 20, start=6, end=1, epochs=5, begin=10) for epoch in range(8, 18)]
    assert votes == [6, 6, 6, 5, 4, 3, 2, 1, 1, 1]


def test_halves_are_rounded_up_to_the_stricter_number():
    assert [votes_needed(epoch, 20, 6, 1, 10) for epoch in range(11)] == [6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1]


def test_shares_are_of_topk():
    assert [votes_needed(epoch, 10, 0.6, 0.1, 5) for epoch in range(6)] == [6, 5, 4, 3, 2, 1]
    assert votes_needed(0, 20, 0.6, 0.1, 5) == 12
    # an int is a number, a float a share
    assert (votes_needed(0, 20, 1, 1, 1), votes_needed(0, 20, 1.0, 1, 1)) == (1, 20)


@pytest.mark.parametrize('share', [0.1, 0.2, 0.3, 0.6, 0.7])
def test_rounding_of_a_share_costs_no_vote(share):
    assert votes_needed(0, 10, share, share, 1) == round(10 * share)


def test_votes_stay_within_those_cast():
    assert votes_needed(0, 4, 6, 1, 10) == 4
    assert votes_needed(0, 4, 0.01, 0.01, 1) == 1


@pytest.mark.parametrize(
    'bad',
    [{'start': 0}, {'start': 1.5}, {'end': 0.0}, {'end': True}, {'epochs': 0}, {'begin': -1}, {'topk': 0}],
)  # fmt: skip
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ValueError, match='must be'):
        votes_needed(**{'epoch': 0, 'topk': 20, 'start': 6, 'end': 1, 'epochs': 5, **bad})


def test_dslu_asks_for_the_votes_of_the_epoch(features):
    visible, infrared = features
    labeler = DSLULabeler(
        clustering={'type': 'EighthsLabeler'},
        inter={'topk': 15},
        intra=None,
        agreement={'start': 4, 'end': 1, 'epochs': 4, 'begin': 2},
    )
    assert labeler.needs_context
    assert not labeler.needs_centers
    clusters = EighthsLabeler()(visible, infrared)
    shares = []
    for epoch, votes in ((0, 4), (2, 4), (4, 3), (9, 1)):
        labels = labeler(visible, infrared, context(epoch))
        halves = (visible.static, visible.dynamic, infrared.static, infrared.dynamic)
        expected = unify_labels(*halves, clusters.ir, topk=15, min_votes=votes)
        np.testing.assert_array_equal(labels.rgb, expected)
        shares.append(labels.labelled_share(Modality.RGB))
    assert shares[0] == shares[1] < shares[2] < shares[3]


def test_shares_in_dslu_are_of_the_votes_that_can_be_cast(features):
    visible, infrared = features
    labeler = DSLULabeler(
        clustering={'type': 'EighthsLabeler'}, intra=None, agreement={'start': 1.0, 'end': 1.0, 'epochs': 1}
    )
    few = TrackletFeatures(infrared.static[1:3], infrared.dynamic[1:3])
    with pytest.raises(LabelingError, match=r'agreement\.start'):  # two neighbours of different labels never agree
        labeler(visible, few, context(0))
    one = TrackletFeatures(infrared.static[[1, 1, 1, 1]], infrared.dynamic[[1, 1, 1, 1]])
    labeler.clustering = lambda *_: PseudoLabels(np.zeros(40, np.int64), np.zeros(4, np.int64), False)
    assert (labeler(visible, one, context(0)).rgb == 0).all()


def test_dslu_without_a_schedule_needs_no_context(features):
    labeler = DSLULabeler(clustering={'type': 'EighthsLabeler'})
    assert not labeler.needs_context
    assert labeler(*features).shared


def test_a_schedule_without_an_epoch_is_refused(features):
    labeler = DSLULabeler(clustering={'type': 'EighthsLabeler'}, agreement={'start': 3, 'end': 1, 'epochs': 2})
    with pytest.raises(ConfigError, match='needs a LabelingContext'):
        labeler(*features)


@pytest.mark.parametrize(
    ('keywords', 'message'),
    [
        ({'agreement': {'start': 21, 'end': 1, 'epochs': 2}}, 'needs 21 votes, but only topk=20'),
        ({'agreement': {'start': 5, 'end': 6, 'epochs': 2}, 'inter': {'topk': 5}}, 'needs 6 votes'),
        ({'agreement': {'start': 5, 'end': 1, 'epochs': 0}}, 'epochs must be at least 1'),
        ({'agreement': {'start': 5}}, 'missing'),
        ({'agreement': {'start': 5, 'end': 1, 'epochs': 2, 'length': 3}}, "'length'"),
        ({'agreement': {'start': 5, 'end': 1, 'epochs': 2}, 'inter': {'min_votes': 2}}, 'without min_votes'),
        ({'agreement': {'start': 5, 'end': 1, 'epochs': 2}, 'inter': None}, 'agreement needs inter'),
    ],
)
def test_schedules_that_do_not_fit_are_refused(keywords, message):
    with pytest.raises(ConfigError, match=message):
        DSLULabeler(**keywords)
