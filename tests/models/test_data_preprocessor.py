"""From uint8 lists to normalized batches."""

import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.data_preprocessor import TrackletDataPreprocessor
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample


def batch(num=4, length=3):
    generator = torch.Generator().manual_seed(0)
    return {
        'inputs': [
            torch.randint(0, 256, (length, 3, 8, 4), generator=generator, dtype=torch.uint8) for _ in range(num)
        ],
        'data_samples': [
            ReIDDataSample(metainfo={'index': i, 'seed': i, 'modality': 'ir' if i % 2 else 'rgb'}) for i in range(num)
        ],
    }


@pytest.mark.parametrize('training', [False, True])
def test_scales_and_normalizes(training):
    data = batch()
    result = TrackletDataPreprocessor()(data, training)
    stacked = torch.stack(data['inputs']).double() / 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(result['inputs'], ((stacked - mean) / std).float())
    assert result['data_samples'] == data['data_samples']


def test_stacked_input_equals_a_list():
    data = batch()
    stacked = {**data, 'inputs': torch.stack(data['inputs'])}
    preprocessor = TrackletDataPreprocessor()
    assert torch.equal(preprocessor(data)['inputs'], preprocessor(stacked)['inputs'])


def test_channels_may_be_last_in_memory():
    data = batch()
    last = [frames.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for frames in data['inputs']]
    assert not last[0].is_contiguous()
    preprocessor = TrackletDataPreprocessor()
    result = preprocessor({**data, 'inputs': last})['inputs']
    assert torch.equal(result, preprocessor(data)['inputs'])
    assert result.is_contiguous()


def test_each_tracklet_is_copied_by_itself_and_without_blocking(monkeypatch):
    """A stack of pinned tensors is pageable again, and copying it would wait."""
    copies, original = [], torch.Tensor.to

    def record(tensor, *arguments, **options):
        if options.get('non_blocking'):
            copies.append((tensor.data_ptr(), tensor.dtype))
        return original(tensor, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, 'to', record)
    data = batch()
    TrackletDataPreprocessor()(data)
    assert copies == [(frames.data_ptr(), torch.uint8) for frames in data['inputs']]


def test_augments_in_training_only():
    preprocessor = MODELS.build({'type': 'TrackletDataPreprocessor', 'augmentation': {'pad': 2}})
    data = batch()
    assert torch.equal(preprocessor(data, False)['inputs'], TrackletDataPreprocessor()(data)['inputs'])
    result = preprocessor(data, True)
    assert len(result['inputs']) == len(result['data_samples']) == 6
    assert [sample.index for sample in result['data_samples']] == [0, 1, 2, 3, 0, 2]
    assert torch.equal(result['inputs'], preprocessor(data, True)['inputs'])


def test_padding_is_black_before_normalization():
    preprocessor = TrackletDataPreprocessor(augmentation={'pad': 4, 'visible_views': ('plain',)})
    white = [torch.full((1, 3, 8, 4), 255, dtype=torch.uint8)] * 16
    data = {
        'inputs': white,
        'data_samples': [ReIDDataSample(metainfo={'seed': i, 'modality': 'rgb'}) for i in range(16)],
    }
    values = preprocessor(data, True)['inputs'][:, :, 0].unique()
    torch.testing.assert_close(values, torch.tensor([-0.485 / 0.229, (1 - 0.485) / 0.229]))


def test_nothing_is_saved():
    assert not TrackletDataPreprocessor().state_dict()


def test_differing_lengths_are_explained():
    data = batch()
    data['inputs'][1] = data['inputs'][1][:2]
    with pytest.raises(ValueError, match='one shape'):
        TrackletDataPreprocessor()(data)


def test_float_frames_are_refused():
    with pytest.raises(TypeError, match='uint8'):
        TrackletDataPreprocessor()({'inputs': torch.zeros(1, 1, 3, 4, 4)})


@pytest.mark.parametrize(
    ('keywords', 'message'),
    [
        ({'mean': (123.7, 116.3, 103.5)}, 'mean must give 3 values in'),
        ({'mean': (0.5,)}, 'mean must give 3 values'),
        ({'std': (0.0, 1.0, 1.0)}, 'std must give 3 values in'),
    ],
)
def test_bad_statistics_are_named(keywords, message):
    with pytest.raises(ConfigError, match=message):
        TrackletDataPreprocessor(**keywords)


def test_denormalize_undoes_normalize():
    preprocessor, frames = TrackletDataPreprocessor(), torch.rand(2, 3, 3, 4, 4)
    torch.testing.assert_close(preprocessor.denormalize(preprocessor.normalize(frames)), frames)


def test_the_view_in_infrared_tones_shows_the_learned_tones():
    views = dict(flip=0, pad=0, visible_views=('plain', 'infrared_tones'), infrared_views=('plain',))
    preprocessor = TrackletDataPreprocessor(tones=dict(), augmentation=views)
    assert set(preprocessor.state_dict()) == {'tone_table', 'knows_tones'}
    data = batch()
    frames = torch.stack(data['inputs']).float() / 255
    for tone in (None, 0.25):
        if tone is not None:
            preprocessor.learn_tones(torch.full((33, 33, 33), tone))
        result = preprocessor(data, training=True)
        assert [sample.index for sample in result['data_samples']] == [0, 1, 2, 3, 0, 2]
        shown = preprocessor.denormalize(result['inputs'])
        torch.testing.assert_close(shown[:4], frames)
        gray = (frames[[0, 2]] * torch.tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(2, keepdim=True)
        expected = gray.expand_as(frames[:2]) if tone is None else torch.full_like(frames[:2], tone)
        torch.testing.assert_close(shown[4:], expected, atol=1e-4, rtol=0)
    assert preprocessor.knows_tones


def test_the_view_in_infrared_tones_needs_tones():
    with pytest.raises(ConfigError, match=r'the view infrared_tones needs data_preprocessor.tones=dict\(\)'):
        TrackletDataPreprocessor(augmentation=dict(visible_views=('infrared_tones',)))
    with pytest.raises(ConfigError, match='tones: '):
        TrackletDataPreprocessor(tones=dict(colors=0))
