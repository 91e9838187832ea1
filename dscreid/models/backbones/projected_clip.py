"""Tracklet encoder of CLIP-ReID: features of CLIP before and after its projection, averaged over frames."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.attention_block import run_block
from dscreid.models.backbones.pretrained import CLIP_REMEDY, find_weights
from dscreid.registry import MODELS
from dscreid.structures import Modality
from dscreid.utils.checkpoint import load_weights


@MODELS.register_module()
class ProjectedCLIP(BaseModule):
    """Features of CLIP-ReID (Li et al., AAAI 2023), each the mean over the class tokens of the frames.

    Both halves are ``[last, projected]``: the tower's output, width D, and its projection into the joint space of
    images and texts, width P. A training batch also has ``before_last``, the output of the last block but one.

    Args:
        tower: Config of the image tower, such as ``dict(type='CLIPVisionTransformer')``.
        joint_width: Width P of the joint space, 512 in CLIP ViT-B/16.
        pretrained_projection: Whether the tower's ``pretrained`` file also holds the projection, as all published CLIP
            models do. If False, the projection starts from random weights.
        cameras: 0, or more than the largest camera number: a learned embedding of each camera and modality (SIE; He et
            al., "TransReID", ICCV 2021) is added to the class token. Then modalities must be ``modality:camera``.
    """

    def __init__(
        self, tower: dict[str, Any], joint_width: int = 512, pretrained_projection: bool = True, cameras: int = 0
    ) -> None:
        super().__init__()
        if joint_width < 1 or cameras < 0:
            raise ConfigError(
                f'{type(self).__name__}: needs a positive joint_width and no negative cameras, got {joint_width} and '
                f'{cameras}'
            )
        self.tower = MODELS.build(tower)
        width = self.tower.embed_dim
        #: Names and widths of the parts that both halves consist of.
        self.segments = {'last': width, 'projected': joint_width}
        #: Widths of the other parts of a training batch.
        self.part_widths = {'before_last': width}
        self.pretrained_projection = pretrained_projection
        # as in CLIP
        self.projection = nn.Parameter(torch.randn(width, joint_width) * width**-0.5)
        self.cameras, self.needs_modalities, self.needs_cameras = cameras, cameras > 0, cameras > 0
        if cameras:
            embeddings = torch.empty(len(Modality), cameras, width)
            self.camera_embeddings = nn.Parameter(nn.init.trunc_normal_(embeddings, std=0.02))

    @property
    def embed_dim(self) -> int:
        """Width of each half."""
        return sum(self.segments.values())

    def init_weights(self) -> None:
        """Load the tower's pretrained weights on the first call, and with ``pretrained_projection`` the projection."""
        load = self.pretrained_projection and self.tower.pretrained is not None and not self.tower.is_init
        super().init_weights()
        if load:
            projection = load_projection(self.tower.pretrained, self.tower.pretrained_sha256)
            if projection.shape != self.projection.shape:
                raise CheckpointError(
                    f'{self.tower.pretrained}: its projection has shape {tuple(projection.shape)}, the config needs '
                    f'{tuple(self.projection.shape)}; correct joint_width'
                )
            with torch.no_grad():
                self.projection.copy_(projection)

    def forward(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Encode normalized frames, float ``(N, T, 3, H, W)``, as twice the same raw float32 feature, (N, ...)."""
        static = self.training_parts(inputs, modalities)['static']
        return static, static

    def training_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Encode frames of a training batch: both halves, (N, D + P), and ``before_last``, (N, D), float32."""
        before_last, last = self.run_tower(inputs, modalities, keep=(0,))
        projected = last[:, 0] @ self.projection
        static = torch.cat([over_frames(part, inputs) for part in (last[:, 0], projected)], dim=1)
        return {'static': static, 'dynamic': static, 'before_last': over_frames(before_last[:, 0], inputs)}

    def run_tower(
        self, inputs: Tensor, modalities: Sequence[str] | None = None, keep: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run all frames through the tower: tokens before its last block, and after it and ``ln_post``.

        Both are (N * T, L, D) with the class token first; the second has only the tokens that ``keep`` lists, if given.
        """
        offsets = self._camera_offsets(modalities, inputs) if self.cameras else None
        tokens = self.tower.embed(inputs.flatten(0, 1), offsets)
        *blocks, last = self.tower.blocks
        for block in blocks:
            tokens = run_block(block, tokens)
        kept = None if keep is None else torch.tensor(keep, device=tokens.device)
        return tokens, self.tower.ln_post(run_block(last, tokens, kept))

    def _camera_offsets(self, places: Sequence[str] | None, inputs: Tensor) -> Tensor:
        """Return the embedding of each frame's camera and modality, (N * T, D)."""
        if places is None or len(places) != len(inputs) or not all(':' in place for place in places):
            raise ValueError(f'{type(self).__name__} with cameras={self.cameras} needs the camera of each tracklet')
        rows = [place.split(':') for place in places]
        kinds, cameras = [list(Modality).index(Modality(kind)) for kind, _ in rows], [int(camera) for _, camera in rows]
        if not all(0 <= camera < self.cameras for camera in cameras):
            raise ValueError(
                f'there are cameras {min(cameras)} to {max(cameras)}; set cameras of {type(self).__name__} to more '
                f'than the largest number, not {self.cameras}'
            )
        return self.camera_embeddings[kinds, cameras].repeat_interleave(inputs.shape[1], dim=0)


def over_frames(features: Tensor, inputs: Tensor) -> Tensor:
    """Average features of frames, (N * T, ...), over the T frames of ``inputs``, (N, T, ...): float32 (N, ...)."""
    return features.float().unflatten(0, inputs.shape[:2]).mean(1)


def load_projection(path: str, sha256: str | None = None) -> Tensor:
    """Read the projection into the joint space, (D, P), from a CLIP file; raises CheckpointError."""
    content = load_weights(find_weights(path, sha256, CLIP_REMEDY))
    projection = content.get('visual.proj', content.get('proj'))
    if projection is None:
        raise CheckpointError(
            f'{path}: has no projection into the joint space of images and texts; use a whole CLIP model, or set '
            'pretrained_projection=False to train it from random weights'
        )
    return projection
