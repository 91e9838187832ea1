"""The augmentations' pure functions against numpy, one frame at a time."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.augmentation import (
    ERASE,
    NUM_UNIFORMS,
    ErasingPolicy,
    JitterPolicy,
    channel_choices,
    crop_frames,
    crop_offsets,
    erase_boxes,
    erase_frames,
    flip_frames,
    jitter_factors,
    jitter_frames,
    mix_channels,
    uniform_draws,
)


def frames(num=3, length=4, height=8, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(num, length, 3, height, width, generator=generator)


def uniforms(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def frame_parameter(parameter, sample, frame):
    """The parameter of one frame, whether drawn per tracklet or per frame."""
    return parameter[sample, frame if parameter.shape[1] > 1 else 0]


@pytest.mark.parametrize('draws', [1, 4])
def test_flip(draws):
    x, flips = frames(), torch.from_numpy(uniforms(3, draws) < 0.5)
    assert flips.any()
    assert not flips.all()
    result = flip_frames(x, flips)
    for n in range(3):
        for t in range(4):
            expected = x[n, t].flip(-1) if frame_parameter(flips, n, t) else x[n, t]
            assert torch.equal(result[n, t], expected)


@pytest.mark.parametrize('dtype', [torch.float32, torch.uint8])
@pytest.mark.parametrize('draws', [1, 4])
def test_crop(draws, dtype):
    pad, x = 2, (frames() * 255).to(dtype)
    offsets = torch.from_numpy(crop_offsets(uniforms(3, draws, 2), pad))
    result = crop_frames(x, offsets, pad)
    assert result.dtype == dtype
    for n in range(3):
        for t in range(4):
            top, left = frame_parameter(offsets, n, t).tolist()
            padded = np.pad(x[n, t].numpy(), ((0, 0), (pad, pad), (pad, pad)))
            assert np.array_equal(result[n, t].numpy(), padded[:, top : top + 8, left : left + 5])


def test_crop_offsets_cover_their_range():
    offsets = crop_offsets(uniforms(4000, 2), pad=2)
    assert np.unique(offsets).tolist() == [0, 1, 2, 3, 4]
    assert np.bincount(offsets[:, 0]).min() > 600


@pytest.mark.parametrize('draws', [1, 4])
def test_erase(draws):
    x = frames(height=20, width=10)
    policy = ErasingPolicy(probability=0.7, fill=(0.1, 0.2, 0.3))
    boxes = torch.from_numpy(erase_boxes(uniforms(3, draws, ERASE.stop - ERASE.start), 20, 10, policy))
    result = erase_frames(x, boxes, policy.fill)
    for n in range(3):
        for t in range(4):
            top, left, height, width = frame_parameter(boxes, n, t).tolist()
            expected = x[n, t].clone()
            expected[:, top : top + height, left : left + width] = torch.tensor(policy.fill)[:, None, None]
            assert torch.equal(result[n, t], expected)


def test_boxes_keep_chance_area_aspect_and_borders():
    policy = ErasingPolicy()
    boxes = erase_boxes(uniforms(4000, ERASE.stop - ERASE.start), 288, 144, policy)
    erased = boxes[boxes[:, 2] > 0]
    assert 0.46 < len(erased) / 4000 < 0.54
    top, left, height, width = erased.T
    area, aspect = height * width / (288 * 144), height / width
    assert area.min() > 0.019
    assert 0.3 < area.max() < 0.41
    assert aspect.min() > 0.28
    assert aspect.max() < 3.5
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 288).all()
    assert (left + width <= 144).all()


@pytest.mark.parametrize('probability', [0.0, 1.0])
def test_certain_and_impossible_boxes(probability):
    policy = ErasingPolicy(probability=probability)
    boxes = erase_boxes(uniforms(50, ERASE.stop - ERASE.start), 32, 16, policy)
    assert (boxes[:, 2] > 0).all() == bool(probability)


def test_an_image_too_small_for_any_box_stays_whole():
    boxes = erase_boxes(uniforms(20, ERASE.stop - ERASE.start), 1, 1, ErasingPolicy(probability=1.0))
    assert not boxes.any()


@pytest.mark.parametrize('draws', [1, 4])
def test_mix_channels(draws):
    x = frames(num=5)
    choices = torch.arange(5)[:, None].repeat(1, draws)
    if draws > 1:
        choices[:, 2] = 4 - choices[:, 2]
    result = mix_channels(x, choices)
    for n in range(5):
        for t in range(4):
            choice = int(frame_parameter(choices, n, t))
            if choice < 3:
                expected = x[n, t, choice].expand(3, -1, -1)
            elif choice == 3:
                luminance = 0.2989 * x[n, t, 0] + 0.587 * x[n, t, 1] + 0.114 * x[n, t, 2]
                expected = luminance.expand(3, -1, -1)
            else:
                expected = x[n, t]
            torch.testing.assert_close(result[n, t], expected)


@pytest.mark.parametrize(
    ('view', 'shares'),
    [
        ('plain', [0, 0, 0, 0, 1]),
        ('channel_exchange', [1 / 3, 1 / 3, 1 / 3, 0, 0]),
        ('plain_or_exchange', [1 / 6, 1 / 6, 1 / 6, 0, 1 / 2]),
        ('channel_grey', [1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8]),
    ],
)
def test_shares_of_channel_choices(view, shares):
    choices = channel_choices(view, uniforms(8000), uniforms(8000, 1, 2, seed=1))
    assert choices.shape == (8000, 1)
    np.testing.assert_allclose(np.bincount(choices[:, 0], minlength=5) / 8000, shares, atol=0.02)


def test_plain_or_exchange_is_one_decision_per_tracklet():
    choices = channel_choices('plain_or_exchange', uniforms(200), uniforms(200, 6, 2, seed=1))
    plain = choices == 4
    assert (plain.all(axis=1) | ~plain.any(axis=1)).all()


def test_jitter():
    x = frames()
    policy = JitterPolicy(brightness=0.3, contrast=0.4, gamma=0.5, color=0.2)
    factors = jitter_factors(uniforms(3, 1, 6), np.array([True, True, False]), policy)
    result = jitter_frames(x, torch.from_numpy(factors))
    for n in range(3):
        *gains, contrast, exponent = factors[n, 0]
        image = np.clip(x[n].double().numpy() * np.array(gains)[:, None, None], 0, 1)
        mean = np.tensordot([0.2989, 0.587, 0.114], image.mean(axis=(0, 2, 3)), 1)
        image = np.clip((image - mean) * contrast + mean, 0, 1) ** exponent
        np.testing.assert_allclose(result[n].numpy(), image, atol=1e-5)
    assert len(set(factors[2, 0, :3])) == 1  # infrared keeps its channels equal
    assert len(set(factors[0, 0, :3])) == 3


def test_jitter_of_nothing_is_the_identity():
    factors = jitter_factors(uniforms(3, 1, 6), np.ones(3, bool), JitterPolicy())
    torch.testing.assert_close(jitter_frames(frames(), torch.from_numpy(factors)), frames())


def test_jitter_factors_stay_in_their_ranges():
    policy = JitterPolicy(brightness=0.3, contrast=0.4, gamma=0.5)
    factors = jitter_factors(uniforms(2000, 1, 6), np.ones(2000, bool), policy)[:, 0]
    for column, low, high in ((0, 0.7, 1.3), (3, 0.6, 1.4), (4, 1 / 1.5, 1.5)):
        assert low <= factors[:, column].min() < low + 0.02
        assert high - 0.02 < factors[:, column].max() <= high


def test_draws_depend_on_seed_and_view_alone():
    together = uniform_draws([3, 2**63 - 1, 3], [0, 0, 1], 2)
    assert together.shape == (3, 2, NUM_UNIFORMS)
    assert np.array_equal(together[1:2], uniform_draws([2**63 - 1], [0], 2))
    assert not np.array_equal(together[0], together[2])
    # the stream that the pipeline draws frames from must not be drawn again
    assert not np.array_equal(together[0].ravel()[:8], np.random.default_rng(3).random(8))


@pytest.mark.parametrize(
    ('kind', 'keywords', 'message'),
    [
        (ErasingPolicy, {'probability': 2}, 'erase: needs .*probability=2'),
        (ErasingPolicy, {'area': (0.4, 0.1)}, r'erase: needs .*area=\(0.4'),
        (ErasingPolicy, {'aspect': (0, 1)}, r'erase: needs .*aspect=\(0'),
        (ErasingPolicy, {'fill': (0,)}, r'erase: needs .*fill=\(0,'),
        (JitterPolicy, {'contrast': -1}, 'jitter.contrast'),
        (JitterPolicy, {'gamma': -1}, 'jitter.gamma'),
    ],
)
def test_bad_policy_values_are_named(kind, keywords, message):
    with pytest.raises(ConfigError, match=message):
        kind(**keywords)
