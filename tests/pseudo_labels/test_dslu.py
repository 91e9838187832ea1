"""DSLU in unification.py against the equations, and where the equations leave a choice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dslu_oracle

from dscreid.pseudo_labels import correct_labels, unify_labels
from dscreid.utils import chunks


def _angles(*degrees):
    """Unit vectors in the plane, whose cosine similarity is read off the angles."""
    radians = np.deg2rad(np.array(degrees, dtype=np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def _matrices(rng, *sizes, d=5):
    return [rng.normal(size=(n, d)) for n in sizes]


@settings(max_examples=60, deadline=None)
@given(
    nv=st.integers(1, 25),
    nt=st.integers(1, 40),
    topk=st.integers(1, 25),
    clusters=st.integers(1, 9),
    outliers_vote=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_unify_equals_oracle(nv, nt, topk, clusters, outliers_vote, seed):
    rng = np.random.default_rng(seed)
    matrices = _matrices(rng, nv, nv, nt, nt)
    labels = rng.integers(-1, clusters, size=nt)
    unified = unify_labels(*matrices, labels, topk=topk, outliers_vote=outliers_vote)
    expected = dslu_oracle.unify(*matrices, labels.tolist(), topk, outliers_vote)
    assert unified.dtype == np.int64
    np.testing.assert_array_equal(unified, expected)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    topk=st.integers(1, 25),
    clusters=st.integers(1, 9),
    weights=st.sampled_from([(1.0, 1.0), (0.3, 0.7), (1.0, 0.0), (0.0, 1.0), (2.0, 2.0)]),
    outliers_vote=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_correct_equals_oracle(n, topk, clusters, weights, outliers_vote, seed):
    rng = np.random.default_rng(seed)
    static, dynamic = _matrices(rng, n, n)
    labels = rng.integers(-1, clusters, size=n)
    corrected = correct_labels(static, dynamic, labels, topk, *weights, outliers_vote=outliers_vote)
    expected = dslu_oracle.correct(static, dynamic, labels.tolist(), topk, *weights, outliers_vote)
    assert corrected.dtype == np.int64
    np.testing.assert_array_equal(corrected, expected)


def test_unify_takes_the_label_both_views_agree_on():
    dynamic_gallery = _angles(1, 2, 3, 90, 91, 92)  # dynamically nearest to 0 degrees: 0, 1, 2
    static_gallery = _angles(90, 2, 3, 1, 91, 92)  # statically nearest: 3, 1, 2
    labels = np.array([7, 5, 5, 9, 9, 9])
    args = (_angles(0), _angles(0), static_gallery, dynamic_gallery, labels)
    unified, votes = unify_labels(*args, topk=3, return_votes=True)
    assert unified.tolist() == [5]
    assert votes.tolist() == [2]


def test_unify_ties_go_to_the_dynamically_nearest():
    dynamic_gallery = _angles(3, 1, 2, 50)
    static_gallery = _angles(1, 3, 2, 50)
    for labels in ([4, 8, 6, 0], [8, 4, 6, 0]):  # each label of the nearest three has one vote
        unified = unify_labels(_angles(0), _angles(0), static_gallery, dynamic_gallery, np.array(labels), topk=3)
        assert unified.tolist() == [labels[1]]


def test_unify_without_agreement():
    dynamic_gallery, static_gallery = _angles(1, 2, 80, 81), _angles(80, 81, 1, 2)
    args = (_angles(0), _angles(0), static_gallery, dynamic_gallery, np.array([3, 4, 5, 6]))
    assert unify_labels(*args, topk=2).tolist() == [-1]
    assert unify_labels(*args, topk=2, outliers_vote=True).tolist() == [3]
    assert unify_labels(*args, topk=2, outliers_vote=True, min_votes=1).tolist() == [-1]


def test_unify_outliers():
    gallery = _angles(1, 2, 3, 4, 5)
    args = (_angles(0), _angles(0), gallery, gallery, np.array([-1, -1, -1, 2, 2]))
    assert unify_labels(*args, topk=4).tolist() == [2]  # three outliers are neither candidates nor votes
    assert unify_labels(*args, topk=3).tolist() == [-1]  # yet they keep their places
    assert unify_labels(*args, topk=5, outliers_vote=True).tolist() == [-1]  # here they outvote 2


def test_unify_min_votes_and_votes():
    gallery = _angles(1, 2, 3)
    args = (_angles(0), _angles(0), gallery, gallery, np.array([1, 1, 0]))
    for min_votes, label in ((1, 1), (2, 1), (3, -1)):
        unified, votes = unify_labels(*args, topk=3, min_votes=min_votes, return_votes=True)
        assert unified.tolist() == [label]
        assert votes.tolist() == [2 if label == 1 else 0]


def test_unify_recovers_planted_labels():
    rng = np.random.default_rng(0)
    identity_v, identity_t = rng.integers(8, size=50), np.repeat(np.arange(8), 10)
    centres = rng.normal(size=(2, 8, 16))
    noise = 0.2
    matrices = [
        centres[space][identity] + noise * rng.normal(size=(len(identity), 16))
        for identity in (identity_v, identity_t)
        for space in (0, 1)
    ]
    np.testing.assert_array_equal(unify_labels(*matrices, identity_t, topk=10), identity_v)


def test_correct_ties_keep_the_own_label_else_the_smallest():
    static = _angles(0, 1, 2, 3)
    # neighbours of row 0 are 0..3: labels 5 and 2 tie
    assert correct_labels(static, static, np.array([5, 5, 2, 2]), topk=4).tolist() == [5, 5, 2, 2]
    assert correct_labels(static, static, np.array([2, 2, 5, 5]), topk=4).tolist() == [2, 2, 5, 5]
    # own label is no winner
    five = _angles(0, 1, 2, 3, 4)
    assert correct_labels(five, five, np.array([9, 5, 5, 2, 2]), topk=5)[0] == 2


def test_correct_outliers():
    near = _angles(0, 1, 2, 3)
    labels = np.array([-1, -1, -1, 6])
    assert correct_labels(near, near, labels, topk=4).tolist() == [6, 6, 6, 6]
    assert correct_labels(near, near, labels, topk=4, outliers_vote=True).tolist() == [-1] * 4
    assert correct_labels(near, near, np.full(4, -1), topk=4).tolist() == [-1] * 4


@pytest.mark.parametrize('outliers_vote', [False, True])
def test_correct_always_counts_the_tracklet_itself(outliers_vote):
    """Among duplicates a plain search may leave a row out of its own neighbours."""
    same = np.ones((30, 4))
    labels = np.arange(30)
    corrected = correct_labels(same, same, labels, topk=1, outliers_vote=outliers_vote)
    np.testing.assert_array_equal(corrected, labels)


def test_row_chunks_do_not_show(monkeypatch):
    rng = np.random.default_rng(3)
    matrices = _matrices(rng, 40, 40, 50, 50)
    labels = rng.integers(-1, 6, size=50)
    whole = unify_labels(*matrices, labels, topk=7), correct_labels(*matrices[2:], labels, topk=7)
    monkeypatch.setattr(chunks, 'CHUNK_ELEMENTS', 150)
    pieces = unify_labels(*matrices, labels, topk=7), correct_labels(*matrices[2:], labels, topk=7)
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(a, b)


def test_kind_of_result_follows_the_labels():
    rng = np.random.default_rng(4)
    matrices = [torch.from_numpy(m) for m in _matrices(rng, 6, 6, 9, 9)]
    labels = rng.integers(-1, 3, size=9)
    for given_, kind in ((labels, np.ndarray), (torch.from_numpy(labels), torch.Tensor)):
        unified, votes = unify_labels(*matrices, given_, return_votes=True)  # topk 20 > 9 is clipped
        corrected = correct_labels(*matrices[2:], given_)
        assert isinstance(unified, kind)
        assert isinstance(votes, kind)
        assert isinstance(corrected, kind)
    assert corrected.dtype == torch.int64


def test_more_neighbors_than_tracklets_are_a_warning():
    matrices = _matrices(np.random.default_rng(4), 6, 6, 9, 9)
    labels = np.arange(9) % 3
    with pytest.warns(UserWarning, match='topk=20 exceeds the gallery size; using 9'):
        unified = unify_labels(*matrices, labels, topk=20)
    np.testing.assert_array_equal(unified, unify_labels(*matrices, labels, topk=9))
    with pytest.warns(UserWarning, match='topk=10 exceeds the gallery size; using 9'):
        corrected = correct_labels(*matrices[2:], labels, topk=10)
    np.testing.assert_array_equal(corrected, correct_labels(*matrices[2:], labels, topk=9))


def test_empty_modalities():
    nothing, some = np.zeros((0, 4)), np.eye(4)
    labels = np.zeros(4, dtype=np.int64)
    assert unify_labels(nothing, nothing, some, some, labels).tolist() == []
    none = np.zeros(0, dtype=np.int64)
    assert unify_labels(some, some, nothing, nothing, none).tolist() == [-1] * 4
    assert correct_labels(nothing, nothing, none).tolist() == []


def test_inputs_stay_untouched():
    rng = np.random.default_rng(5)
    matrices = _matrices(rng, 6, 6, 9, 9)
    labels = rng.integers(-1, 3, size=9)
    before = [m.copy() for m in (*matrices, labels)]
    unify_labels(*matrices, labels, topk=3)
    correct_labels(*matrices[2:], labels, topk=3)
    for a, b in zip((*matrices, labels), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_refuses_bad_input():
    x, labels = np.eye(4), np.arange(4)
    with pytest.raises(ValueError, match='infrared_labels must be 4 integers'):
        unify_labels(x, x, x, x, labels[:3])
    with pytest.raises(ValueError, match='>= -1'):
        unify_labels(x, x, x, x, labels - 2)
    with pytest.raises(ValueError, match='integers'):
        correct_labels(x, x, labels.astype(float))
    with pytest.raises(ValueError, match='topk'):
        unify_labels(x, x, x, x, labels, topk=0)
    with pytest.raises(ValueError, match='not both 0'):
        correct_labels(x, x, labels, static_weight=0, dynamic_weight=0)
    with pytest.raises(ValueError, match='static but'):
        correct_labels(x, x[:3], labels)
    with pytest.raises(ValueError, match='static but'):
        unify_labels(x, x[:3], x, x, labels)
    with pytest.raises(ValueError, match='NaN'):
        correct_labels(x, x * np.nan, labels)
