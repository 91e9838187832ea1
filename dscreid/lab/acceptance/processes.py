"""Step 8: a run through NCCL with one process, and with one process for each device, compared with each other."""

from collections.abc import Iterator
from typing import Any

import torch

from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.runs import run_tiny, tensor_differences
from dscreid.utils.checkpoint import load_checkpoint

#: Largest difference of a weight between runs of one and of several processes.
TOLERANCE = 1e-4
#: Adam divides a gradient by its size, and so would follow the rounding errors of gradients that are 0.
_PLAIN = {
    'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=5e-3, momentum=0.9),
    'train_cfg.max_epochs': 1,
}


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield that each run ended, and the weights that differ by more than ``TOLERANCE``."""
    folder = settings.fresh_folder('processes')
    run_tiny(settings, folder / '1', ranks=1, options=_PLAIN)
    yield {'1': 'finished'}
    devices = 2 if settings.pretend else torch.cuda.device_count()
    if devices == 1:
        yield {'several': 'not run: there is one device'}
        return
    run_tiny(settings, folder / str(devices), ranks=devices, options=_PLAIN)
    one, several = (load_checkpoint(folder / str(n) / 'epoch_1.pth')['state_dict'] for n in (1, devices))
    different = tensor_differences(one, several, _far)
    yield {str(devices): 'finished', 'different': different, 'problems': ['weights differ'] if different else []}


def _far(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one.double() - other.double()).abs().max() > TOLERANCE)
