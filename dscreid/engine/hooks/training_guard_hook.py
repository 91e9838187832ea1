"""Stop failed training, or processes that diverge, before the epoch's checkpoint replaces a good one."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch import Tensor

from dscreid.distributed import gather_objects
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import TrainingError
from dscreid.registry import HOOKS

#: Causes of a loss of exactly 0, by the prefix of its name.
_SILENT = {
    'loss_neighbor': 'no anchor had a neighbor in the memory; lower alpha, or begin the loss later',
    'loss_id': 'there was one cluster, or no labeled tracklet; loosen or tighten the clustering',
    'loss_cross': 'no cluster was matched with one of the other modality; loosen the matching',
    'loss_hybrid': 'no tracklet belongs to a matched cluster; loosen the matching',
    'loss_triplet': 'no anchor had a negative; draw more identities per batch',
}
#: Iterations after which the losses are read from their device.
_INTERVAL = 20
#: Largest difference of a tensor's sum between processes, relative to the sum of its absolute values.
_TOLERANCE = 1e-4


@HOOKS.register_module()
class TrainingGuardHook(Hook):
    """Monitor the losses and the weights.

    NaN or infinite losses or weights end the run, and the epoch leaves no checkpoint. The hook warns about a loss that
    is exactly 0 in all iterations of an epoch, and about accumulated gradients that carry over to the next epoch.
    """

    # after the epoch, but before its checkpoint (VERY_LOW)
    priority = 'LOW'

    def __init__(self) -> None:
        self._clear()

    def before_train(self, runner) -> None:
        """Warn if accumulated gradients carry over into the next epoch."""
        counts, length = getattr(runner.optim_wrapper, '_accumulative_counts', 1), len(runner.train_dataloader)
        if left := length % counts:
            runner.logger.warning(
                f'optim_wrapper.accumulative_counts={counts} does not divide the {length} iterations of an epoch: '
                f'gradients of the last {left} join the next epoch, and a resumed run loses them; choose a divisor'
            )

    def before_train_epoch(self, runner) -> None:
        """Reset the recorded losses."""
        self._clear()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Record the losses, and check them every 20 iterations."""
        losses = {name: torch.as_tensor(value) for name, value in (outputs or {}).items() if 'loss' in name}
        self._unread += [(batch_idx, name, value.detach().float()) for name, value in losses.items()]
        self._iterations += 1
        if self._iterations % _INTERVAL == 0:
            self._stop_at_bad_losses(runner)

    def after_train_epoch(self, runner) -> None:
        """Check the losses and the weights, and warn about losses that were always 0."""
        self._stop_at_bad_losses(runner)
        if broken := not_finite(unwrap_model(runner.model).state_dict()):
            raise TrainingError(
                f'epoch {runner.epoch + 1}: {len(broken)} weights are NaN or infinite after the last step, first '
                f'{broken[0]}; {_remedy(runner)}'
            )
        for name in self.silent():
            reasons = [text for start, text in _SILENT.items() if name.startswith(start)]
            runner.logger.warning(
                f'{name} was exactly 0 in all {self._iterations} iterations of epoch {runner.epoch + 1}, it had '
                f'no effect: {reasons[0] if reasons else "nothing to compare"}'
            )

    def silent(self) -> list[str]:
        """Return the losses that were exactly 0 in all iterations of the epoch so far."""
        self._read()
        return [name for name, active in self._active.items() if name != 'loss' and not active]

    def _clear(self) -> None:
        self._iterations = 0
        self._unread: list[tuple[int, str, Tensor]] = []  # iteration in the epoch, name and value of each loss
        self._active: dict[str, bool] = {}

    def _read(self) -> list[tuple[int, str]]:
        """Read the recorded losses from the device, and return iteration and name of those that are not finite."""
        values = torch.stack([value for *_, value in self._unread]).tolist() if self._unread else []
        bad = []
        for (iteration, name, _), value in zip(self._unread, values, strict=True):
            self._active[name] = self._active.get(name, False) or value != 0
            if not math.isfinite(value):
                bad.append((iteration, name))
        self._unread = []
        return bad

    def _stop_at_bad_losses(self, runner) -> None:
        if bad := self._read():
            first = bad[0][0]
            names = [name for iteration, name in bad if iteration == first]
            shown = ', '.join([name for name in names if name != 'loss'] or names)  # only the sum may overflow
            raise TrainingError(
                f'epoch {runner.epoch + 1}, iteration {first + 1}: {shown} became NaN or infinite; {_remedy(runner)}'
            )


@HOOKS.register_module()
class ProcessAgreementHook(Hook):
    """Compare the weights, neck statistics and memories of all processes after each epoch.

    They would silently diverge if a part of the model used only its own process's share of the batch. An epoch with
    differences leaves no checkpoint.
    """

    # after the epoch, but before its checkpoint (VERY_LOW)
    priority = 'LOW'

    def after_train_epoch(self, runner) -> None:
        """Compare the model of this process with those of the others."""
        if get_world_size() == 1:
            return
        model = unwrap_model(runner.model)
        tensors = dict([*model.named_parameters(), *model.named_buffers()])
        if names := disagreements(tensors, _TOLERANCE):
            raise TrainingError(
                f'epoch {runner.epoch + 1}: {len(names)} tensors of the model differ between the processes, first '
                f'{names[0]}: a part of the model uses only its own share of the batch; resume with one process'
            )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of weights with NaN or infinite entries."""
    return [name for name, value in weights.items() if not value.isfinite().all()]


def _remedy(runner) -> str:
    rates = runner.optim_wrapper.get_lr().get('lr', [])
    rate = f' (it is {max(rates):.3g} now)' if rates else ''
    return (
        'the last checkpoint is from before: run again with --resume and without --amp, or start a new run, optionally '
        'from that checkpoint with --source-checkpoint, with optim_wrapper.clip_grad=dict(max_norm=5.0) or a lower '
        f'learning rate{rate}'
    )


def disagreements(tensors: Mapping[str, Tensor], tolerance: float) -> list[str]:
    """Return the names of tensors whose sums differ between processes by more than the relative tolerance."""
    values = {name: value.detach().double() for name, value in tensors.items() if value.numel()}
    sums = {(name, value.shape): (value.sum().item(), value.abs().sum().item()) for name, value in values.items()}
    gathered = gather_objects(sums)
    found = set()
    for key in set().union(*gathered):
        totals, sizes = np.array([sums.get(key, (np.nan, np.nan)) for sums in gathered]).T
        if not np.ptp(totals) <= tolerance * sizes.max():  # also if one is NaN or missing
            found.add(key[0])
    return sorted(found)
