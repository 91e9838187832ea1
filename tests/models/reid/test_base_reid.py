"""Features, prediction and necks, as both models share them."""

import pytest
import torch
import torch.nn.functional as F

from dscreid.errors import ConfigError
from dscreid.models.reid import SourceReID
from dscreid.models.reid.base import BNNeck
from dscreid.registry import MODELS


def build(**keywords):
    model = SourceReID({'type': 'TinyEncoder'}, num_classes=3, **keywords)
    generator = torch.Generator().manual_seed(1)
    model.recalibrate_necks(torch.randn(50, 8, generator=generator), torch.randn(50, 8, generator=generator))
    return model.eval()


def test_tensor_mode_gives_raw_features(tracklets):
    model = build()
    inputs, _ = tracklets(range(5))
    for features, expected in zip(model(inputs), model.backbone(inputs), strict=True):
        assert torch.equal(features, expected)
        assert features.shape == (5, 8)


def test_a_lower_precision_is_only_for_inference(tracklets):
    inputs, samples = tracklets(range(5))
    full, low = build(), build(inference_dtype='bfloat16')
    found = low.embed(inputs)
    assert found.static.dtype == low.extract_feat(inputs)[1].dtype == torch.float32
    assert not torch.equal(found.static, full.embed(inputs).static)
    torch.testing.assert_close(found.static, full.embed(inputs).static, rtol=0, atol=0.02)
    assert not torch.equal(low.predict(inputs, samples)[0].feature, full.predict(inputs, samples)[0].feature)
    assert torch.equal(low.train().extract_feat(inputs)[0], full.train().extract_feat(inputs)[0])
    with pytest.raises(ConfigError, match=r"inference_dtype must be None or one of .*'bfloat16'.*, got 'int8'"):
        build(inference_dtype='int8')


def test_embed_is_the_normalized_neck_output(tracklets):
    model = build()
    inputs, _ = tracklets(range(5))
    static, dynamic = model.extract_feat(inputs)
    embedded = model.embed(inputs)
    torch.testing.assert_close(embedded.static, F.normalize(model.static_neck(static), dim=1))
    torch.testing.assert_close(embedded.dynamic, F.normalize(model.dynamic_neck(dynamic), dim=1))


def test_raw_retrieval_is_the_plain_concatenation(tracklets):
    model = build(retrieval='raw')
    inputs, samples = tracklets(range(5))
    static, dynamic = model.extract_feat(inputs)
    assert torch.equal(model.embed(inputs).concatenated(), torch.cat([static, dynamic], 1))
    assert torch.equal(model.predict(inputs, samples)[2].feature, torch.cat([static, dynamic], 1)[2])


@pytest.mark.parametrize('retrieval', ['neck', 'raw'])
def test_flip_averages_with_the_mirror_image(tracklets, retrieval):
    inputs, _ = tracklets(range(5))
    plain = build(retrieval=retrieval)
    averaged = build(retrieval=retrieval, flip_test=True).embed(inputs)
    mean = (plain.embed(inputs).static + plain.embed(inputs.flip(-1)).static) / 2
    torch.testing.assert_close(averaged.static, F.normalize(mean, dim=1) if retrieval == 'neck' else mean)
    assert not torch.allclose(averaged.static, plain.embed(inputs).static, atol=1e-3)


@pytest.mark.parametrize('flip', [False, True])
def test_rankings(tracklets, flip):
    inputs, samples = tracklets(range(5))
    static, dynamic = build().extract_feat(inputs)
    mirrored = build().extract_feat(inputs.flip(-1))
    raw = {'static': static, 'dynamic': dynamic}, dict(zip(('static', 'dynamic'), mirrored, strict=True))
    necks = build()
    after = [{name: getattr(necks, f'{name}_neck')(part) for name, part in view.items()} for view in raw]

    def expected(views, names, scale):
        parts = []
        for name in names:
            part = scale(views[0][name])
            parts.append(scale((part + scale(views[1][name])) / 2) if flip else part)
        return torch.cat(parts, 1)

    both, unit = ('static', 'dynamic'), lambda part: part / part.norm(dim=1, keepdim=True)
    for ranking, feature in {
        'neck_both': expected(after, both, unit),
        'neck_static': expected(after, both[:1], unit),
        'neck_dynamic': expected(after, both[1:], unit),
        'raw_both': expected(raw, both, unit),
        'raw_static': expected(raw, both[:1], unit),
        'raw_dynamic': expected(raw, both[1:], unit),
        'vld': expected(raw, both, lambda part: part),
    }.items():
        model = build(ranking=ranking, flip_test=flip)
        torch.testing.assert_close(model.rank_features(inputs), feature)
        torch.testing.assert_close(model.predict(inputs, samples)[3].feature, feature[3])


