"""Check that all processes hold the same model."""

from collections.abc import Mapping

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch import Tensor

from dscreid.distributed import gather_objects
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError, TrainingError
from dscreid.registry import HOOKS


@HOOKS.register_module()
class ProcessAgreementHook(Hook):
    """Compare the weights, neck statistics and memories of all processes after each epoch.

    They would silently diverge if a part of the model used only its own process's share of the batch. An epoch with
    differences leaves no checkpoint.

    Args:
        tolerance: Largest difference of a tensor's sum between processes, relative to the sum of its absolute values.
    """

    # after the epoch, but before its checkpoint (VERY_LOW)
    priority = 'LOW'

    def __init__(self, tolerance: float = 1e-4) -> None:
        if tolerance < 0:
            raise ConfigError(f'ProcessAgreementHook: tolerance must not be negative, got {tolerance}')
        self.tolerance = tolerance

    def after_train_epoch(self, runner) -> None:
        """Compare the model of this process with those of the others."""
        if get_world_size() == 1:
            return
        model = unwrap_model(runner.model)
        tensors = dict([*model.named_parameters(), *model.named_buffers()])
        if names := disagreements(tensors, self.tolerance):
            raise TrainingError(
                f'epoch {runner.epoch + 1}: {len(names)} tensors of the model differ between the processes, first '
                f'{names[0]}: a part of the model uses only its own share of the batch; resume with one process'
            )


def disagreements(tensors: Mapping[str, Tensor], tolerance: float) -> list[str]:
    """Return the names of tensors whose sums differ between processes by more than the relative tolerance."""
    values = {name: value.detach().double() for name, value in tensors.items() if value.numel()}
    sums = {name: (value.shape, value.sum().item(), value.abs().sum().item()) for name, value in values.items()}
    first, *others = gather_objects(sums)
    return [
        name
        for name in sorted(set().union(first, *others))
        if not all(_agree(first.get(name), other.get(name), tolerance) for other in others)
    ]


def _agree(one: tuple | None, other: tuple | None, tolerance: float) -> bool:
    if one is None or other is None or one[0] != other[0]:
        return False
    # `not difference > limit` would treat NaN as agreement
    return abs(one[1] - other[1]) <= tolerance * max(one[2], other[2])
