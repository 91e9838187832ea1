"""Stop failed training before its checkpoint replaces a good one."""

import math
from collections.abc import Mapping

import torch
from mmengine.hooks import Hook
from torch import Tensor

from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError, TrainingError
from dscreid.registry import HOOKS

#: Causes of a loss of exactly 0, by the prefix of its name.
_SILENT = {
    'loss_neighbor': 'no anchor had a neighbor in the memory; lower alpha, or begin the loss later',
    'loss_id': 'there was one cluster, or no labeled tracklet; loosen or tighten the clustering',
    'loss_cross': 'no cluster was matched with one of the other modality; loosen the matching',
    'loss_triplet': 'no anchor had a negative; draw more identities per batch',
}


@HOOKS.register_module()
class TrainingGuardHook(Hook):
    """Monitor the losses and the weights.

    NaN or infinite losses or weights end the run with an error that suggests a remedy. The epoch leaves no checkpoint.
    The hook warns about an active loss that is exactly 0 in all iterations of an epoch. It also warns if the number of
    accumulated iterations does not divide the length of an epoch: gradients of the last iterations then carry over to
    the next epoch, and are lost if the run is resumed there.

    The values are monitored on their device and read every ``interval`` iterations and after each epoch.

    Args:
        interval: Number of iterations between checks, at least 1.
    """

    # after the epoch, but before its checkpoint (VERY_LOW)
    priority = 'LOW'

    def __init__(self, interval: int = 20) -> None:
        if interval < 1:
            raise ConfigError(f'TrainingGuardHook: interval must be at least 1, got {interval}')
        self.interval = interval
        self._clear()

    def before_train(self, runner) -> None:
        """Warn if accumulated gradients carry over into the next epoch."""
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        left = len(runner.train_dataloader) % counts
        if left:
            runner.logger.warning(
                f'optim_wrapper.accumulative_counts={counts} does not divide the {len(runner.train_dataloader)} '
                f'iterations of an epoch: gradients of the last {left} join the next epoch, and a resumed run loses '
                'them; choose a divisor'
            )

    def before_train_epoch(self, runner) -> None:
        """Reset the recorded losses."""
        self._clear()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Record which losses are not finite and which are not 0."""
        for name, value in (outputs or {}).items():
            if 'loss' in name:
                self._note(name, torch.as_tensor(value).detach(), batch_idx)
        self._iterations += 1
        if self._iterations % self.interval == 0:
            self._stop_at_bad_losses(runner)

    def after_train_epoch(self, runner) -> None:
        """Check the losses and the weights, and warn about losses that were always 0."""
        self._stop_at_bad_losses(runner)
        broken = not_finite(unwrap_model(runner.model).state_dict())
        if broken:
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
        return [name for name, active in self._active.items() if name != 'loss' and not bool(active)]

    def _clear(self) -> None:
        self._iterations = 0
        self._first_bad: dict[str, Tensor] = {}  # iteration in the epoch, -1 for none
        self._active: dict[str, Tensor] = {}

    def _note(self, name: str, value: Tensor, iteration: int) -> None:
        first = self._first_bad.get(name, torch.full_like(value, -1.0, dtype=torch.float32))
        self._first_bad[name] = torch.where((first < 0) & ~torch.isfinite(value), float(iteration), first)
        self._active[name] = self._active.get(name, torch.zeros_like(value, dtype=torch.bool)) | (value != 0)

    def _stop_at_bad_losses(self, runner) -> None:
        firsts = {name: int(first) for name, first in self._first_bad.items() if name != 'loss'}
        bad = {name: first for name, first in firsts.items() if first >= 0}
        if not bad and 'loss' in self._first_bad and int(self._first_bad['loss']) >= 0:
            bad = {'loss': int(self._first_bad['loss'])}  # the sum overflowed
        if bad:
            first = min(bad.values())
            names = ', '.join(name for name, iteration in bad.items() if iteration == first)
            raise TrainingError(
                f'epoch {runner.epoch + 1}, iteration {first + 1}: {names} became NaN or infinite; {_remedy(runner)}'
            )


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of weights with NaN or infinite entries."""
    floats = {name: value for name, value in weights.items() if value.is_floating_point() and value.numel()}
    if not floats:
        return []
    sums = torch.stack([value.detach().double().sum() for value in floats.values()])  # one device sync
    return [name for name, total in zip(floats, sums.tolist(), strict=True) if not math.isfinite(total)]


def _remedy(runner) -> str:
    rates = runner.optim_wrapper.get_lr().get('lr', [])
    rate = f' (it is {max(rates):.3g} now)' if rates else ''
    return (
        'the last checkpoint is from before: run again with --resume and without --amp, or start a new run, optionally '
        'from that checkpoint with --source-checkpoint, with optim_wrapper.clip_grad=dict(max_norm=5.0) or a lower '
        f'learning rate{rate}'
    )