def test_an_unknown_ranking_is_named():
    with pytest.raises(ConfigError, match=r"ranking must be one of \('neck_both', .*, got 'best'"):
        build(ranking='best')


def test_predict_fills_copies(tracklets):
    model = build()
    inputs, samples = tracklets(range(4))
    static, dynamic = model.extract_feat(inputs)
    results = model(inputs, samples, mode='predict')
    for row, (result, original) in enumerate(zip(results, samples, strict=True)):
        assert 'feature' not in original
        assert result.index == original.index
        assert torch.equal(result.static, static[row])
        assert torch.equal(result.dynamic, dynamic[row])
        assert result.feature.shape == (16,)
        assert not result.feature.requires_grad
        assert result.feature.untyped_storage().nbytes() == 16 * 4  # its own, not the batch's
    torch.testing.assert_close(results[0].feature, model.embed(inputs).concatenated()[0])


def test_state_dict_prefixes():
    prefixes = {name.split('.')[0] for name in build().state_dict()}
    assert prefixes == {'backbone', 'static_neck', 'dynamic_neck', 'static_head', 'dynamic_head'}


def test_recalibrated_necks_standardise_the_given_features(tracklets):
    model = build()
    static, dynamic = model.extract_feat(tracklets(range(40))[0])
    model.recalibrate_necks(static, dynamic)
    for neck, raw in ((model.static_neck, static), (model.dynamic_neck, dynamic)):
        output = neck(raw)
        torch.testing.assert_close(output.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
        torch.testing.assert_close(output.std(0), torch.ones(8), atol=1e-3, rtol=0)


def test_neck_bias_is_frozen_at_zero():
    neck = MODELS.build({'type': 'BNNeck', 'num_features': 4})
    assert not neck.bias.requires_grad
    assert not neck.bias.any()
    assert neck.weight.requires_grad


@pytest.mark.parametrize('shape', [(1, 4), (5, 3), (5,)])
def test_recalibration_needs_features(shape):
    with pytest.raises(ValueError, match='at least two rows of 4'):
        BNNeck(4).recalibrate(torch.zeros(shape))


def test_unknown_mode_and_retrieval(tracklets):
    with pytest.raises(ValueError, match='mode must be one of'):
        build()(tracklets(range(2))[0], mode='train')
    with pytest.raises(ConfigError, match='retrieval must be one of'):
        build(retrieval='cosine')


class TestModalities:
    """An encoder that needs them is told the modality of each tracklet on all ways."""

    @staticmethod
    def build(**keywords):
        model = SourceReID({'type': 'TinyTwoStreamEncoder'}, num_classes=3, **keywords)
        return model.eval()

    @pytest.mark.parametrize('flip', [False, True])
    def test_predict_and_embed(self, tracklets, flip):
        model = self.build(flip_test=flip)
        inputs, samples = tracklets([0, 1, 3])  # rgb, ir, ir
        scaled = inputs * torch.tensor([1.0, -2.0, -2.0])[:, None, None, None, None]
        single = build(flip_test=flip)
        single.load_state_dict(model.state_dict())
        for found, expected in zip(model.predict(inputs, samples), single.predict(scaled, samples), strict=True):
            assert torch.equal(found.feature, expected.feature)
            assert torch.equal(found.static, expected.static)
        embedded = model.embed(inputs, ['rgb', 'ir', 'ir'])
        assert torch.equal(embedded.dynamic, single.embed(scaled).dynamic)

    def test_loss_and_tensor_mode(self, tracklets):
        model = self.build()
        inputs, samples = tracklets([0, 1, 3], labels=[0, 1, 1])
        assert set(model(inputs, samples, mode='loss')) >= {'loss_id_static', 'loss_triplet_dynamic'}
        expected = model.extract_feat(inputs, ['rgb', 'ir', 'ir'])
        assert torch.equal(model(inputs, samples)[0], expected[0])

    def test_missing_ones_are_the_encoders_error(self, tracklets):
        inputs, _ = tracklets([0, 1])
        for call in (self.build().extract_feat, self.build().embed, self.build()):
            with pytest.raises(ValueError, match='one modality per tracklet'):
                call(inputs)

    def test_other_encoders_ignore_them(self, tracklets):
        inputs, samples = tracklets([0, 1])
        model = build()
        assert model.modalities_of(samples) is None
        assert torch.equal(model.extract_feat(inputs, ['rgb', 'ir'])[0], model.extract_feat(inputs)[0])
