"""Attention of the spatio-temporal prompts to the frames of a tracklet and to the patches of each frame."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones import SpatioTemporalPrompting
from dscreid.structures import Modality, Tracklet
from dscreid.visualization.figures import add_note, show_image, styled


class PromptAttention(NamedTuple):
    """Attention of the prompts of ``N`` tracklets, averaged over heads."""

    #: float32 (N, L, T, P, h, w), weights with which prompt ``p`` of frame ``t`` reads the patches of its frame in each
    #: of the ``L`` blocks with prompts; they sum to less than 1, as prompts read other tokens too
    patches: Tensor
    frames: Tensor  #: float32 (N, T), share of each frame's prompts in the dynamic feature; sums to 1
    #: float32 (N,) in [1, T²], number of prompts that the dynamic feature attends to: the exponential of the entropy of
    #: its weights, averaged over heads and class tokens. Near 1, the attention is saturated and learns hardly anything
    prompts: Tensor

    def maps(self) -> Tensor:
        """Average over blocks and prompts: float32 (N, T, h, w)."""
        return self.patches.mean(dim=(1, 3))


class AttendedTracklet(NamedTuple):
    """A row of the picture."""

    title: str
    frames: np.ndarray  #: uint8 (T, H, W, 3), what the model sees, in RGB order
    maps: np.ndarray  #: float (T, h, w), see :meth:`PromptAttention.maps`
    shares: np.ndarray  #: float (T,), see :class:`PromptAttention`


@torch.no_grad()
def compute_prompt_attention(backbone: nn.Module, inputs: Tensor) -> PromptAttention:
    """Compute the attention of an encoder's prompts from the inputs that its blocks see while it runs.

    The backbone is a ``SpatioTemporalPrompting`` in evaluation mode, not compiled; ``inputs`` are normalized frames,
    float (N, T, 3, H, W).
    """
    if not isinstance(backbone, SpatioTemporalPrompting):
        raise ConfigError(
            f'{type(backbone).__name__} has no prompts; use a config whose backbone is SpatioTemporalPrompting.'
        )
    num_frames = backbone.num_frames
    blocks = list(backbone.tower.blocks[backbone.start_layer :])
    normalized: list[Tensor] = []
    last: list[Tensor] = []  # input of the second half of the last block, and what that half adds to it
    with ExitStack() as stack:
        # torch's handles remove their hook at the end of the block
        for block in blocks:
            stack.enter_context(block.ln_1.register_forward_hook(lambda _, args, out: normalized.append(out)))
        stack.enter_context(blocks[-1].ln_2.register_forward_hook(lambda _, args, out: last.append(args[0])))
        stack.enter_context(blocks[-1].ls_2.register_forward_hook(lambda _, args, out: last.append(out)))
        backbone(inputs)

    grid = backbone.tower.grid_size
    first_prompt = 1 + grid[0] * grid[1]
    per_block = [
        block.attn(tokens[:, first_prompt:], tokens, tokens)[1][..., 1:first_prompt]
        for block, tokens in zip(blocks, normalized, strict=True)
    ]
    patches = torch.stack(per_block).unflatten(-1, grid).unflatten(1, (-1, num_frames)).transpose(0, 1)

    tokens = (last[0] + last[1]).unflatten(0, (-1, num_frames))  # (N, T, class token and T prompts, D)
    prompts = tokens[:, :, 1:].flatten(1, 2)
    weights = backbone.attn(tokens[:, :, 0], prompts, prompts, average_attn_weights=False)[1]  # (N, heads, T, T * T)
    frames = weights.unflatten(-1, (num_frames, num_frames)).sum(-1).mean((1, 2))
    return PromptAttention(patches, frames, torch.special.entr(weights).sum(-1).exp().mean((1, 2)))


def choose_pair(tracklets: Sequence[Tracklet], person: int | None = None, seed: int = 0) -> list[int]:
    """Draw a visible and an infrared tracklet of a person; None draws one that both modalities show, if any is known.

    Returns positions in the dataset, visible first; only one if the other modality is missing.
    """
    generator = np.random.default_rng(seed)
    sides = [[row for row, one in enumerate(tracklets) if one.modality is modality] for modality in Modality]
    shared = set.intersection(*({tracklets[row].pid for row in rows} for rows in sides)) - {None}
    if person is not None and person not in shared:
        raise ConfigError(f'the test set has no visible and infrared tracklets of person {person}; name another one.')
    if person is None and shared:
        person = sorted(shared)[generator.integers(len(shared))]
    sides = [[row for row in rows if person in (None, tracklets[row].pid)] for rows in sides]
    return [rows[generator.integers(len(rows))] for rows in sides if rows]


@styled()
def draw_prompt_attention(tracklets: Sequence[AttendedTracklet], note: str = '') -> Figure:
    """Draw the frames of tracklets with their shares, and below them the same frames under their attention maps.

    Tracklets have equally many frames. The colors of each go from the lowest to the highest weight in its frames.
    """
    count = len(tracklets[0].frames)
    height, width = tracklets[0].frames.shape[1:3]
    cell = 1.75 * width / height
    figure = Figure(figsize=(max(count * (cell + 0.12), 4.5), len(tracklets) * 4.2 + (0.3 if note else 0)))
    parts = np.atleast_1d(figure.subfigures(len(tracklets), 1))
    for part, tracklet in zip(parts, tracklets, strict=True):
        part.suptitle(tracklet.title, fontsize=12)
        axes = part.subplots(2, count, squeeze=False)
        settings = dict(cmap='inferno', alpha=0.6, vmin=tracklet.maps.min(), vmax=tracklet.maps.max())
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        for position, frame in enumerate(tracklet.frames):
            axes[0, position].set_title(f'{100 * tracklet.shares[position]:.1f} %', fontsize=10)
            show_image(axes[0, position], frame)
            show_image(axes[1, position], frame.mean(axis=2), cmap='gray', vmin=0, vmax=255)
            attention = tracklet.maps[position]
            axes[1, position].imshow(attention, interpolation='bilinear', extent=extent, **settings)
    add_note(figure, note)
    return figure
