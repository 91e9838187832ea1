"""Step 1: what is installed, which device there is, and what runs on the processor because a package is missing."""

import importlib.util
from collections.abc import Iterator
from typing import Any

import torch

from dscreid.datasets.decoding import choose_decoder
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.doctor.machine import check_machine, collect_versions
from dscreid.utils.machine import free_memory, usable_cores


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield versions, devices and what falls back."""
    found, missing = collect_versions()
    yield {'torch': torch.__version__, 'packages': found, 'missing': missing}
    yield {'findings': [f'{one.check}: {one.message}' for one in check_machine(settings.out)]}
    yield {'device': 'processor', 'cores': usable_cores(), 'free_memory_gb': (free_memory() or 0) / 1e9}
    yield {'fallbacks': _fallbacks()}
    if not settings.pretend:
        yield _gpu()


def _gpu() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    free, total = torch.cuda.mem_get_info()
    return {
        'device': properties.name,
        'devices': torch.cuda.device_count(),
        'compute_capability': f'{properties.major}.{properties.minor}',
        'multiprocessors': properties.multi_processor_count,
        'free_gpu_memory_gb': free / 1e9,
        'gpu_memory_gb': total / 1e9,
        'cuda': torch.version.cuda,
        'cudnn': torch.backends.cudnn.version(),
        'nccl': '.'.join(map(str, torch.cuda.nccl.version())),
        'bfloat16': torch.cuda.is_bf16_supported(),
    }


def _fallbacks() -> dict[str, str]:
    """Say what is used for each part that a faster package could do, and why."""
    faiss = importlib.util.find_spec('faiss') is not None
    return {
        'exact neighbor search': 'torch, in blocks that fit into the free memory of the device',
        'approximate neighbor search': 'faiss on the processor' if faiss else 'none: faiss is not installed',
        'Jaccard distance and DBSCAN': 'compiled loops on all cores of the processor',
        'JPEG decoding': f'{choose_decoder("auto")[0]} on the processor',
    }
