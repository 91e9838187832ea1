import numpy as np
import pytest
import torch

from dscreid.datasets.transforms import PackTracklet
from dscreid.structures import Modality, Tracklet


def pack(pid=None, label=None, is_query=False):
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    tracklet = Tracklet(('a', 'b'), Modality.IR, 2, pid, is_query)
    results = {
        'tracklet': tracklet,
        'frames': frames,
        'index': np.int64(9),
        'same_as': np.int64(3),
        'seed': 4,
        'position': np.int64(7),
        'label': label,
        'rng': None,
    }
    return frames, PackTracklet()(results)


def test_pixels_become_a_uint8_tensor_without_a_copy():
    frames, packed = pack()
    inputs = packed['inputs']
    assert inputs.dtype == torch.uint8
    assert inputs.data_ptr() == frames.ctypes.data
    np.testing.assert_array_equal(inputs.numpy(), np.moveaxis(frames, -1, 1))


@pytest.mark.parametrize(
    ('pid', 'label', 'extra'),
    [(None, None, {}), (31, None, {'pid': 31}), (31, 2, {'pid': 31, 'label': 2})],
)
def test_facts_are_packed_and_absent_ones_are_absent(pid, label, extra):
    packed = pack(pid, label, is_query=True)[1]
    assert set(packed) == {'inputs', 'data_samples'}
    sample = packed['data_samples']
    facts = {
        'index': 9,
        'same_as': 3,
        'modality': 'ir',
        'camera': 2,
        'length': 2,
        'seed': 4,
        'position': 7,
        'is_query': True,
    }
    facts |= extra
    assert dict(sample.metainfo_items()) == facts
    assert type(sample.index) is int
    assert type(sample.modality) is str
    assert ('pid' in sample) == (pid is not None)
    assert ('label' in sample) == (label is not None)
