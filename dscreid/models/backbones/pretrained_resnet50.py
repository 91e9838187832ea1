"""Load torchvision's ImageNet weights into the two-stream ResNet-50."""

from torch import Tensor, nn

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import find_weights
from dscreid.structures import Modality
from dscreid.utils.checkpoint import in_words, list_differences, load_weights

# torchvision's IMAGENET1K_V1; the file name contains the first digits of the hash.
RESNET50_SHA256 = '0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a'
RESNET50_URL = 'https://download.pytorch.org/models/resnet50-0676ba61.pth'
_STEM_PARTS = ('conv1.', 'bn1.')
_COUNTER = '.num_batches_tracked'


def load_pretrained_resnet50(backbone: nn.Module, path: str, sha256: str | None = None) -> None:
    """Load torchvision's ``resnet50`` weights, without the classifier, into a :class:`TwoStreamResNet50`, in place.

    Args:
        backbone: Model; both of its stems receive the stem of the file.
        path: Path of torchvision's ``.pth`` file.
        sha256: Expected SHA-256 of the file (hexadecimal). None accepts any file.

    Raises:
        CheckpointError: If the file is missing, has a different hash, is damaged, or does not contain a ResNet-50.
    """
    file = find_weights(
        path, sha256, f"get torchvision's resnet50 from {RESNET50_URL} (sha256 {RESNET50_SHA256})"
    )
    weights = two_stream_weights(load_weights(file))
    expected = backbone.state_dict()
    # Files written before PyTorch 0.4 lack the batch normalization counters, which are not used here.
    weights = {name: value for name, value in expected.items() if name.endswith(_COUNTER)} | weights
    differences = list_differences(backbone, weights)
    if differences:
        raise CheckpointError(f"{path}: does not contain torchvision's resnet50 ({in_words(differences)})")
    backbone.load_state_dict(weights)


def two_stream_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights of torchvision's ``resnet50`` to those of :class:`TwoStreamResNet50` and drop the classifier."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.startswith(_STEM_PARTS):
            renamed |= {f'stems.{modality.value}.{name}': value for modality in Modality}
        elif not name.startswith('fc.'):
            renamed[f'layers.{name}'] = value
    return renamed
