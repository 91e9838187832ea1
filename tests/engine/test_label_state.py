import io

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dscreid.engine.label_state import labels_from_state, labels_state
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
