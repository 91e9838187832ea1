"""Checks of the settings that losses share, and when a loss is active."""

from math import isfinite
from operator import index

from torch import nn

from dscreid.errors import ConfigError


def check_weight(loss: nn.Module, weight: float) -> None:
    """Raise a ConfigError unless a loss's weight is a finite number of at least 0."""
    if not (isfinite(weight) and weight >= 0):
        raise ConfigError(f'{type(loss).__name__}: weight must be a finite number of at least 0, got {weight}')


def check_epochs(loss: nn.Module, begin: int, end: int | None) -> None:
    """Raise a ConfigError unless ``0 <= begin <= end``, or ``end`` is None."""
    if index(begin) < 0 or (end is not None and index(end) < begin):
        raise ConfigError(f'{type(loss).__name__}: needs 0 <= begin <= end, got {begin} and {end}')


def is_active(begin: int, end: int | None, epoch: int) -> bool:
    """Check whether an epoch lies in [begin, end)."""
    return begin <= epoch and (end is None or epoch < end)
