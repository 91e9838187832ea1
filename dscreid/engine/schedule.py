"""Pure helpers that choose a value by epoch, for the scheduled parts of a config."""

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


def stage_at(epoch: int, begins: Sequence[int], values: Sequence[Value]) -> Value:
    """Return the value of the last stage that has begun by the given zero-based epoch."""
    return [value for begin, value in zip(begins, values, strict=True) if begin <= epoch][-1]


def turn_at(epoch: int, begins: Sequence[int], cycles: Sequence[Sequence[Value]]) -> Value:
    """Return the value for a zero-based epoch: each stage cycles through its values, one per epoch."""
    begin, cycle = stage_at(epoch, begins, list(zip(begins, cycles, strict=True)))
    return cycle[(epoch - begin) % len(cycle)]
