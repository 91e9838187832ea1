"""Forecasts of memory, disk and time, extrapolated from measurements on this machine."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from dscreid.engine.hooks import ClusterHook
from dscreid.evaluation import rank_metrics
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.batches import StageMeasure
from dscreid.pseudo_labels.clustering.forecast import Forecast, forecast_round, product_rate, remedies
from dscreid.registry import HOOKS
from dscreid.structures import Modality
from dscreid.utils.chunks import CHUNK_ELEMENTS
from dscreid.utils.machine import usable_cores
from dscreid.utils.quantities import duration_text, size_text

#: Rows of the measured sample, and tracklets of each artificial person in it.
_SAMPLE, _PER_PERSON = 2000, 12
_FLOAT = 4
#: float32 weights and two Adam moments, in three checkpoints (two kept, one being written).
_CHECKPOINT_COPIES = 3 * 3


class FreeResources(NamedTuple):
    """Free bytes of main memory (None if unknown), GPU memory (None without a GPU), and the work directory's disk."""

    memory: int | None
    gpu_memory: int | None
    disk: int


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


def forecast_evaluation(tracklets: int, dimension: int) -> Forecast:
    """Forecast one evaluation of a test split in both directions. Half of the tracklets are queries.

    Time is scaled quadratically from at most 2,000 tracklets. Memory is that of the features and of a block of rows.
    """
    rows = max(min(_SAMPLE, tracklets), 4)
    people = np.arange(rows) // _PER_PERSON
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((people[-1] + 1, dimension), dtype=np.float32)
    features = centers[people] + 0.7 * rng.standard_normal((rows, dimension), dtype=np.float32)
    order = rng.permutation(rows)
    query, gallery = order[: rows // 2], order[rows // 2 :]
    people[query[0]] = people[gallery[0]]  # at least one true match
    cameras = np.zeros(rows, dtype=np.int64)
    start = time.perf_counter()
    rank_metrics(features[query], people[query], cameras[query], features[gallery], people[gallery], cameras[gallery])
    seconds = 2 * (time.perf_counter() - start) * (tracklets / rows) ** 2
    block = min(CHUNK_ELEMENTS, tracklets**2 // 4)
    # the similarities, and on a GPU also those of each match's query, with three comparisons
    return Forecast(seconds, 2 * tracklets * dimension * _FLOAT + block * (2 * _FLOAT + 3))


def check_forecast(
    measure: StageMeasure,
    test_tracklets: int,
    subject: str,
    free: FreeResources,
    cluster_hook: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Forecast memory, time and disk space of a stage that has ``cluster_hook`` as its ``ClusterHook``.

    The memory finding is a warning if the forecast of labeling or evaluation may exceed free memory, and broken if the
    labeling certainly does. The disk finding is a warning if checkpoints exceed the free space.
    """
    dimension = 2 * measure.embed_dim
    labeling = Forecast()
    if cluster_hook is not None and measure.counts:
        labeling = forecast_pseudo_labels(measure.counts, dimension, cluster_hook)
    evaluation = forecast_evaluation(test_tracklets, dimension)
    sizes = f'evaluation of {test_tracklets:,} tracklets: {size_text(evaluation.host_bytes)}'
    if measure.counts:
        rows = ' + '.join(f'{count:,}' for count in measure.counts.values())
        on_gpu = f' and {size_text(labeling.device_bytes)} on the GPU' if labeling.device_bytes else ''
        sizes = f'pseudo labels of {rows} x {dimension}: {size_text(labeling.host_bytes)}{on_gpu}; {sizes}'
    return [
        _memory_finding(labeling, evaluation, sizes, subject, free),
        _time_finding(labeling, evaluation, measure, test_tracklets, subject),
        *([_disk_finding(measure.parameters, subject, free.disk)] if measure.epochs else []),
    ]


def _memory_finding(labeling: Forecast, evaluation: Forecast, sizes: str, subject: str, free: FreeResources) -> Finding:
    message, severity, remedy = sizes, Severity.OK, ''
    on_host = max(labeling.host_bytes, evaluation.host_bytes)
    for kind, least, expected, available in (
        ('main memory', labeling.least_host_bytes, on_host, free.memory),
        ('GPU memory', labeling.least_device_bytes, labeling.device_bytes, free.gpu_memory),
    ):
        if available is not None and expected > available:
            message += f'; but {size_text(available)} of {kind} are free'
            severity = max(severity, Severity.BROKEN if least > available else Severity.WARNING)
            remedy = remedies(kind)
    values = dict(
        labelling_bytes=labeling.host_bytes,
        labelling_gpu_bytes=labeling.device_bytes,
        evaluation_bytes=evaluation.host_bytes,
    )
    return Finding('memory forecast', subject, severity, message, remedy, values=values)


def _time_finding(
    labeling: Forecast, evaluation: Forecast, measure: StageMeasure, test_tracklets: int, subject: str
) -> Finding:
    processes = max(min(measure.workers, usable_cores()), 1)
    extraction = training = 0.0
    if batch := measure.extraction:
        extraction = max(batch.load_seconds / processes, batch.step_seconds) / batch.tracklets
    if step := measure.train:
        loading, computing = step.load_seconds / processes, step.step_seconds
        # workers load while the device computes, so only the slower of the two counts
        training = measure.iterations * (max(loading, computing) if measure.workers else loading + computing)
    epoch = dict(extraction=extraction * sum(measure.counts.values()), labelling=labeling.seconds, training=training)
    test = extraction * test_tracklets + evaluation.seconds
    total = measure.epochs * sum(epoch.values()) + test
    message = f'one evaluation {duration_text(test)}'
    if measure.epochs:
        parts = ', '.join(f'{name} {duration_text(seconds)}' for name, seconds in epoch.items() if seconds)
        whole = f'{duration_text(total)} for {measure.epochs} epochs and one evaluation'
        message = f'{whole}: an epoch takes {parts}; {message}'
    values = dict(epoch_seconds=epoch, evaluation_seconds=test, total_seconds=total)
    return Finding('time forecast', subject, Severity.INFO, message, values=values)


def _disk_finding(parameters: int, subject: str, free_disk: int) -> Finding:
    needed = parameters * _FLOAT * _CHECKPOINT_COPIES
    severity, remedy = Severity.OK, ''
    message = f'checkpoints take up to {size_text(needed)} ({parameters / 1e6:.1f} M parameters, Adam, three files)'
    if needed > free_disk:
        message += f', but {size_text(free_disk)} are free'
        severity, remedy = Severity.WARNING, 'choose a --work-dir on another disk'
    return Finding('disk forecast', subject, severity, message, remedy, values=dict(checkpoint_bytes=needed))
