"""How much memory, disk and time a config will take, extrapolated from what was measured here."""

import time
from dataclasses import dataclass

import numpy as np

from dscreid.apis.doctor.batches import StageMeasure
from dscreid.datasets.doctor import Finding, Severity
from dscreid.evaluation import rank_metrics
from dscreid.pseudo_labels import dbscan, jaccard_distance
from dscreid.utils.chunks import CHUNK_ELEMENTS
from dscreid.utils.machine import usable_cores

#: Rows of the measured sample, and its made-up people: this many tracklets each.
_SAMPLE, _PER_PERSON = 2000, 12
_FLOAT, _INDEX = 4, 4
_SETTINGS = dict(k1=30, k2=6)
#: float32 weights and two moments of Adam, in each of three checkpoints (two kept, one being written).
_CHECKPOINT_COPIES = 3 * 3


@dataclass(frozen=True)
class PseudoLabelForecast:
    """Labelling of both modalities, once.

    Attributes:
        seconds: k-reciprocal Jaccard distance and DBSCAN.
        num_bytes: Memory at its peak.
    """

    seconds: float
    num_bytes: int


def forecast_pseudo_labels(counts: list[int], dimension: int, sample: int = _SAMPLE) -> PseudoLabelForecast:
    """Forecast the pseudo-label stage.

    Both modalities' features lie in memory, one modality is labelled at a time. The time is that of a sample of made-up
    clustered features, scaled by (N / sample)², the growth of the neighbour search, which is too much for small N.
    Memory: features and their normalised copy, a block of similarities, ``k1`` neighbours, and stored pairs, whose
    number per row is taken from the sample.

    Args:
        counts: Tracklets of each modality.
        dimension: Width of the features that are clustered (static and dynamic together).
        sample: Rows to measure on.

    Returns:
        Time for all modalities, memory of the largest beside all features.
    """
    if not sum(counts):
        return PseudoLabelForecast(0.0, 0)
    rows = min(sample, max(counts))
    features = _clustered(rows, dimension)
    jaccard_distance(features[: min(rows, 100)], **_SETTINGS)  # compiles
    start = time.perf_counter()
    distance = jaccard_distance(features, **_SETTINGS)
    dbscan(distance)
    seconds = time.perf_counter() - start
    pairs = distance.nnz / rows
    largest = max(counts)
    num_bytes = (
        2 * sum(counts) * dimension * _FLOAT
        + min(CHUNK_ELEMENTS, largest**2) * (_FLOAT + 2 * _INDEX)
        + largest * _SETTINGS['k1'] * (_FLOAT + _INDEX)
        + int(3 * pairs * largest * (_FLOAT + _INDEX))
    )
    return PseudoLabelForecast(sum(seconds * (n / rows) ** 2 for n in counts), num_bytes)


