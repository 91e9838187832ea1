"""Two-stream ResNet of the visible-infrared methods, applied to tracklets."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torchvision.models
from mmengine.model import BaseModule
from torch import Tensor, nn
from torchvision.models import ResNet

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.modalities import check_modalities, run_by_modality
from dscreid.models.backbones.non_local import NonLocalBlock
from dscreid.models.backbones.pretrained import find_weights
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS
from dscreid.structures import Modality
from dscreid.utils.checkpoint import in_words, list_differences, load_weights

LAYERS = ('layer1', 'layer2', 'layer3', 'layer4')
#: Number of the last blocks of a layer that a non-local block follows in AGW.
_NON_LOCAL = {'layer2': 2, 'layer3': 3}
#: torchvision's IMAGENET1K_V1 of each depth; the file names contain the first digits of the SHA-256.
RESNET_URLS = {
    18: 'https://download.pytorch.org/models/resnet18-f37072fd.pth',
    34: 'https://download.pytorch.org/models/resnet34-b627a593.pth',
    50: 'https://download.pytorch.org/models/resnet50-0676ba61.pth',
}
RESNET50_SHA256 = '0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a'


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class TwoStreamResNet(BaseModule):
    """ResNet with one stem per modality and a shared trunk (AGW; Ye et al., TPAMI 2021), averaged over frames.

    Last stride 1, and GeM pooling with a fixed power. The mean of the frame features is both the static and the dynamic
    feature. ``init_weights``, not the constructor, loads the ImageNet weights.
    """

    #: If True, models call this encoder with the modality of each tracklet.
    needs_modalities = True

    #: path of torchvision's weights of this depth (``.pth``), whose stem both stems start from, or None
    pretrained: str | None = None
    pretrained_sha256: str | None = None  #: expected SHA-256 of the file (hexadecimal); None accepts any file
    gem_power: float = 3.0  #: power of the generalized mean, positive; 1 gives the mean
    depth: int = 50  #: 18, 34 or 50
    non_local: bool = False  #: whether non-local blocks follow the last 2 blocks of layer2 and the last 3 of layer3
    #: width of the queries, keys and values of non-local blocks; None: half of the channels. AGW's release has 1.
    non_local_channels: int | None = None
    stripes: int = 1  #: horizontal stripes G that are pooled apart; their features are concatenated, D = G * C
    #: layers (``'layer3'``, ``'layer4'``) whose maps are parts of training batches, ``maps_layer3`` (N, T, C, H, W)
    kept_maps: Sequence[str] = ()
    #: whether maps and weights of convolutions have their channels last in memory; results differ by rounding
    channels_last: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        name = type(self).__name__
        if self.gem_power <= 0:
            raise ConfigError(f'{name}: gem_power must be positive, got {self.gem_power}')
        if self.depth not in RESNET_URLS:
            raise ConfigError(f'{name}: depth must be one of {list(RESNET_URLS)}, got {self.depth!r}')
        if self.stripes < 1:
            raise ConfigError(f'{name}: stripes must be at least 1, got {self.stripes}')
        if self.non_local_channels is not None and self.non_local_channels < 1:
            raise ConfigError(f'{name}: non_local_channels must be at least 1, got {self.non_local_channels}')
        if isinstance(self.kept_maps, str) or not set(self.kept_maps) <= set(LAYERS):
            raise ConfigError(f'{name}: kept_maps must list some of {list(LAYERS)}, got {self.kept_maps!r}')
        trunk: ResNet = getattr(torchvision.models, f'resnet{self.depth}')(norm_layer=SynchronizedBatchNorm2d)
        # The stems start out equal, as they do with ImageNet weights.
        stem = _parts(trunk, 'conv1', 'bn1', 'relu', 'maxpool')
        self.stems = nn.ModuleDict({modality.value: copy.deepcopy(stem) for modality in Modality})
        self.layers = _parts(trunk, *LAYERS)
        first_block = trunk.layer4[0]
        strided = first_block.conv2 if self.depth == 50 else first_block.conv1
        strided.stride = first_block.downsample[0].stride = (1, 1)
        #: Channels of each layer's maps.
        expansion = 4 if self.depth == 50 else 1
        self.channels = {layer: 64 * 2**number * expansion for number, layer in enumerate(LAYERS)}
        self.embed_dim = self.channels['layer4'] * self.stripes
        if self.non_local:
            self.non_local_blocks = nn.ModuleDict(dict(self._non_local_blocks(trunk)))
        self.to(memory_format=self.memory_format)
        self.is_init = False

    @property
    def memory_format(self) -> torch.memory_format:
        """Order of the channels in memory, see ``channels_last``; modules that a subclass adds need it too."""
        return torch.channels_last if self.channels_last else torch.preserve_format

    @property
    def part_widths(self) -> dict[str, int]:
        """Width, or channels, of the parts that ``training_parts`` adds."""
        return {f'maps_{layer}': self.channels[layer] for layer in self.kept_maps}

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call; raises as ``load_pretrained_resnet``."""
        if self.pretrained is not None and not self.is_init:
            load_pretrained_resnet(self, self.pretrained, self.pretrained_sha256)
        self.is_init = True

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        return self.pool(self.run_layers(self.run_stems(inputs, modalities)), len(inputs))

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch: ``static`` and ``dynamic`` as ``forward``, and the ``kept_maps``."""
        kept: dict[str, Tensor] = {}
        maps = self.run_stems(inputs, modalities)
        for layer in LAYERS:
            maps = self.run_layers(maps, (layer,))
            if layer in self.kept_maps:
                kept[f'maps_{layer}'] = maps.unflatten(0, inputs.shape[:2])
        static, dynamic = self.pool(maps, len(inputs))
        return {'static': static, 'dynamic': dynamic, **kept}

    def run_stems(self, inputs: Tensor, modalities: Sequence[str] | None) -> Tensor:
        """Run each tracklet's frames through the stem of its modality: (N, T, 3, H, W) to maps (N * T, C, H', W')."""
        maps = run_by_modality(self.stems, inputs, check_modalities(self, inputs, modalities), self.memory_format)
        return maps.to(memory_format=self.memory_format)

    def run_layers(self, maps: Tensor, layers: Sequence[str] = LAYERS) -> Tensor:
        """Run maps (B, C, H, W) through some layers, with the non-local blocks that follow their blocks."""
        for layer in layers:
            for number, block in enumerate(getattr(self.layers, layer)):
                maps = block(maps)
                if self.non_local and f'{layer}_{number}' in self.non_local_blocks:
                    maps = self.non_local_blocks[f'{layer}_{number}'](maps)
        return maps

    def pool(self, maps: Tensor, num_tracklets: int) -> tuple[Tensor, Tensor]:
        """Pool the last maps of all frames, (N * T, C, H, W), to the static and the dynamic feature, (N, D) each."""
        pooled = pool_stripes(maps, self.stripes, self.gem_power).flatten(1)
        mean = pooled.unflatten(0, (num_tracklets, -1)).mean(1)
        return mean, mean

    def _non_local_blocks(self, trunk: ResNet) -> Iterator[tuple[str, nn.Module]]:
        for layer, last in _NON_LOCAL.items():
            depth = len(getattr(trunk, layer))
            for number in range(max(depth - last, 0), depth):
                block = NonLocalBlock(self.channels[layer], inner_channels=self.non_local_channels)
                yield f'{layer}_{number}', block


