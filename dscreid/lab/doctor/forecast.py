"""Forecasts of memory, disk and time, extrapolated from measurements on this machine."""

from collections.abc import Mapping
from typing import Any

import torch

from dscreid.engine.hooks import ClusterHook
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.batches import StageMeasure
from dscreid.pseudo_labels.clustering.forecast import Forecast, forecast_round, product_rate, remedies
from dscreid.registry import HOOKS
from dscreid.structures import Modality
from dscreid.utils.machine import usable_cores
from dscreid.utils.quantities import duration_text, size_text

#: float32 weights and two Adam moments, in three checkpoints (two kept, one being written).
_CHECKPOINT_BYTES = 4 * 3 * 3


def forecast_pseudo_labels(counts: Mapping[Modality, int], dimension: int, cluster_hook: Mapping[str, Any]) -> Forecast:
    """Forecast the labeling of both modalities by the slowest labeler of a config, like ClusterHook before a round.

    ``dimension`` is that of the clustered features (static and dynamic together). The result does not count the memory
    of the features; it is zero if no labeler can tell what it clusters.
    """
    hook: ClusterHook = HOOKS.build({key: v for key, v in cluster_hook.items() if key != 'priority'})
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    rate, threads = product_rate(device), torch.get_num_threads()
    rounds = [labeler.problems(counts, dimension) for labeler in hook.labelers]
    forecasts = [forecast_round(p, hook.neighbor_search, rate, device, threads) for p in rounds if p]
    return max(forecasts, key=lambda forecast: forecast.seconds, default=Forecast())


def check_memory(
    labeling: Forecast, measure: StageMeasure, subject: str, free: int | None, free_on_gpu: int | None
) -> Finding:
    """Compare the forecast of a labeling with the free bytes of main memory and of the GPU, None if unknown.

    A warning if it may exceed them, and broken if it certainly does.
    """
    rows = ' + '.join(f'{count:,}' for count in measure.counts.values())
    on_gpu = f' and {size_text(labeling.device_bytes)} on the GPU' if labeling.device_bytes else ''
    message = f'pseudo labels of {rows} x {2 * measure.embed_dim}: {size_text(labeling.host_bytes)}{on_gpu}'
    severity, remedy = Severity.OK, ''
    for kind, least, expected, available in (
        ('main memory', labeling.least_host_bytes, labeling.host_bytes, free),
        ('GPU memory', labeling.least_device_bytes, labeling.device_bytes, free_on_gpu),
    ):
        if available is not None and expected > available:
            message += f'; but {size_text(available)} of {kind} are free'
            severity = max(severity, Severity.BROKEN if least > available else Severity.WARNING)
            remedy = remedies(kind)
    return Finding('memory forecast', subject, severity, message, remedy)


def check_time(labeling: Forecast, measure: StageMeasure, test_tracklets: int, subject: str) -> Finding:
    """Forecast the time of a stage from its measured batches, and that of extracting its test tracklets."""
    processes = max(min(measure.workers, usable_cores()), 1)
    extraction = training = 0.0
    if batch := measure.extraction:
        extraction = max(batch.load_seconds / processes, batch.step_seconds) / batch.tracklets
    if step := measure.train:
        loading, computing = step.load_seconds / processes, step.step_seconds
        # workers load while the device computes, so only the slower of the two counts
        training = measure.iterations * (max(loading, computing) if measure.workers else loading + computing)
    epoch = dict(extraction=extraction * sum(measure.counts.values()), labelling=labeling.seconds, training=training)
    test = extraction * test_tracklets
    message = f'one evaluation {duration_text(test)}'
    if measure.epochs:
        parts = ', '.join(f'{name} {duration_text(seconds)}' for name, seconds in epoch.items() if seconds)
        total = duration_text(measure.epochs * sum(epoch.values()) + test)
        message = f'{total} for {measure.epochs} epochs and one evaluation: an epoch takes {parts}; {message}'
    return Finding('time forecast', subject, Severity.INFO, message)


def check_disk(parameters: int, subject: str, free: int) -> Finding:
    """Compare the disk space of checkpoints with the free bytes. A warning if they exceed them."""
    needed = parameters * _CHECKPOINT_BYTES
    message = f'checkpoints take up to {size_text(needed)} ({parameters / 1e6:.1f} M parameters, Adam, three files)'
    if needed <= free:
        return Finding('disk forecast', subject, Severity.OK, message)
    message += f', but {size_text(free)} are free'
    return Finding('disk forecast', subject, Severity.WARNING, message, 'choose a --work-dir on another disk')
