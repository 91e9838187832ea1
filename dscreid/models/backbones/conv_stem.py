"""Convolutional patch embedding for small towers trained from scratch."""

from collections.abc import Sequence

from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.registry import MODELS


@MODELS.register_module()
class ConvStem(nn.Module):
    """Stride-2 3x3 convolutions that replace CLIP's single patch convolution.

    With early convolutions a vision transformer learns faster and more stably on small data (Xiao et al., "Early
    Convolutions Help Transformers See Better", NeurIPS 2021). Every convolution except the last, which projects to the
    width of the tower, is followed by BatchNorm and GELU.

    Args:
        width: Number of channels of the tokens.
        patch_size: Total stride: ``2 ** len(channels)`` (the last convolution has stride 1) or twice that (stride 2).
        channels: Output channels of all convolutions except the last.

    Raises:
        ConfigError: If ``channels`` cannot give a total stride of ``patch_size``.
    """

    def __init__(self, width: int, patch_size: int, channels: Sequence[int] = (32, 64)):
        super().__init__()
        stride, remainder = divmod(patch_size, 2 ** len(channels))
        if remainder or stride not in (1, 2):
            raise ConfigError(
                f'ConvStem with channels={tuple(channels)} has a total stride of {2 ** len(channels)} or '
                f'{2 ** (len(channels) + 1)}, not patch_size={patch_size}; change the number of channels'
            )
        layers: list[nn.Module] = []
        previous = 3
        for channel in channels:
            layers += [
                nn.Conv2d(previous, channel, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channel),
                nn.GELU(),
            ]
            previous = channel
        layers.append(nn.Conv2d(previous, width, 3, stride=stride, padding=1, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Embed float images ``(B, 3, H, W)`` as tokens ``(B, width, H / patch_size, W / patch_size)``."""
        return self.layers(images)
