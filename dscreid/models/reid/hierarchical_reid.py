"""Model of the second stage of PCLHD: joint clusters, an averaged encoder, and instances of each cluster."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.losses.instance_slots import InstanceSlots, instance_slot_loss
from dscreid.models.losses.modules import check_factors
from dscreid.models.memories import LocatedBatch
from dscreid.models.reid.adaptive_reid import PAIRS, AdaptiveReID
from dscreid.registry import MODELS
from dscreid.structures import Modality, PseudoLabels, ReIDDataSample, TrackletFeatures


@MODELS.register_module()
class HierarchicalReID(AdaptiveReID):
    """Second stage of PCLHD (Shi et al., NeurIPS 2024): a RECONSTRUCTION, see ``docs/differences.md``.

    Optimizer steps alternate between two batches of ``PseudoLabelSampler(joint=True)``. The first one is trained by the
    losses of ``AdaptiveReID`` and ``slot_weight`` times :func:`instance_slot_loss`, the second one by ``joint_loss``
    against the centers of clusters over both modalities. After the second step, an average of the encoder follows.
    ``InstanceSlotHook`` draws the instances of each cluster from features of the average.

    Args:
        backbone: See ``BaseReID``.
        joint_loss: Config of the loss against the joint memory, called with features, centers and labels.
        slot_weight: Factor of the instance loss of each half, not negative. 0 is the released behavior: there, the
            averaged encoder computes the queries without gradient, so that the loss has no effect. Queries of the live
            encoder are the reading of this project.
        slots: Number of instances of each cluster.
        temperature: Softmax temperature of the instance loss.
        momentum: Weight of the old value in the averaged encoder, in [0, 1].
        evaluate: ``'average'``, as released, or ``'live'``: the encoder that ranks tracklets in tests.
        **others: See ``AdaptiveReID``.
    """

    steps = 2
    average: nn.ModuleDict

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        joint_loss: dict[str, Any] | None = None,
        slot_weight: float = 1.0,
        slots: int = 16,
        temperature: float = 0.05,
        momentum: float = 0.999,
        evaluate: str = 'average',
        **others: Any,
    ) -> None:
        super().__init__(backbone, **{**others, 'memories': {'joint': True, **(others.get('memories') or {})}})
        check_factors(self, temperature, slot_weight)
        if slots < 1 or not 0 <= momentum <= 1 or evaluate not in ('average', 'live'):
            raise ConfigError(
                "HierarchicalReID: needs slots >= 1, momentum in [0, 1] and evaluate 'average' or 'live', got "
                f'{slots}, {momentum} and {evaluate!r}'
            )
        self.joint_loss = MODELS.build({'type': 'ClusterContrastiveLoss', **(joint_loss or {})})
        self.slot_weight, self.temperature, self.momentum, self.evaluate = slot_weight, temperature, momentum, evaluate
        self.slots = nn.ModuleDict({m.value: InstanceSlots(slots) for m in Modality})
        parts = {name: copy.deepcopy(getattr(self, name)) for name in ('backbone', 'static_neck', 'dynamic_neck')}
        self.average = nn.ModuleDict(parts).requires_grad_(False)
        self.step = 0

    def train(self, mode: bool = True) -> 'HierarchicalReID':
        """Set the mode; the averaged encoder always uses its running statistics."""
        super().train(mode)
        self.average.eval()
        return self

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, counted from 0, with a batch of the first kind."""
        super().set_epoch(epoch)
        self.step = 0

    def start_average(self) -> None:
        """Set the averaged encoder to the current one."""
        for name, part in self.average.items():
            part.load_state_dict(getattr(self, name).state_dict())

    def reset_memories(
        self, rgb: TrackletFeatures, ir: TrackletFeatures, labels: PseudoLabels, *indices: np.ndarray
    ) -> None:
        """Rebuild the memories; instances are drawn from the same features until ``reset_slots``."""
        super().reset_memories(rgb, ir, labels, *indices)
        self.reset_slots(rgb, ir, labels, np.random.default_rng(0))

    def reset_slots(
        self, rgb: TrackletFeatures, ir: TrackletFeatures, labels: PseudoLabels, rng: np.random.Generator
    ) -> None:
        """Draw the instances of each cluster from features of all tracklets."""
        numbered = labels.numbered()
        for modality, features in zip(Modality, (rgb, ir), strict=True):
            slots: InstanceSlots = self.slots[modality.value]  # type: ignore[assignment]  # not generic
            slots.reset(features, numbered.of(modality), rng)

    def losses_of(self, static: Tensor, dynamic: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses of the current step from raw features, float (N, D) each."""
        if self.step % 2:
            return self._joint_terms(static, dynamic, data_samples)
        return super().losses_of(static, dynamic, data_samples)

    def update_memories(self) -> None:
        """Update the memories of the last step and, after the second of two, the averaged encoder."""
        if self.step % 2:
            static, dynamic, labels = self._joint
            self.memories.joint_memory().update(static, dynamic, labels)
            self._follow()
        else:
            super().update_memories()
        self.step += 1

    def embed_average(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> TrackletFeatures:
        """Extract the N features that instances are drawn from, as ``embed`` does, by the averaged encoder."""
        names = ('static', 'dynamic') if self.retrieval == 'raw' else ('neck_static', 'neck_dynamic')
        frames = [inputs, inputs.flip(-1)] if self.flip_test else [inputs]
        views = [self._parts_of(self.average, view, modalities) for view in frames]
        features = [self._normalized(*(view[name] for name in names)) for view in views]
        static, dynamic = (
            sum(getattr(one, half) for one in features) / len(features) for half in ('static', 'dynamic')
        )
        return self._normalized(static, dynamic)

    def ranking_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """See the base class; features of the encoder that ``evaluate`` names."""
        return self._parts_of(self.average if self.evaluate == 'average' else self, inputs, modalities)

    def _identity_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        losses = super()._identity_terms(static, dynamic, batch)
        for modality, members in batch.members.items() if self.slot_weight else ():
            slots: Any = self.slots[modality.value]
            labels = batch.labels[members]
            static_loss = instance_slot_loss(static[members], slots.static, labels, self.temperature)
            dynamic_loss = instance_slot_loss(dynamic[members], slots.dynamic, labels, self.temperature)
            losses[f'loss_slots_{PAIRS[modality][0]}'] = self.slot_weight * (static_loss + dynamic_loss)
        return losses

    def _joint_terms(
        self, static: Tensor, dynamic: Tensor, data_samples: Sequence[ReIDDataSample]
    ) -> dict[str, Tensor]:
        static, dynamic, batch = self._locate(static, dynamic, data_samples)
        if batch.joint is None:
            raise self._unmatched('joint_loss', 'joint clusters', 'JointMatchingLabeler')
        self._joint = static.detach().float(), dynamic.detach().float(), batch.joint
        memory, losses = self.memories.joint_memory(), {}
        for modality, members in batch.members.items():
            labels = batch.joint[members]
            terms = [self.joint_loss(half[members], centers, labels)
                     for half, centers in ((static, memory.static), (dynamic, memory.dynamic))]  # fmt: skip
            losses[f'loss_joint_{PAIRS[modality][0]}'] = torch.stack(terms).sum()
        return losses

    @torch.no_grad()
    def _follow(self) -> None:
        for name, part in self.average.items():
            live = getattr(self, name)
            for own, new in zip(part.parameters(), live.parameters(), strict=True):
                own.lerp_(new, 1 - self.momentum)
            for kept, current in zip(part.buffers(), live.buffers(), strict=True):
                kept.copy_(current)  # running statistics are those of the live encoder
