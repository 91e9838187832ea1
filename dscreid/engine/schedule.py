"""Choose by epoch what a config schedules."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from dscreid.errors import ConfigError

Value = TypeVar('Value')


def begins_anew(runner) -> bool:
    """Return whether a run starts from scratch, not after a skipped first epoch."""
    return runner.iter == 0 and runner.epoch == 0


def check_stages(begins: Sequence[int]) -> None:
    """Raise a ConfigError unless stages begin at epoch 0 and in strictly increasing order."""
    if not begins or begins[0] != 0 or any(later <= earlier for earlier, later in pairwise(begins)):
        raise ConfigError(f'stages must begin at epoch 0 and then rise, got begin_epoch={list(begins)}')


def turn_at(epoch: int, begins: Sequence[int], cycles: Sequence[Sequence[Value]]) -> Value:
    """Return the value for a zero-based epoch: the last stage that has begun cycles through its values."""
    begin, cycle = [stage for stage in zip(begins, cycles, strict=True) if stage[0] <= epoch][-1]
    return cycle[(epoch - begin) % len(cycle)]
