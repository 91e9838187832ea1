"""Forecasts of memory, disk and time, extrapolated from measurements on this machine."""

from collections.abc import Mapping
from typing import Any

import torch

from dscreid.engine.hooks import ClusterHook
from dscreid.errors import ResourceError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.batches import StageMeasure
from dscreid.pseudo_labels.clustering.forecast import check_fits, forecast_round
from dscreid.registry import HOOKS
from dscreid.utils.machine import free_gpu_memory, free_memory, usable_cores
from dscreid.utils.quantities import duration_text, size_text

#: float32 weights and two Adam moments, in three checkpoints (two kept, one being written).
_CHECKPOINT_BYTES = 4 * 3 * 3


def check_memory(measure: StageMeasure, cluster_hook: Mapping[str, Any], subject: str) -> Finding | None:
    """Compare a forecast of the largest labeling of a config, like ClusterHook before a round, with the free memory.

    A warning if the forecast may exceed it, and broken if it certainly does. None if no labeler knows what it clusters.
    """
    hook: ClusterHook = HOOKS.build({key: v for key, v in cluster_hook.items() if key != 'priority'})
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    rounds = [labeler.problems(measure.counts, 2 * measure.embed_dim) for labeler in hook.labelers]
    forecasts = [(forecast_round(problems, hook.neighbor_search, device), problems) for problems in rounds if problems]
    if not forecasts:
        return None
    forecast, problems = max(forecasts, key=lambda pair: pair[0])
    rows = ' + '.join(f'{count:,}' for count in measure.counts.values())
    message = f'pseudo labels of {rows} x {2 * measure.embed_dim}: {forecast}'
    try:
        warning = check_fits(forecast, problems, free_memory(swap=True), free_gpu_memory())
    except ResourceError as error:
        return Finding('memory forecast', subject, Severity.BROKEN, str(error))
    severity = Severity.WARNING if warning else Severity.OK
    return Finding('memory forecast', subject, severity, warning or message)


def check_time(measure: StageMeasure, test_tracklets: int, subject: str) -> Finding:
    """Forecast the time of a stage from its measured batches, without clustering, and that of an evaluation."""
    processes = max(min(measure.workers, usable_cores()), 1)
    extraction = training = 0.0
    if batch := measure.extraction:
        extraction = max(batch.load_seconds / processes, batch.step_seconds) / batch.tracklets
    if step := measure.train:
        loading, computing = step.load_seconds / processes, step.step_seconds
        # workers load while the device computes, so only the slower of the two counts
        training = measure.iterations * (max(loading, computing) if measure.workers else loading + computing)
    epoch = dict(extraction=extraction * sum(measure.counts.values()), training=training)
    test = extraction * test_tracklets
    message = f'one evaluation {duration_text(test)}'
    if measure.epochs:
        parts = ', '.join(f'{name} {duration_text(seconds)}' for name, seconds in epoch.items() if seconds)
        total = duration_text(measure.epochs * sum(epoch.values()) + test)
        message = f'{total} for {measure.epochs} epochs and one evaluation: an epoch takes {parts}; {message}'
    return Finding('time forecast', subject, Severity.INFO, message)


def check_disk(parameters: int, subject: str, free: int) -> Finding:
    """Compare the disk space of checkpoints with the free bytes; a warning if there are too few."""
    needed = parameters * _CHECKPOINT_BYTES
    message = f'checkpoints take up to {size_text(needed)} ({parameters / 1e6:.1f} M parameters, Adam, three files)'
    if needed <= free:
        return Finding('disk forecast', subject, Severity.OK, message)
    message += f', but {size_text(free)} are free'
    return Finding('disk forecast', subject, Severity.WARNING, message, 'choose a --work-dir on another disk')
