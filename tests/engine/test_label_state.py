import copy
import io

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dscreid.engine.label_state import check_labels, labels_from_state, labels_state
from dscreid.errors import CheckpointError
from dscreid.pseudo_labels import CrossLabels, PseudoLabels, SoftTargets
from dscreid.structures import Modality


def soft(rows, seed):
    dense = np.random.default_rng(seed).random((rows, 3)).astype(np.float32)
    dense[dense < 0.5] = 0
    return SoftTargets(csr_array(dense), dense[:, 0].copy())


RGB, IR = np.array([0, 1, -1, 2]), np.array([0, -1, 1])
SOFT = {Modality.RGB: soft(4, 0), Modality.IR: soft(3, 1)}


@pytest.mark.parametrize(
    'more',
    [
        dict(shared=True, center_modality=Modality.IR),
        dict(shared=False, groups={Modality.RGB: np.array([0, 0, 1]), Modality.IR: np.array([1, 1])}),
        dict(shared=False, matches=np.array([[0, 1], [2, 0]]), soft=SOFT),
        dict(shared=False, cross=CrossLabels(np.array([1, 0, -1, 1]), np.array([2, 2, -1]))),
        dict(shared=False, cross=CrossLabels(np.array([1, 0, -1, 1]), np.array([2, 2, -1]), SOFT)),
    ],
)
def test_labels_come_back_from_a_file(more):
    labels = PseudoLabels(RGB, IR, **more)
    torch.save(labels_state(labels), file := io.BytesIO())
    file.seek(0)
    again = labels_from_state(torch.load(file, weights_only=True))
    assert flat(again) == flat(labels)


def flat(value):
    """Plain lists and numbers of everything that labels hold."""
    if hasattr(value, '__slots__') and not isinstance(value, (np.ndarray, csr_array)):
        return {name: flat(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, dict):
        return {key: flat(part) for key, part in value.items()}
    if isinstance(value, csr_array):
        return (value.dtype.str, value.toarray().tolist())
    return (value.dtype.str, value.tolist()) if isinstance(value, np.ndarray) else value


COUNTS = {Modality.RGB: 4, Modality.IR: 3}
FULL = PseudoLabels(
    RGB,
    IR,
    shared=False,
    cross=CrossLabels(np.array([1, 0, -1, 1]), np.array([2, 2, -1]), SOFT),
    matches=np.array([[0, 1], [2, 0]]),
    soft=SOFT,
    groups={Modality.RGB: np.array([0, 0, 1]), Modality.IR: np.array([1, 1])},
)


def rows(*parts):
    """A damage that leaves two rows of a part."""

    def damage(state):
        *path, last = parts
        for name in path:
            state = state[name]
        state[last] = state[last][:2]

    return damage


def put(value, *parts):
    def damage(state):
        *path, last = parts
        for name in path:
            state = state[name]
        state[last][0] = value

    return damage


def drop_soft_row(state):
    part = state['soft']['rgb']
    end = int(part['indptr'][3])
    part.update(data=part['data'][:end], indices=part['indices'][:end], indptr=part['indptr'][:4], shape=[3, 3])
    part['weights'] = part['weights'][:3]


DAMAGES = {
    'labels': (rows('own', 'rgb'), '2 labels for 4 rgb tracklets'),
    'cross labels': (rows('cross', 'ir'), '2 cross labels for 3 ir tracklets'),
    'soft labels': (drop_soft_row, '3 soft labels for 4 rgb tracklets'),
    'soft weights': (rows('soft', 'rgb', 'weights'), 'one each per tracklet'),
    'a soft label': (put(float('nan'), 'soft', 'ir', 'data'), 'soft labels of ir are not finite'),
    'a weight': (
        put(float('inf'), 'cross_soft', 'rgb', 'weights'),
        'soft cross labels of rgb are not finite',
    ),
    'a column': (put(9, 'soft', 'rgb', 'indices'), 'soft labels of rgb: .*indices'),
    'groups': (rows('groups', 'rgb'), '2 groups for 3 rgb clusters'),
    'matches': (put(7, 'matches'), 'matches with (rgb|ir) clusters that do not exist'),
    'a match of one': (
        lambda state: state.update(matches=state['matches'][:, :1]),
        r'matches of shape \(2, 1\)',
    ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_labels_of_other_tracklets_are_refused(name):
    damage, message = DAMAGES[name]
    state = copy.deepcopy(labels_state(FULL))
    check_labels(labels_from_state(state), COUNTS)
    damage(state)
    with pytest.raises((CheckpointError, ValueError), match=message):
        check_labels(labels_from_state(state), COUNTS)
