"""Encoders with one module per modality, such as the stems of a two-stream network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dscreid.structures import Modality


def check_modalities(encoder: nn.Module, inputs: Tensor, modalities: Sequence[str] | None) -> Sequence[str]:
    """Return the modalities; raise ValueError unless there is one for each tracklet of ``inputs``."""
    if not modalities or len(modalities) != len(inputs):
        found = f'{len(modalities or ())} for {len(inputs)} tracklets'
        raise ValueError(f'{type(encoder).__name__} needs one modality per tracklet, got {found}')
    return modalities


def run_by_modality(
    modules: nn.ModuleDict,
    inputs: Tensor,
    modalities: Sequence[str],
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Run each tracklet's frames through the module of its modality: (N, T, 3, H, W) to (N * T, ...).

    ``modules`` are keyed by ``'rgb'`` and ``'ir'`` and get frames of the given memory format; ``modalities`` has one
    entry per tracklet.
    """
    outputs, rows = [], []
    for modality in Modality:
        members = [row for row, name in enumerate(modalities) if Modality(name) is modality]
        if members:
            own_rows = torch.tensor(members).to(inputs.device, non_blocking=True)
            frames = inputs[own_rows].flatten(0, 1).to(memory_format=memory_format)
            output = modules[modality.value](frames)
            outputs.append(output.unflatten(0, (len(members), -1)))
            rows += members
    order = torch.tensor(rows).argsort().to(inputs.device, non_blocking=True)
    return torch.cat(outputs)[order].flatten(0, 1)
