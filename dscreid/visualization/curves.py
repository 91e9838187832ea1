"""Logged values of a training run, read from the JSON lines that MMEngine writes to ``vis_data/scalars.json``."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_finite_number, is_number

#: Largest value that is drawn (float32 maximum); beyond 1e300, the float64 arithmetic of charts overflows.
LARGEST = float(np.finfo(np.float32).max)
IDENTITY_KEYS = ('labels/rgb_identities', 'labels/ir_identities')
#: Regular expression of the terms of the total ``loss``.
LOSS_TERM = r'loss_.*|.*\.[^.]*loss[^.]*'
#: Regular expression of the keys that change within an epoch.
_ITERATION_KEYS = f'{LOSS_TERM}|loss|lr|grad_norm|time|data_time|memory'


@dataclass(frozen=True)
class Scalars:
    """Logged values of one run.

    Attributes:
        series: key → (x float64 (n,) ascending, y float64 (n,) finite). x is in iterations for losses and learning
            rates, otherwise in epochs.
        identities: True number of identities in the training split; None if unknown.
        gaps: key → float64 (m,), ascending positions at which NaN or an infinite value was logged.
    """

    series: Mapping[str, tuple[np.ndarray, np.ndarray]]
    identities: int | None = None
    gaps: Mapping[str, np.ndarray] = field(default_factory=dict)

    def with_gaps(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of a series with NaN at its gaps; both are empty if the key was not logged."""
        x, y = self.series.get(key, (np.zeros(0), np.zeros(0)))
        gaps = self.gaps.get(key, np.zeros(0))
        order = np.argsort(np.concatenate([x, gaps]), kind='stable')
        return np.concatenate([x, gaps])[order], np.concatenate([y, np.full(len(gaps), np.nan)])[order]


def read_scalars(*paths: str | Path, identities: int | None = None) -> Scalars:
    """Read a run's ``scalars.json`` files in the order of writing; the last value of a repeated step counts.

    Raises:
        CheckpointError: If a file is missing or a line is not a JSON object.
    """
    records = [record for path in paths for record in _read_lines(Path(path))]
    return make_scalars(records, identities=identities)


def make_scalars(records: Sequence[Mapping[str, Any]], identities: int | None = None) -> Scalars:
    """Sort logged records, one per step, into series. Text values are ignored; NaN and infinite values become gaps.

    If ``identities`` is None, it is taken from ``labels/rgb_identities`` or ``labels/ir_identities`` if logged.
    """
    points: dict[str, dict[float, float]] = {}
    for record in records:
        for key, value in record.items():
            at = _position(key, record)
            if key not in ('step', 'iter', 'epoch') and at is not None and is_number(value):
                points.setdefault(key, {})[at] = float(value)
    series, gaps = {}, {}
    for key, values in points.items():
        x = np.array(sorted(values))
        y = np.array([values[at] for at in x])
        finite = np.abs(y) <= LARGEST
        if finite.any():
            series[key] = x[finite], y[finite]
        if not finite.all():
            gaps[key] = x[~finite]
    logged = [series[key][1].max() for key in IDENTITY_KEYS if key in series]
    if identities is None and logged:
        identities = int(max(logged))
    return Scalars(series, identities, gaps)


def _read_lines(path: Path) -> list[dict]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is not a text file'
        raise CheckpointError(f'{path} cannot be read ({reason}); name a scalars.json of a run.') from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise CheckpointError(
                f'{path}:{number} is not a JSON object; name a complete scalars.json that training wrote.'
            )
        records.append(record)
    return records


def _position(key: str, record: Mapping[str, Any]) -> float | None:
    """Return the x position of a value: iterations for losses and rates, otherwise epochs if they are known."""
    within_epoch = re.fullmatch(_ITERATION_KEYS, key, re.DOTALL)
    order = ('iter', 'step', 'epoch') if within_epoch else ('epoch', 'step', 'iter')
    places = (float(record[name]) for name in order if is_finite_number(record.get(name)))
    return next((place for place in places if abs(place) <= LARGEST), None)
