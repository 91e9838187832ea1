"""GPU memory."""

import torch


def free_gpu_memory() -> int | None:
    """Return the bytes that torch can still allocate on the current GPU, with cached blocks; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
