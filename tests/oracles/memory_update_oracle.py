"""Updates of memories that pick rows by masks and lists, as first written; they wait for a GPU in each turn."""

import torch
import torch.nn.functional as F


@torch.no_grad()
def update_in_turns(memory, values, rows, momentum, normalize=True):
    """Equation (2), in place: the first meetings of all rows, then the second ones, and so on."""
    dtype = torch.promote_types(memory.dtype, torch.float32)
    known = rows >= 0
    values, rows = values[known].to(dtype), rows[known]
    earlier = (rows[:, None] == rows[None, :]).tril(-1).sum(dim=1)
    for turn in range(int(earlier.max()) + 1 if len(rows) else 0):
        now = earlier == turn
        updated = momentum * memory[rows[now]].to(dtype) + (1 - momentum) * values[now]
        memory[rows[now]] = (F.normalize(updated, dim=1) if normalize else updated).to(memory.dtype)


@torch.no_grad()
def least_similar(memory, values, rows):
    """``rows`` with -1 for all but the value least similar to its row, the first of equals."""
    similarity = (memory[rows.clamp(min=0)].to(values.dtype) * values).sum(dim=1)
    kept = torch.full_like(rows, -1)
    for row in rows[rows >= 0].unique():
        candidates = (rows == row).nonzero()[:, 0]
        kept[candidates[similarity[candidates].argmin()]] = row
    return kept