def forecast_evaluation(tracklets: int, dimension: int, sample: int = _SAMPLE) -> PseudoLabelForecast:
    """Forecast one evaluation of a test split, half of it queries, in both directions.

    Args:
        tracklets: Tracklets of the test split.
        dimension: Width of the retrieval features.
        sample: Rows to measure on.

    Returns:
        Time, scaled by (N / sample)², and memory: features and the blocks of a ranked row range.
    """
    rows = max(min(sample, tracklets), 4)
    features = _clustered(rows, dimension)
    people = np.arange(rows) // _PER_PERSON
    order = np.random.default_rng(1).permutation(rows)
    query, gallery = order[: rows // 2], order[rows // 2 :]
    people[query[0]] = people[gallery[0]]  # at least one true match
    cameras = np.zeros(rows, dtype=np.int64)
    start = time.perf_counter()
    rank_metrics(
        features[query], people[query], cameras[query], features[gallery], people[gallery], cameras[gallery]
    )
    seconds = 2 * (time.perf_counter() - start) * (tracklets / rows) ** 2
    block = min(CHUNK_ELEMENTS, tracklets**2 // 4)
    # the similarities, and on a GPU those of each match's query again, with three comparisons
    num_bytes = 2 * tracklets * dimension * _FLOAT + block * (2 * _FLOAT + 3)
    return PseudoLabelForecast(seconds, num_bytes)


def check_forecast(
    measure: StageMeasure,
    test_tracklets: int,
    subject: str,
    free_memory: int | None,
    free_disk: int,
) -> list[Finding]:
    """Findings about what a stage will take.

    Args:
        measure: What its dry batches told.
        test_tracklets: Tracklets of its test split.
        subject: What the findings are about.
        free_memory: Bytes; None where unknown.
        free_disk: Bytes.

    Returns:
        Time of the stage; memory of labelling and evaluation, a warning where it exceeds what is free; disk for
        checkpoints, likewise.
    """
    dimension = 2 * measure.embed_dim
    labelling = forecast_pseudo_labels(list(measure.counts.values()), dimension)
    evaluation = forecast_evaluation(test_tracklets, dimension)
    findings = [_memory_finding(labelling, evaluation, measure, test_tracklets, subject, free_memory)]
    findings.append(_time_finding(labelling, evaluation, measure, test_tracklets, subject))
    if measure.epochs:
        findings.append(_disk_finding(measure.parameters, subject, free_disk))
    return findings


def _memory_finding(
    labelling: PseudoLabelForecast,
    evaluation: PseudoLabelForecast,
    measure: StageMeasure,
    test_tracklets: int,
    subject: str,
    free_memory: int | None,
) -> Finding:
    parts = []
    if measure.counts:
        n = ' + '.join(f'{count:,}' for count in measure.counts.values())
        parts.append(f'pseudo labels of {n} x {2 * measure.embed_dim}: {_size(labelling.num_bytes)}')
    parts.append(f'evaluation of {test_tracklets:,} tracklets: {_size(evaluation.num_bytes)}')
    needed = max(labelling.num_bytes, evaluation.num_bytes)
    values = dict(labelling_bytes=labelling.num_bytes, evaluation_bytes=evaluation.num_bytes)
    short = free_memory is not None and needed > free_memory
    return Finding(
        'memory forecast',
        subject,
        Severity.WARNING if short else Severity.OK,
        '; '.join(parts) + (f', but {_size(free_memory)} are free' if short else ''),
        'use a machine with more memory' if short else '',
        values=values,
    )


def _time_finding(
    labelling: PseudoLabelForecast,
    evaluation: PseudoLabelForecast,
    measure: StageMeasure,
    test_tracklets: int,
    subject: str,
) -> Finding:
    extraction = _seconds_per_tracklet(measure)
    epoch = dict(
        extraction=extraction * sum(measure.counts.values()),
        labelling=labelling.seconds,
        training=0.0,
    )
    if measure.train is not None:
        # workers load while the device computes: the slower of the two counts
        loading = measure.train.load_seconds / max(min(measure.workers, usable_cores()), 1)
        overlapped = max(loading, measure.train.step_seconds)
        together = loading + measure.train.step_seconds
        epoch['training'] = measure.iterations * (overlapped if measure.workers else together)
    test = extraction * test_tracklets + evaluation.seconds
    total = measure.epochs * sum(epoch.values()) + test
    message = f'one evaluation {_duration(test)}'
    if measure.epochs:
        parts = ', '.join(f'{name} {_duration(seconds)}' for name, seconds in epoch.items() if seconds)
        whole = f'{_duration(total)} for {measure.epochs} epochs and one evaluation'
        message = f'{whole}: an epoch takes {parts}; {message}'
    values = dict(epoch_seconds=epoch, evaluation_seconds=test, total_seconds=total)
    return Finding('time forecast', subject, Severity.INFO, message, values=values)


def _seconds_per_tracklet(measure: StageMeasure) -> float:
    if measure.extraction is None:
        return 0.0
    loading = measure.extraction.load_seconds / max(min(measure.workers, usable_cores()), 1)
    return max(loading, measure.extraction.step_seconds) / measure.extraction.tracklets


def _disk_finding(parameters: int, subject: str, free_disk: int) -> Finding:
    needed = parameters * _FLOAT * _CHECKPOINT_COPIES
    short = needed > free_disk
    message = (
        f'checkpoints take up to {_size(needed)} ({parameters / 1e6:.1f} M parameters, Adam, three files)'
    )
    if short:
        message += f', but {_size(free_disk)} are free'
    return Finding(
        'disk forecast',
        subject,
        Severity.WARNING if short else Severity.OK,
        message,
        'choose a --work-dir on another disk' if short else '',
        values=dict(checkpoint_bytes=needed),
    )


def _clustered(rows: int, dimension: int) -> np.ndarray:
    """float32 (rows, dimension): people far apart, their tracklets around them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((-(-rows // _PER_PERSON), dimension), dtype=np.float32)
    noise = rng.standard_normal((rows, dimension), dtype=np.float32)
    return centres[np.arange(rows) // _PER_PERSON] + 0.7 * noise


def _size(num_bytes: int) -> str:
    for unit, factor in (('GiB', 2**30), ('MiB', 2**20)):
        if num_bytes >= factor:
            return f'{num_bytes / factor:.1f} {unit}'
    return f'{num_bytes / 1024:.0f} KiB'


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f'{seconds / 3600:.1f} h'
    return f'{seconds / 60:.1f} min' if seconds >= 60 else f'{seconds:.1f} s'
