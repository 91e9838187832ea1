"""Step 6: evaluation at the size of HITSZ-VCM and of 100,000 queries, and whether the figures are the processor's."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dscreid.evaluation import rank_metrics
from dscreid.lab.acceptance import timing
from dscreid.lab.acceptance.plan import Settings

#: Largest difference of a figure between the devices: near ties may change places.
TOLERANCE = 1e-4
_PER_PERSON, _CAMERAS, _NOISE = 10, 6, 4.0


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield seconds, memory and figures for each number of queries and gallery tracklets."""
    sizes, dimension = ((200, 400), 32) if settings.pretend else ((5_400, 100_000), 1536)
    for size in sizes:
        sides = _world(size, dimension, settings.device)
        seconds, found = _timed(sides, settings.device)
        figures: dict[str, Any] = {'seconds': seconds, 'mAP': found['mAP']}
        yield {f'{size:,} x {size:,}': figures}
        if size == sizes[0]:
            figures |= {'gpu_gb': timing.peak_gb(partial(_rank, sides), settings.device)}
            expected = _rank([side.cpu() for side in sides])
            figures |= {'largest_difference': max(abs(value - expected[name]) for name, value in found.items())}
            wrong = figures['largest_difference'] > TOLERANCE
            yield {f'{size:,} x {size:,}': figures, 'problems': ["the figures are not the processor's"] * wrong}


def _timed(sides: list[Tensor], device: str) -> tuple[float, dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seconds = timing.seconds_of_one(lambda: found.append(_rank(sides)), device)
    return seconds, found[0]


def _rank(sides: list[Tensor]) -> dict[str, Any]:
    return rank_metrics(*sides, drop_same_camera=True)


def _world(size: int, dimension: int, device: str) -> list[Tensor]:
    """Make features, person ids and cameras of queries, then of the gallery, with ten tracklets of each person."""
    generator = torch.Generator(device).manual_seed(0)
    rows = torch.arange(size, device=device)
    persons, cameras = rows // _PER_PERSON, rows % _CAMERAS
    centers = torch.randn(size // _PER_PERSON + 1, dimension, generator=generator, device=device)
    sides = []
    for _ in range(2):
        noise = torch.randn(size, dimension, generator=generator, device=device)
        sides += [centers[persons] + _NOISE * noise, persons, cameras]
    return sides
