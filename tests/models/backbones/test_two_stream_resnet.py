"""The two-stream ResNet-50 against torchvision's, one tracklet and one modality at a time."""

import copy

import pytest
import torch
import torch.nn.functional as F
from pretended_device import pretended_gpu
from torchvision.models import resnet50

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import TwoStreamResNet50, generalized_mean, skip_pretrained
from dscreid.models.backbones.two_stream_resnet import RESNET50_SHA256, RESNET_URLS
from dscreid.models.reid import AdaptiveReID
from dscreid.structures import Modality
from dscreid.utils.checkpoint import sha256


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    """A torchvision network with random weights and statistics, and its file."""
    torch.manual_seed(0)
    network = resnet50(weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp('resnet') / 'resnet50.pth'
    torch.save(network.state_dict(), path)
    return network.eval(), path


@pytest.fixture(scope='module')
def backbone(official):
    """The backbone with the official weights, in evaluation mode; nobody may change it."""
    model = TwoStreamResNet50(pretrained=str(official[1]))
    model.init_weights()
    return model.eval()


def frames(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def oracle(network, tracklet):
    """Feature of a tracklet (T, 3, H, W) by torchvision's network with a last stride of 1, frame by frame."""
    network.layer4[0].conv2.stride = network.layer4[0].downsample[0].stride = (1, 1)
    pooled = []
    for frame in tracklet:
        maps = network.maxpool(network.relu(network.bn1(network.conv1(frame[None]))))
        for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
            maps = layer(maps)
        assert maps.shape[2:] == (4, 2)  # a sixteenth of 64x32
        pooled.append((maps**3).mean(dim=(2, 3)) ** (1 / 3))
    return torch.cat(pooled).mean(0)


class TestGeneralizedMean:
    MAPS = frames(2, 3, 4, 5).abs()

    def test_power_one_averages_and_large_powers_take_the_maximum(self):
        torch.testing.assert_close(generalized_mean(self.MAPS, 1), self.MAPS.mean(dim=(2, 3)))
        largest = generalized_mean(self.MAPS.double(), 300)
        torch.testing.assert_close(largest, self.MAPS.double().amax(dim=(2, 3)), rtol=0.02, atol=0)

    def test_hand_made(self):
        assert generalized_mean(torch.tensor([[[[1.0, 2.0]]]])).item() == pytest.approx(4.5 ** (1 / 3))

    def test_gradient_of_dead_channels_is_finite(self):
        maps = torch.zeros(1, 2, 3, 3, requires_grad=True)
        generalized_mean(maps).sum().backward()
        assert not maps.grad.any()

    def test_computes_in_float32(self):
        assert generalized_mean(self.MAPS.bfloat16()).dtype == torch.float32


@torch.no_grad()
def test_equals_torchvision_frame_by_frame(official, backbone):
    tracklets = frames(3, 2, 3, 64, 32)
    static, dynamic = backbone(tracklets, ['ir', 'rgb', 'ir'])
    assert static is dynamic
    assert static.shape == (3, 2048)
    for tracklet, feature in zip(tracklets, static, strict=True):
        torch.testing.assert_close(feature, oracle(official[0], tracklet), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_stems_belong_to_a_modality(official):
    model = TwoStreamResNet50(pretrained=str(official[1]))
    model.init_weights()
    model.eval()
    model.stems['ir'].conv1.weight.zero_()
    tracklets = frames(4, 1, 3, 32, 16)
    mixed = model(tracklets, ['ir', 'rgb', Modality.IR, 'rgb'])[0]
    visible = model(tracklets, ['rgb'] * 4)[0]
    torch.testing.assert_close(mixed[[1, 3]], visible[[1, 3]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[0], mixed[2])  # blind
    assert not torch.allclose(mixed[0], visible[0], atol=1e-2)


def test_each_stem_keeps_the_statistics_of_its_modality():
    torch.manual_seed(0)
    model = TwoStreamResNet50().train()
    tracklets = frames(4, 1, 3, 32, 16)
    static, _ = model(tracklets, ['rgb', 'ir', 'rgb', 'ir'])
    static.sum().backward()
    for name, rows in (('rgb', [0, 2]), ('ir', [1, 3])):
        stem = model.stems[name]
        seen = F.conv2d(tracklets[rows, 0], stem.conv1.weight, stride=2, padding=3).mean(dim=(0, 2, 3))
        torch.testing.assert_close(stem.bn1.running_mean, 0.1 * seen, rtol=1e-3, atol=1e-6)
    assert model.layers.layer4[2].bn3.num_batches_tracked == 1  # both modalities in one pass
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize('modalities', [None, [], ['rgb']])
def test_missing_modalities_are_asked_for(backbone, modalities):
    with pytest.raises(ValueError, match=r'one modality per tracklet, got [01] for 2 tracklets'):
        backbone(frames(2, 1, 3, 32, 16), modalities)


def test_power_must_be_positive():
    with pytest.raises(ConfigError, match='gem_power must be positive'):
        TwoStreamResNet50(gem_power=0)


class TestPretrained:
    def test_both_stems_start_from_the_files_stem(self, official, backbone):
        weights = official[0].state_dict()
        for stem in backbone.stems.values():
            assert torch.equal(stem.conv1.weight, weights['conv1.weight'])
            assert torch.equal(stem.bn1.running_var, weights['bn1.running_var'])
        assert torch.equal(backbone.layers.layer3[5].conv2.weight, weights['layer3.5.conv2.weight'])

    def test_missing_file_says_where_it_is_found(self):
        model = TwoStreamResNet50(pretrained='nowhere/resnet50.pth')
        with pytest.raises(CheckpointError, match=r'nowhere/resnet50\.pth: .*not found') as error:
            model.init_weights()
        assert RESNET_URLS[50] in str(error.value)
        assert RESNET50_SHA256 in str(error.value)
        assert RESNET50_SHA256[:8] in RESNET_URLS[50]

    def test_is_not_read_when_a_checkpoint_brings_the_weights(self):
        model = AdaptiveReID(TwoStreamResNet50(pretrained='nowhere/resnet50.pth'))
        skip_pretrained(model)
        model.init_weights()

    def test_is_read_once_through_the_whole_model(self, official):
        model = AdaptiveReID(TwoStreamResNet50(pretrained=str(official[1])))
        model.init_weights()
        stem = model.backbone.stems['ir'].conv1.weight
        assert torch.equal(stem, official[0].conv1.weight)
        with torch.no_grad():
            stem.zero_()
        model.backbone.init_weights()
        assert not stem.any()

    def test_hash(self, official):
        path = official[1]
        TwoStreamResNet50(pretrained=str(path), pretrained_sha256=sha256(path).upper()).init_weights()
        with pytest.raises(CheckpointError, match='expected 0000'):
            TwoStreamResNet50(pretrained=str(path), pretrained_sha256='0' * 64).init_weights()

    def test_old_files_lack_the_counters(self, official, tmp_path):
        weights = {k: v for k, v in official[0].state_dict().items() if 'num_batches' not in k}
        torch.save(weights, tmp_path / 'old.pth')
        TwoStreamResNet50(pretrained=str(tmp_path / 'old.pth')).init_weights()

    def test_other_networks_are_refused(self, official, tmp_path):
        weights = dict(official[0].state_dict())
        del weights['layer2.0.conv1.weight']
        weights['layer5.weight'] = torch.zeros(2)
        torch.save(weights, tmp_path / 'other.pth')
        message = r"torchvision's resnet50 \(missing layers.layer2.0.conv1.weight, unexpected layers.layer5.weight"
        with pytest.raises(CheckpointError, match=message):
            TwoStreamResNet50(pretrained=str(tmp_path / 'other.pth')).init_weights()


def test_it_never_waits_for_a_gpu(backbone):
    inputs, modalities = frames(3, 1, 3, 32, 16), ['ir', 'rgb', 'ir']
    expected, _ = backbone(inputs, modalities)
    with pretended_gpu() as gpu:
        model, moved = copy.deepcopy(backbone).to('cuda'), inputs.to('cuda')
        with gpu.without_waiting():
            found, _ = model(moved, modalities)
            found.sum().backward()
        torch.testing.assert_close(found.detach().cpu(), expected)
        assert model.stems['rgb'].conv1.weight.grad.is_cuda
