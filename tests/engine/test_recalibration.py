"""Features from one pass against those of a second pass with the new necks."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dscreid.engine.extraction import extract_features, recalibrated_features
from dscreid.engine.hooks import NeckStatisticsHook
from dscreid.errors import DatasetError
from dscreid.models.reid import SourceReID
from dscreid.structures import TrackletFeatures


class NumberBackbone(nn.Module):
    """Static [x, 1, ...] and dynamic [-x, 2, ...] of an input number x; mirrored numbers differ."""

    embed_dim = 4

    def forward(self, inputs):
        numbers = inputs[:, 0] + 0.1 * torch.arange(inputs.shape[1])[-1] * inputs[:, -1] ** 2
        powers = torch.stack([numbers, numbers**2, numbers**3, torch.sin(numbers)], dim=1)
        return powers, -powers.flip(1)


class Preprocessor(nn.Module):
    """Stacks."""

    def forward(self, data, training=False):
        numbers = torch.stack(data['inputs'])
        return {'inputs': torch.stack([numbers, numbers + 1], dim=1), 'data_samples': data['data_samples']}


@pytest.mark.parametrize('retrieval', ['neck', 'raw'])
@pytest.mark.parametrize('flip_test', [False, True])
@pytest.mark.parametrize('training', [False, True])
def test_features_are_those_of_a_second_pass(number_loader, retrieval, flip_test, training):
    torch.manual_seed(0)
    model = SourceReID(
        NumberBackbone(), num_classes=3, data_preprocessor=Preprocessor(), retrieval=retrieval, flip_test=flip_test
    ).train(training)
    before = model.static_neck.running_mean.clone()
    found = recalibrated_features(model, number_loader())
    statistics = {name: value.clone() for name, value in model.state_dict().items()}
    assert not torch.equal(before, model.static_neck.running_mean)
    assert model.training is training
    expected = extract_features(model, number_loader(), model.embed)
    torch.testing.assert_close(found.static, expected.static)
    torch.testing.assert_close(found.dynamic, expected.dynamic)
    torch.testing.assert_close(model.state_dict(), statistics, rtol=0, atol=0)


class OneTracklet(list):
    root, split = 'folder', 'train'


def test_a_single_tracklet_is_refused_in_a_sentence(number_loader):
    model = SourceReID(NumberBackbone(), num_classes=3, data_preprocessor=Preprocessor())
    loader = number_loader()
    single = DataLoader(OneTracklet(loader.dataset[:1]), collate_fn=loader.collate_fn)
    with pytest.raises(DatasetError, match=r"recalibrated on split 'train', which has 1 tracklet; .* at least two"):
        recalibrated_features(model, single)


def test_the_hook_gives_a_tested_model_the_statistics_of_the_tracklets(number_loader):
    model = SourceReID(NumberBackbone(), num_classes=3, data_preprocessor=Preprocessor())
    hook = NeckStatisticsHook(dataset=dict(type='Any'), pipeline=[dict(type='Load')], batch_size=5)
    asked = []
    runner = SimpleNamespace(model=model, build_dataloader=lambda config: asked.append(config) or number_loader())
    hook.before_test(runner)
    assert asked[0]['dataset'] == {'type': 'Any', 'pipeline': [{'type': 'Load'}]}
    assert asked[0]['batch_size'] == 5
    raw = extract_features(model, number_loader(), lambda *batch: TrackletFeatures(*model.extract_feat(*batch)))
    for neck, features in ((model.static_neck, raw.static), (model.dynamic_neck, raw.dynamic)):
        torch.testing.assert_close(neck.running_mean, features.mean(0))
        torch.testing.assert_close(neck.running_var, features.var(0))
