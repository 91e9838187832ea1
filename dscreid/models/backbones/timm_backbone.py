"""Any image model of timm as a tracklet encoder."""

from types import MappingProxyType
from typing import Any

import timm
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.attention_block import attend
from dscreid.models.backbones.efficientnet_names import with_timm_names
from dscreid.models.backbones.pretrained import find_weights
from dscreid.registry import MODELS
from dscreid.utils.build_errors import closest
from dscreid.utils.checkpoint import in_words, list_differences, load_weights


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Frames encoded by a model of timm: their mean is the static half, temporal attention gives the dynamic half.

    The dynamic half is what ``SpatioTemporalPrompting`` computes from its prompts, computed from frame features: each
    frame attends to all frames of its tracklet, then layer normalization and the mean over frames.

    Args:
        model_name: Name of a model, see ``timm.list_models()``.
        pretrained: Path of a file with weights of this model (``.safetensors`` or ``.pth``), such as timm's own on the
            Hugging Face hub, or those of EfficientNet-PyTorch and EfficientNet-Lite; its classifier is not used. None
            for random weights. Loaded by ``init_weights``.
        pretrained_sha256: Expected SHA-256 of the file (hexadecimal); None accepts any file.
        num_heads: Heads of the temporal attention; 0 for none, so that both halves are the mean.
        options: Further arguments of ``timm.create_model``, such as ``dict(img_size=(288, 144))`` for transformers.
        channels_last: Whether frames and weights of convolutions have their channels last in memory; results differ by
            rounding.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        num_heads: int = 0,
        options: dict[str, Any] = MappingProxyType({}),  # type: ignore[assignment]  # not changed
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if not timm.is_model(model_name):
            hint = closest(model_name, timm.list_models()) or '; timm.list_models() names them'
            raise ConfigError(f'TimmBackbone: timm {timm.__version__} has no model {model_name!r}{hint}')
        if given := {'pretrained', 'checkpoint_path'} & options.keys():
            raise ConfigError(
                f'TimmBackbone: options cannot have {given.pop()}; give the path of weights as pretrained'
            )
        self.model_name, self.pretrained, self.pretrained_sha256 = model_name, pretrained, pretrained_sha256
        try:
            network: Any = timm.create_model(model_name, pretrained=False, num_classes=0, **options)
        except (TypeError, RuntimeError) as error:  # an unknown option, an unknown tag of the name
            raise ConfigError(f'TimmBackbone: {model_name} cannot be built with {dict(options)}: {error}') from error
        self.memory_format = torch.channels_last if channels_last else torch.preserve_format
        self.network: nn.Module = network.to(memory_format=self.memory_format)
        self.embed_dim: int = network.num_features
        classifier = network.pretrained_cfg.get('classifier') or ()
        #: names of the classifier's modules in files of this model
        self.classifier = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        if num_heads < 0 or (num_heads and self.embed_dim % num_heads):
            raise ConfigError(f'TimmBackbone: num_heads must be 0 or divide {self.embed_dim}, got {num_heads}')
        #: Whether the dynamic half is made from several frames.
        self.needs_motion = num_heads > 0
        self.attn = nn.MultiheadAttention(self.embed_dim, num_heads, batch_first=True) if num_heads else None
        self.ln_post = nn.LayerNorm(self.embed_dim) if num_heads else None
        self.is_init = False

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call; raises CheckpointError if the file is missing or does not fit."""
        if self.pretrained is not None and not self.is_init:
            name = self.model_name
            remedy = f'get the weights of {name} from the Hugging Face hub (timm/{name}...)'
            file = find_weights(self.pretrained, self.pretrained_sha256, remedy)
            dropped = tuple(f'{part}.' for part in self.classifier)
            named = with_timm_names(load_weights(file), self.network)
            weights = {key: value for key, value in named.items() if not key.startswith(dropped)}
            if differences := list_differences(self.network, weights):
                raise CheckpointError(f"{self.pretrained}: does not fit timm's {name} ({in_words(differences)})")
            self.network.load_state_dict(weights)
        self.is_init = True

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        pixels = inputs.flatten(0, 1).to(memory_format=self.memory_format)
        frames = self.network(pixels).float().unflatten(0, inputs.shape[:2])
        static = frames.mean(1)
        if self.attn is None or self.ln_post is None:
            return static, static
        return static, self.ln_post(attend(self.attn, frames, frames)).float().mean(1)
