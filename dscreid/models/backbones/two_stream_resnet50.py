"""Two-stream ResNet-50 of the unsupervised visible-infrared methods, applied to tracklets."""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torchvision.models import ResNet, resnet50

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.pretrained import find_weights
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.registry import MODELS
from dscreid.structures import Modality
from dscreid.utils.checkpoint import in_words, list_differences, load_weights


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class TwoStreamResNet50(BaseModule):
    """ResNet-50 with one stem per modality and a shared trunk (AGW; Ye et al., TPAMI 2021), averaged over frames.

    The network of ADCA, GUR and N-ULC, without non-local blocks (PGM's released code has them): last stride 1, and GeM
    pooling with a fixed power. The mean of the frame features is both the static and the dynamic feature.
    ``init_weights``, not the constructor, loads the ImageNet weights.
    """

    #: If True, models call this encoder with the modality of each tracklet.
    needs_modalities = True
    embed_dim = 2048

    #: path of torchvision's ``resnet50`` weights (``.pth``), whose stem both stems start from, or None
    pretrained: str | None = None
    pretrained_sha256: str | None = None  #: expected SHA-256 of the file (hexadecimal); None accepts any file
    gem_power: float = 3.0  #: power of the generalized mean, positive; 1 gives the mean

    def __post_init__(self) -> None:
        super().__init__()
        if self.gem_power <= 0:
            raise ConfigError(f'TwoStreamResNet50: gem_power must be positive, got {self.gem_power}')
        trunk = resnet50(weights=None, norm_layer=SynchronizedBatchNorm2d)
        # The stems start out equal, as they do with ImageNet weights.
        stem = _parts(trunk, 'conv1', 'bn1', 'relu', 'maxpool')
        self.stems = nn.ModuleDict({modality.value: copy.deepcopy(stem) for modality in Modality})
        self.layers = _parts(trunk, 'layer1', 'layer2', 'layer3', 'layer4')
        first_block = trunk.layer4[0]
        first_block.conv2.stride = first_block.downsample[0].stride = (1, 1)
        self.is_init = False

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call; raises as ``load_pretrained_resnet50``."""
        if self.pretrained is not None and not self.is_init:
            load_pretrained_resnet50(self, self.pretrained, self.pretrained_sha256)
        self.is_init = True

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: twice the same raw features, float32 ``(N, 2048)``."""
        if not modalities or len(modalities) != len(inputs):
            found = f'{len(modalities or ())} for {len(inputs)} tracklets'
            raise ValueError(f'TwoStreamResNet50 needs one modality per tracklet, got {found}')
        maps = self.layers(self._run_stems(inputs, [Modality(modality) for modality in modalities]))
        mean = generalized_mean(maps, self.gem_power).unflatten(0, inputs.shape[:2]).mean(1)
        return mean, mean

    def _run_stems(self, inputs: Tensor, modalities: list[Modality]) -> Tensor:
        maps, rows = [], []
        for modality in Modality:
            members = [row for row, own in enumerate(modalities) if own is modality]
            if members:
                stem = self.stems[modality.value]
                own_rows = torch.tensor(members).to(inputs.device, non_blocking=True)
                maps.append(stem(inputs[own_rows].flatten(0, 1)).unflatten(0, (len(members), -1)))
                rows += members
        order = torch.tensor(rows).argsort().to(inputs.device, non_blocking=True)
        return torch.cat(maps)[order].flatten(0, 1)


def _parts(network: ResNet, *names: str) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, getattr(network, name)) for name in names))


def generalized_mean(maps: Tensor, power: float = 3.0, eps: float = 1e-12) -> Tensor:
    """Apply generalized-mean pooling (GeM; Radenovic et al., TPAMI 2019), with a fixed power as in AGW.

    Computes ``(mean_x maps(x) ** power + eps) ** (1 / power)`` of float (B, C, H, W), not negative: float32 (B, C), or
    float64 for float64 maps.
    """
    # Powers lose digits in low precision.
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps if maps.dtype == torch.float64 else maps.float()
        return (maps.pow(power).mean(dim=(2, 3)) + eps).pow(1 / power)


# torchvision's IMAGENET1K_V1; the file name contains the first digits of the hash.
RESNET50_SHA256 = '0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a'
RESNET50_URL = 'https://download.pytorch.org/models/resnet50-0676ba61.pth'


def load_pretrained_resnet50(backbone: nn.Module, path: str, sha256: str | None = None) -> None:
    """Load torchvision's ``resnet50`` weights, with its stem as both stems, into a :class:`TwoStreamResNet50`."""
    file = find_weights(path, sha256, f"get torchvision's resnet50 from {RESNET50_URL} (sha256 {RESNET50_SHA256})")
    # Files written before PyTorch 0.4 lack the batch normalization counters, which are not used here.
    weights = {k: v for k, v in backbone.state_dict().items() if k.endswith('.num_batches_tracked')}
    for name, value in load_weights(file).items():
        if name.startswith(('conv1.', 'bn1.')):
            weights |= {f'stems.{modality.value}.{name}': value for modality in Modality}
        elif not name.startswith('fc.'):
            weights[f'layers.{name}'] = value
    if differences := list_differences(backbone, weights):
        raise CheckpointError(f"{path}: does not contain torchvision's resnet50 ({in_words(differences)})")
    backbone.load_state_dict(weights)
