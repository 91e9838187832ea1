import numpy as np
import pytest

from dscreid.datasets.transforms import SampleFrames
from dscreid.errors import ConfigError
from dscreid.registry import TRANSFORMS
from dscreid.structures import Modality, Tracklet


def sampled(transform, seed=0, length=20):
    tracklet = Tracklet(tuple(f'{k}.jpg' for k in range(length)), Modality.IR, 1)
    return transform({'tracklet': tracklet, 'rng': np.random.default_rng(seed)})


def test_paths_follow_the_indices():
    results = sampled(TRANSFORMS.build({'type': 'SampleFrames', 'num_frames': 4, 'rule': 'linspace'}))
    assert results['frame_paths'] == ('0.jpg', '5.jpg', '10.jpg', '15.jpg')
    assert results['frame_indices'].tolist() == [0, 5, 10, 15]


def test_short_tracklet_repeats_its_last_frame():
    assert sampled(SampleFrames(6), length=4)['frame_paths'][-3:] == ('3.jpg',) * 3


@pytest.mark.parametrize('rule', ['segment_random', 'sorted_random'])
def test_random_rules_depend_on_the_given_generator_alone(rule):
    transform = SampleFrames(6, rule)
    np.random.seed(0)  # noqa: NPY002
    first = sampled(transform, seed=3)['frame_paths']
    assert sampled(transform, seed=3)['frame_paths'] == first
    assert any(sampled(transform, seed=s)['frame_paths'] != first for s in range(10))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'rule': 'first'}, "segment_first, segment_random, linspace, sorted_random, got 'first'"),
        ({'num_frames': 0}, 'at least 1'),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SampleFrames(**arguments)
