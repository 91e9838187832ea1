"""Run each tracklet through the stem of its modality."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dscreid.structures import Modality


def run_stems(stems: nn.ModuleDict, inputs: Tensor, modalities: Sequence[str]) -> Tensor:
    """Run the frames of N tracklets, (N, T, 3, H, W), through the stem of each modality: (N * T, ...), in order."""
    outputs, rows = [], []
    for modality in Modality:
        members = [row for row, name in enumerate(modalities) if Modality(name) is modality]
        if members:
            own_rows = torch.tensor(members).to(inputs.device, non_blocking=True)
            found = stems[modality.value](inputs[own_rows].flatten(0, 1))
            outputs.append(found.unflatten(0, (len(members), -1)))
            rows += members
    order = torch.tensor(rows).argsort().to(inputs.device, non_blocking=True)
    return torch.cat(outputs)[order].flatten(0, 1)


def check_modalities(owner: str, inputs: Tensor, modalities: Sequence[str] | None) -> Sequence[str]:
    """Return the modalities; raise ValueError, beginning with ``owner``, unless there is one for each tracklet."""
    if not modalities or len(modalities) != len(inputs):
        found = f'{len(modalities or ())} for {len(inputs)} tracklets'
        raise ValueError(f'{owner} needs one modality per tracklet, got {found}')
    return modalities