@MODELS.register_module()
class TwoStreamResNet50(TwoStreamResNet):
    """``TwoStreamResNet`` of ADCA, GUR and N-ULC: depth 50, no non-local blocks (PGM's released code has them).

    Args:
        pretrained: As in ``TwoStreamResNet``.
        pretrained_sha256: As in ``TwoStreamResNet``.
        gem_power: As in ``TwoStreamResNet``.
        channels_last: As in ``TwoStreamResNet``.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        gem_power: float = 3.0,
        channels_last: bool = False,
    ) -> None:
        super().__init__(pretrained, pretrained_sha256, gem_power, channels_last=channels_last)


def _parts(network: ResNet, *names: str) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, getattr(network, name)) for name in names))


def pool_stripes(maps: Tensor, stripes: int, power: float) -> Tensor:
    """Pool horizontal stripes of maps, float (B, C, H, W), by ``generalized_mean``: (B, stripes, C).

    Stripe i has the rows from floor(i H / stripes) to ceil((i + 1) H / stripes), so that none is empty.
    """
    height = maps.shape[2]
    bounds = [(number * height // stripes, -(-(number + 1) * height // stripes)) for number in range(stripes)]
    return torch.stack([generalized_mean(maps[:, :, top:bottom], power) for top, bottom in bounds], dim=1)


def generalized_mean(maps: Tensor, power: float = 3.0, eps: float = 1e-12) -> Tensor:
    """Apply generalized-mean pooling (GeM; Radenovic et al., TPAMI 2019), with a fixed power as in AGW.

    Computes ``(mean_x maps(x) ** power + eps) ** (1 / power)`` of float (B, C, H, W), not negative: float32 (B, C), or
    float64 for float64 maps.
    """
    # Powers lose digits in low precision.
    with torch.autocast(maps.device.type, enabled=False):
        maps = full_precision(maps)
        return (maps.pow(power).mean(dim=(2, 3)) + eps).pow(1 / power)


def load_pretrained_resnet(backbone: TwoStreamResNet, path: str, sha256: str | None = None) -> None:
    """Load torchvision's weights, with its stem as both stems; modules outside the trunk keep their weights."""
    name, url = f'resnet{backbone.depth}', RESNET_URLS[backbone.depth]
    digest = f' (sha256 {RESNET50_SHA256})' if backbone.depth == 50 else ''
    file = find_weights(path, sha256, f"get torchvision's {name} from {url}{digest}")
    # Files written before PyTorch 0.4 lack the batch normalization counters, which are not used here.
    weights = {
        key: value
        for key, value in backbone.state_dict().items()
        if key.endswith('.num_batches_tracked') or not key.startswith(('stems.', 'layers.'))
    }
    for key, value in load_weights(file).items():
        if key.startswith(('conv1.', 'bn1.')):
            weights |= {f'stems.{modality.value}.{key}': value for modality in Modality}
        elif not key.startswith('fc.'):
            weights[f'layers.{key}'] = value
    if differences := list_differences(backbone, weights):
        raise CheckpointError(f"{path}: does not contain torchvision's {name} ({in_words(differences)})")
    backbone.load_state_dict(weights)
