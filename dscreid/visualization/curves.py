"""Logged values of a training run, read from the JSON lines that MMEngine writes to ``vis_data/scalars.json``."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_finite_number, is_number

#: Largest value that is drawn (float32 maximum); beyond 1e300, the float64 arithmetic of charts overflows.
LARGEST = float(np.finfo(np.float32).max)
#: Regular expression of the terms of the total ``loss``.
LOSS_TERM = r'loss_.*|.*\.[^.]*loss[^.]*'
#: Regular expression of the keys that change within an epoch.
_ITERATION_KEYS = f'{LOSS_TERM}|loss|lr|grad_norm|time|data_time|memory'


class Scalars(NamedTuple):
    """Logged values of one run."""

    #: Key → (x float64 (n,) ascending, y float64 (n,), NaN where NaN or an infinite value was logged). x is in
    #: iterations for losses and learning rates, otherwise in epochs.
    series: Mapping[str, tuple[np.ndarray, np.ndarray]]
    identities: int | None = None  #: true number of identities in the training split, if known


def read_scalars(*paths: str | Path, identities: int | None = None) -> Scalars:
    """Read a run's ``scalars.json`` files in the order of writing; the last value of a repeated step counts.

    Raises:
        CheckpointError: If a file is missing or a line is not a JSON object.
    """
    records = [record for path in paths for record in _read_lines(Path(path))]
    return make_scalars(records, identities=identities)


def make_scalars(records: Sequence[Mapping[str, Any]], identities: int | None = None) -> Scalars:
    """Sort logged records, one per step, into series. Text values are ignored.

    If ``identities`` is None, it is taken from ``labels/rgb_identities`` or ``labels/ir_identities`` if logged.
    """
    points: dict[str, dict[float, float]] = {}
    for record in records:
        for key, value in record.items():
            at = _position(key, record)
            if key not in ('step', 'iter', 'epoch') and at is not None and is_number(value):
                points.setdefault(key, {})[at] = float(value) if abs(value) <= LARGEST else math.nan
    series = {key: (np.array(sorted(y)), np.array([y[at] for at in sorted(y)])) for key, y in points.items()}
    if identities is None:
        logged = [points.get(f'labels/{modality}_identities', {}).values() for modality in ('rgb', 'ir')]
        identities = max((int(value) for values in logged for value in values if math.isfinite(value)), default=None)
    return Scalars(series, identities)


def _read_lines(path: Path) -> list[dict]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is not a text file'
        raise CheckpointError(f'{path} cannot be read ({reason}); name a scalars.json of a run.') from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line) if line.strip() else {}
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
