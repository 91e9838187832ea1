"""Choose by epoch: pure helpers behind the scheduled parts of a config."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from dscreid.errors import ConfigError

Value = TypeVar('Value')


def begins_anew(runner) -> bool:
    """Whether a run has nothing behind it; one whose first epoch was skipped has, although it counts no iteration."""
    return runner.iter == 0 and runner.epoch == 0


def check_stages(begins: Sequence[int]) -> None:
    """Check that stages begin at epoch 0 and in strictly rising order.

    Raises:
        ConfigError: They do not.
    """
    if not begins or begins[0] != 0 or any(later <= earlier for earlier, later in pairwise(begins)):
        raise ConfigError(
            f'stages must begin at epoch 0 and then at rising epochs, got begin_epoch = {list(begins)}'
        )


def stage_at(epoch: int, begins: Sequence[int], values: Sequence[Value]) -> Value:
    """The value of the last stage that has begun by the given zero-based epoch."""
    return [value for begin, value in zip(begins, values, strict=True) if begin <= epoch][-1]


def turn_at(epoch: int, begins: Sequence[int], cycles: Sequence[Sequence[Value]]) -> Value:
    """The value whose turn it is in an epoch: a stage gives its values in turn, one an epoch, from its beginning.

    Args:
        epoch: Zero-based.
        begins: First epoch of each stage, rising from 0.
        cycles: Values of each stage, at least one.
    """
    begin, cycle = stage_at(epoch, begins, list(zip(begins, cycles, strict=True)))
    return cycle[(epoch - begin) % len(cycle)]
