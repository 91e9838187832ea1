"""Color jitter against torchvision's functions on single images."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as tv

from dscreid.errors import ConfigError
from dscreid.models.augmentation import TrackletAugmentation
from dscreid.models.color_jitter import ColorJitterPolicy, color_jitter, draw_color_jitters
from dscreid.structures import ReIDDataSample

FRAMES = torch.rand(5, 1, 3, 6, 4, generator=torch.Generator().manual_seed(0))
OPERATIONS = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)


def test_the_operations_are_those_of_torchvision_in_the_given_order():
    rng = np.random.default_rng(0)
    factors = np.concatenate([rng.uniform(0.5, 1.5, (5, 3)), rng.uniform(-0.5, 0.5, (5, 1))], axis=1)
    order = np.stack([rng.permutation(4) for _ in range(5)])
    found = color_jitter(FRAMES, torch.from_numpy(factors), order)
    for row, frame in enumerate(FRAMES[:, 0]):
        for operation in order[row]:
            frame = OPERATIONS[operation](frame, factors[row, operation])
        torch.testing.assert_close(found[row, 0], frame, rtol=1e-4, atol=1e-5)


def test_gray_frames_keep_their_hue():
    gray = FRAMES[:, :, :1].expand(-1, -1, 3, -1, -1)
    factors = torch.tensor([[1.0, 1, 1, 0.3]]).expand(5, 4)
    torch.testing.assert_close(color_jitter(gray, factors, np.tile(np.arange(4), (5, 1))), gray)


def test_draws_lie_in_their_ranges_and_only_of_the_views_that_are_named():
    seeds, views, visible = list(range(400)), [0, 1] * 200, np.repeat([True, False], 200)
    factors, order = draw_color_jitters(seeds, views, visible, ColorJitterPolicy(hue=0.25))
    jittered = visible & (np.array(views) == 1)
    assert (factors[~jittered] == [1, 1, 1, 0]).all()
    assert (order[~jittered] == np.arange(4)).all()
    own = factors[jittered]
    assert own[:, :3].min() > 0.5
    assert own[:, :3].max() < 1.5
    assert 0.2 < np.abs(own[:, 3]).max() <= 0.25
    assert (np.sort(order[jittered], axis=1) == np.arange(4)).all()
    assert len({tuple(row) for row in order[jittered]}) > 10


def test_other_draws_do_not_change():
    sample = ReIDDataSample(metainfo=dict(seed=7, modality='rgb'))
    plain, jittered = (
        TrackletAugmentation(pad=0, color_jitter=jitter)(FRAMES[:1], [sample])[0] for jitter in (None, {})
    )
    torch.testing.assert_close(jittered[0], plain[0])
    assert not torch.allclose(jittered[1], plain[1])


@pytest.mark.parametrize('wrong', [dict(hue=0.6), dict(brightness=-0.1), dict(contrast=1.1)])
def test_ranges_are_checked(wrong):
    with pytest.raises(ConfigError, match=r'color_jitter: needs brightness, contrast and saturation in \[0, 1\]'):
        ColorJitterPolicy(**wrong)
