"""Encoder of MITML: appearance of each frame, gated by what a recurrent network saw in all frames."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.two_stream_resnet import LAYERS, TwoStreamResNet, pool_stripes
from dscreid.registry import MODELS


class FrameGate(nn.Module):
    """Gate of one frame: squeeze-and-excitation of the mean of its motion feature and a projection of the memory."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(width // 16, 1)
        self.projection = nn.Linear(width, width)
        self.gate = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.Sigmoid())

    def forward(self, memory: Tensor, motion: Tensor) -> Tensor:
        """Compute factors in (0, 1), float (N, D), from the memory and the motion feature, (N, D) each."""
        return self.gate((self.projection(memory) + motion) / 2)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class TemporalGateResNet(TwoStreamResNet):
    """``TwoStreamResNet`` of MITML (Lin et al., CVPR 2022) with two copies of layer 4, for appearance and for motion.

    A recurrent network of two layers reads the motion features. Its last state and a frame's motion feature gate the
    frame's appearance feature, and the mean over frames is both halves. Every frame number has a gate of its own.
    """

    common_settings = MappingProxyType({'num_frames': 'num_frames'})

    num_frames: int = 6  #: frames of every tracklet

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stripes != 1 or self.kept_maps:
            raise ConfigError('TemporalGateResNet: needs stripes=1 and no kept_maps')
        self.motion_layer = copy.deepcopy(self.layers.get_submodule('layer4'))
        self.memory = nn.LSTM(self.embed_dim, self.embed_dim, num_layers=2, batch_first=True)
        self.gates = nn.ModuleList(FrameGate(self.embed_dim) for _ in range(self.num_frames))

    def init_weights(self) -> None:
        """Load ``pretrained`` on the first call, also into the second copy of layer 4."""
        fresh = self.pretrained is not None and not self.is_init
        super().init_weights()
        if fresh:
            self.motion_layer.load_state_dict(self.layers.get_submodule('layer4').state_dict())

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``: raw static and dynamic features, float32 ``(N, D)``."""
        if inputs.shape[1] != self.num_frames:
            raise ValueError(f'TemporalGateResNet needs {self.num_frames} frames, got {inputs.shape[1]}')
        maps = self.run_layers(self.run_stems(inputs, modalities), LAYERS[:3])
        appearance, motion = (
            pool_stripes(layer(maps), 1, self.gem_power)[:, 0].unflatten(0, inputs.shape[:2])
            for layer in (self.layers.get_submodule('layer4'), self.motion_layer)
        )
        mean = self.gate_frames(appearance, motion)
        return mean, mean

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch, as ``forward``."""
        static, dynamic = self(inputs, modalities)
        return {'static': static, 'dynamic': dynamic}

    def gate_frames(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Gate the appearance features of frames by their motion features, float (N, T, D) each: mean (N, D)."""
        with torch.autocast(motion.device.type, enabled=False):
            dtype = next(self.memory.parameters()).dtype
            appearance, motion = appearance.to(dtype), motion.to(dtype)
            memory = self.memory(motion)[0][:, -1]
            factors = [gate(memory, motion[:, number]) for number, gate in enumerate(self.gates)]
            return (torch.stack(factors, dim=1) * appearance).mean(1)
