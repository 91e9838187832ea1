"""Heads of SAADG and TF-CLIP on the features of frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.models.heads.identity_head import IdentityHead
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.reid.base import BNNeck
from dscreid.registry import MODELS


@MODELS.register_module()
class FrameHead(nn.Module):
    """Neck and classifier of single frames, shared by two parts of frame features, float (R, T, D).

    Args:
        in_features: Width D of the frame features.
        num_classes: Number of identities.
        part: The first part.
        other_part: The second part.
    """

    def __init__(
        self, in_features: int, num_classes: int, part: str = 'frames', other_part: str = 'disturbed_frames'
    ) -> None:
        super().__init__()
        self.reads, self.out_features = (part, other_part), num_classes
        self.neck = BNNeck(in_features)
        self.classifier = IdentityHead(in_features, num_classes)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, 2 T, num_classes), those of the first part first."""
        frames = torch.cat([batch.part(name) for name in self.reads], dim=1)
        normalized = self.neck(frames.flatten(0, 1))
        return F.linear(normalized, self.classifier.weight).unflatten(0, frames.shape[:2])


@MODELS.register_module()
class ClipFrameHead(FrameHead):
    """One classifier of a clip, and of its single frames after a neck of their own (TF-CLIP).

    Args:
        in_features: As in ``FrameHead``.
        num_classes: As in ``FrameHead``.
        part: The part of the clip, float (R, D), after its neck.
        frames: The part of the frames, float (R, T, D).
    """

    def __init__(self, in_features: int, num_classes: int, part: str = 'neck_temporal', frames: str = 'frames') -> None:
        super().__init__(in_features, num_classes, part, frames)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, 1 + T, num_classes), those of the clip first."""
        clip, frames = (batch.part(name) for name in self.reads)
        normalized = self.neck(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return F.linear(torch.cat([clip[:, None], normalized], dim=1), self.classifier.weight)


def graph_convolution(nodes: Tensor, weights: Tensor) -> Tensor:
    """Average nodes along weighted edges, symmetrically normalized (Kipf and Welling, ICLR 2017).

    ``nodes`` are float (..., R, D), ``weights`` (..., R, R), not negative, with a positive sum in each row.
    """
    scale = weights.sum(dim=-1).rsqrt()
    return (scale[..., :, None] * weights * scale[..., None, :]) @ nodes


@MODELS.register_module()
class InteractionHead(nn.Module):
    """Graph interaction of SAADG, for each frame number between the clips of a person, in training only.

    Two graphs connect clips of the same modality, and clips of different ones; each clip is connected with itself.
    Edges weigh the cosine similarity of frame features, if it is positive. The mean over frames is classified.

    Args:
        in_features: Width D of the frame features.
        num_classes: Number of identities.
        part: The part that holds frame features, float (R, T, D).
    """

    def __init__(self, in_features: int, num_classes: int, part: str = 'frames') -> None:
        super().__init__()
        self.reads, self.out_features = (part,), num_classes
        self.projections = nn.ModuleList(nn.Linear(in_features, in_features) for _ in range(2))
        self.necks = nn.ModuleList(BNNeck(in_features) for _ in range(2))
        self.classifier = IdentityHead(in_features, num_classes)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits within and across modalities, float32 (R, 2, num_classes)."""
        frames = batch.part(self.reads[0]).transpose(0, 1)  # (T, R, D)
        labels, visible = batch.labels, batch.visible
        same_person = labels[:, None] == labels[None, :]
        same_modality = visible[:, None] == visible[None, :]
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        logits = []
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.to(self.classifier.weight.dtype)
            unit = F.normalize(frames, dim=2)
            cosines = (unit @ unit.transpose(1, 2)).clamp(min=0)
            cosines = torch.where(itself, torch.ones_like(cosines), cosines)
            edges = (same_person & same_modality, (same_person & ~same_modality) | itself)
            for edge, projection, neck in zip(edges, self.projections, self.necks, strict=True):
                nodes = projection(graph_convolution(frames, cosines * edge)).mean(0)
                logits.append(F.linear(neck(nodes), self.classifier.weight))
        return torch.stack(logits, dim=1)
