"""Log the estimated time and memory of labeling before it starts; raise an error if it cannot fit."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from dscreid.neighbors import NeighborSearch
from dscreid.pseudo_labels.forecast import forecast_round, problems_of, product_rate
from dscreid.pseudo_labels.memory_check import check_fits, forecast_text, memory_errors
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.gpu import free_gpu_memory
from dscreid.utils.machine import free_memory


@contextmanager
def labeling_within_memory(
    labeler: Callable,
    rgb: TrackletFeatures,
    ir: TrackletFeatures,
    search: NeighborSearch,
    logger: logging.Logger,
) -> Iterator[None]:
    """Context manager that checks memory for the labeling done inside it.

    If the labeler reports what it clusters, first logs a forecast, and a warning if memory may not suffice.

    Args:
        labeler: The labeler called inside the block.
        rgb: Features of the visible tracklets.
        ir: Features of the infrared tracklets.
        search: The neighbor search settings.
        logger: Receives the forecast and the warning.

    Raises:
        ResourceError: If the clustering cannot fit into memory, or memory runs out inside the block.
    """
    counts = {Modality.RGB: len(rgb), Modality.IR: len(ir)}
    problems = problems_of(labeler, counts, 2 * rgb.static.shape[1])
    free = free_memory(swap=True)
    if problems:
        device = rgb.static.device.type
        forecast = forecast_round(problems, search, product_rate(device), device, torch.get_num_threads())
        logger.info(f'clustering forecast: {forecast_text(forecast)}')
        if warning := check_fits(forecast, problems, free, free_gpu_memory() if device == 'cuda' else None):
            logger.warning(warning)
    with memory_errors(problems, free):
        yield
