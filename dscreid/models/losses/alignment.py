"""Dense alignment of feature maps across modalities (LbA; Park et al., ICCV 2021) as pure functions.

Maps are float (R, T, C, H, W). Frame t of a tracklet is aligned with frame t of its partner.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dscreid.models.precision import full_precision


def partner_candidates(labels: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows of the other modality have the same and which another identity, bool (R, R) each."""
    across = visible[:, None] != visible[None, :]
    same = labels[:, None] == labels[None, :]
    return across & same, across & ~same


def draw_partners(candidates: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one candidate of each row, bool (R, R): int64 (R,), the row itself if it has none."""
    scores = torch.rand(candidates.shape, generator=generator).to(candidates.device).masked_fill(~candidates, -1)
    own = torch.arange(len(candidates), device=candidates.device)
    return torch.where(candidates.any(dim=1), scores.argmax(dim=1), own)


def foreground(maps: Tensor) -> Tensor:
    """Scale the norm of each position's feature to [0, 1] within a frame: (R, T, 1, H, W)."""
    norms = maps.norm(dim=2, keepdim=True)
    low, high = norms.amin(dim=(3, 4), keepdim=True), norms.amax(dim=(3, 4), keepdim=True)
    return (norms - low) / (high - low).clamp(min=1e-12)


def reconstruct(maps: Tensor, partners: Tensor, temperature: float = 50.0) -> Tensor:
    """Rebuild the foreground of each row's maps from the maps of its partner, float, in the same shape.

    Position p becomes ``m_p * sum_q a_pq g_q + (1 - m_p) * f_p`` with ``a_p = softmax_q(temperature * cos(f_p, g_q))``
    over all positions q of the partner's maps ``g``, and ``m`` the ``foreground`` of ``f``.
    """
    with torch.autocast(maps.device.type, enabled=False):
        maps = full_precision(maps)
        own = maps.flatten(3).transpose(2, 3)  # (R, T, H * W, C)
        others = own[partners]
        attention = temperature * F.normalize(own, dim=3) @ F.normalize(others, dim=3).transpose(2, 3)
        warped = (attention.softmax(dim=3) @ others).transpose(2, 3).unflatten(3, maps.shape[3:])
        mask = foreground(maps)
        return mask * warped + (1 - mask) * maps


def dense_triplet(maps: Tensor, positive: Tensor, negative: Tensor, used: Tensor, margin: float = 0.3) -> Tensor:
    """Compare maps with their reconstructions from the same and from another identity, position by position.

    The loss is the mean over positions of ``m * max(0, margin + |f - f+| - |f - f-|)``, where ``m`` is the product of
    the ``foreground`` of ``f`` and ``f+``, without gradient, over the rows that are ``used``, bool (R,); a
    differentiable 0 without any.
    """
    with torch.autocast(maps.device.type, enabled=False):
        maps, positive, negative = map(full_precision, (maps, positive, negative))
        near, far = ((maps - other).square().sum(dim=2).clamp(min=1e-12).sqrt() for other in (positive, negative))
        mask = (foreground(maps) * foreground(positive))[:, :, 0].detach()
        per_row = (mask * (margin + near - far).clamp(min=0)).flatten(1).mean(dim=1)
        return (per_row * used).sum() / used.sum().clamp(min=1)
