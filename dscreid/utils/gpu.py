"""What the GPU has to offer."""

import torch


def free_gpu_memory() -> int | None:
    """Bytes of the current GPU's memory that torch can still take, its own unused blocks included; None without one."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
