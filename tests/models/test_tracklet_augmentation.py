"""The whole augmentation: one draw per tracklet, views, seeds and order."""

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.augmentation import TrackletAugmentation
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample
from dscreid.utils.build_errors import config_errors

FULL = {
    'pad': 2,
    'erase': {'probability': 1.0},
    'jitter': {'brightness': 0.3, 'contrast': 0.3, 'gamma': 0.3, 'color': 0.3},
}
ALIKE = {'visible_views': ('plain',), 'infrared_views': ('plain',)}


def sample(seed, modality):
    return ReIDDataSample(metainfo={'index': seed, 'seed': seed, 'modality': modality})


def samples(num=8):
    return [sample(100 + i, 'rgb' if i % 3 else 'ir') for i in range(num)]


def still_frames(num=8, length=4, height=16, width=8, seed=0):
    """Tracklets whose frames are all the same, so that one draw per tracklet leaves them the same."""
    image = torch.rand(num, 1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return image.expand(num, length, 3, height, width).contiguous()


def frames_agree(frames):
    return torch.equal(frames, frames[:, :1].expand_as(frames))


def test_all_frames_of_a_tracklet_get_the_same():
    augmentation = TrackletAugmentation(**FULL)
    result, _ = augmentation(still_frames(), samples())
    assert frames_agree(result)
    assert not torch.equal(result[0], result[1])


@pytest.mark.parametrize(
    'keywords',
    [
        {'flip': 0.5, 'pad': 0},
        {'flip': 0, 'pad': 2},
        {'flip': 0, 'pad': 0, 'erase': {}},
        {'flip': 0, 'pad': 0, 'jitter': {'brightness': 0.5}},
        {'flip': 0, 'pad': 0, 'visible_views': ('channel_exchange',)},
    ],
)
def test_per_frame_draws_differ_between_frames(keywords):
    result, _ = TrackletAugmentation(per_frame=True, **(ALIKE | keywords))(still_frames(), samples())
    assert not frames_agree(result)
    result, _ = TrackletAugmentation(**(ALIKE | keywords))(still_frames(), samples())
    assert frames_agree(result)
    assert not torch.equal(result, still_frames())


@pytest.mark.parametrize('per_frame', [False, True])
def test_result_depends_on_the_seed_not_on_the_batch(per_frame):
    augmentation = TrackletAugmentation(per_frame=per_frame, **FULL, **ALIKE)
    frames, data = still_frames(), samples()
    whole, _ = augmentation(frames, data)
    order = [5, 0, 3]
    part, _ = augmentation(frames[order], [data[i] for i in order])
    assert torch.equal(part, whole[order])
    assert torch.equal(augmentation(frames, data)[0], whole)
    other, _ = augmentation(frames[:1], [sample(999, 'ir')])
    assert not torch.equal(other, whole[:1])


def test_views_and_their_order():
    augmentation = TrackletAugmentation(
        visible_views=('plain', 'channel_exchange', 'channel_grey'), infrared_views=('plain', 'channel_grey')
    )
    data = [sample(1, 'rgb'), sample(2, 'ir'), sample(3, 'rgb')]
    result, repeated = augmentation(still_frames(3), data)
    assert [item.seed for item in repeated] == [1, 2, 3, 1, 2, 3, 1, 3]
    assert all(any(item is original for original in data) for item in repeated)
    assert len(result) == 8


def test_default_doubles_the_visible_tracklets():
    augmentation = TrackletAugmentation(flip=0, pad=0)
    data = [sample(1, 'ir'), sample(2, 'rgb')]
    frames = still_frames(2)
    result, repeated = augmentation(frames, data)
    assert [item.seed for item in repeated] == [1, 2, 2]
    assert torch.equal(result[1], frames[1])
    exchanged = result[2]
    assert torch.equal(exchanged, exchanged[:, :1].expand_as(exchanged))
    assert any(torch.equal(exchanged[:, 0], frames[1][:, channel]) for channel in range(3))


def test_second_view_draws_anew():
    augmentation = TrackletAugmentation(visible_views=('plain', 'plain'), pad=4, erase={})
    result, _ = augmentation(still_frames(), [sample(i, 'rgb') for i in range(8)])
    assert not torch.equal(result[:8], result[8:])


def test_switching_one_augmentation_on_keeps_the_draws_of_others():
    frames, data = still_frames(), samples()
    plain, _ = TrackletAugmentation(pad=3, **ALIKE)(frames, data)
    erased, _ = TrackletAugmentation(pad=3, erase={'probability': 1.0, 'fill': (9, 9, 9)}, **ALIKE)(frames, data)
    outside = erased != 9
    assert torch.equal(erased[outside], plain[outside])
    assert not outside.all()


@pytest.mark.parametrize('before', [False, True])
def test_erasing_follows_and_exchange_follows_or_precedes_normalization(before):
    augmentation = TrackletAugmentation(
        flip=0,
        pad=0,
        erase={'probability': 1.0, 'fill': (7, 8, 9)},
        visible_views=('channel_exchange',),
        exchange_before_normalize=before,
    )
    offsets = torch.tensor([0.0, 10.0, 20.0])[:, None, None]
    frames = still_frames(1)
    result = augmentation(frames, [sample(4, 'rgb')], lambda x: x + offsets)[0][0, 0]
    if before:  # the box keeps its three values, the channels their offsets
        box = result[0] == 7
        assert box.any()
        assert (result[:, box] == torch.tensor([[7.0], [8.0], [9.0]])).all()
        torch.testing.assert_close(result[1][~box] - result[0][~box], torch.full_like(result[0][~box], 10))
    else:  # one channel of the normalized, erased image on all three
        assert torch.equal(result[0], result[1])
        assert torch.equal(result[0], result[2])
        assert ((result[0] == 7) | (result[0] == 8) | (result[0] == 9)).any()


def test_plain_or_exchange_holds_for_the_tracklet_even_per_frame():
    augmentation = TrackletAugmentation(flip=0, pad=0, visible_views=('plain_or_exchange',), per_frame=True)
    frames = still_frames(40)
    result, _ = augmentation(frames, [sample(seed, 'rgb') for seed in range(40)])
    plain = (result == frames).flatten(2).all(2)  # (N, T)
    assert 8 < plain[:, 0].sum() < 32
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    assert not frames_agree(result[~plain[:, 0]])


def test_input_stays_untouched():
    frames, data = still_frames(), samples()
    before = frames.clone()
    TrackletAugmentation(**FULL)(frames, data)
    assert torch.equal(frames, before)


def test_shares_over_many_tracklets():
    frames = torch.zeros(1, 1, 3, 4, 4)
    frames[..., 0] = 1  # bright left column
    frames = frames.expand(400, 1, 3, 4, 4)
    result, _ = TrackletAugmentation(pad=0, visible_views=('plain',))(
        frames, [sample(seed, 'rgb') for seed in range(400)]
    )
    assert 0.42 < float(result[..., -1].mean()) < 0.58


@pytest.mark.parametrize(
    ('keywords', 'message'),
    [
        ({'flip': 2}, 'flip must be a probability'),
        ({'pad': -1}, 'pad must be a whole number of pixels'),
        ({'erase': {'prob': 1}}, "ErasingPolicy has no argument 'prob'"),
        ({'jitter': {'hue': 1}}, "JitterPolicy has no argument 'hue'"),
        ({'visible_views': ('grey',)}, 'visible_views must list one or more'),
        ({'infrared_views': ()}, 'infrared_views must list one or more'),
        ({'infrared_views': 'plain'}, 'infrared_views must list one or more'),
    ],
)
def test_bad_augmentation_values_are_named(keywords, message):
    with pytest.raises(ConfigError, match=message), config_errors('config'):
        MODELS.build({'type': 'TrackletAugmentation', **keywords})
