"""All memories of adaptation, and the map from a tracklet's dataset index to its rows and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from mmengine import dist
from torch import Tensor, nn

from dscreid.errors import LabelingError
from dscreid.models.memories.feature_memory import ClusterMemory, InstanceMemory
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

SHARED = 'shared'


class Labels(Protocol):
    """What the memories read of pseudo labels (``dscreid.pseudo_labels.PseudoLabels``)."""

    rgb: np.ndarray
    ir: np.ndarray
    shared: bool


@dataclass(frozen=True)
class LocatedBatch:
    """Where the tracklets of a batch stand in the memories.

    Attributes:
        rows: int64 (B,), row in the instance memory of the tracklet's modality.
        labels: int64 (B,), row in its cluster memory, -1 = outlier.
        visible: bool (B,), whether the tracklet is visible.
        members: int64 positions in the batch of each modality's tracklets.
        anchors: The same without outliers.
    """

    rows: Tensor
    labels: Tensor
    visible: Tensor
    members: dict[Modality, Tensor]
    anchors: dict[Modality, Tensor]


@dataclass(frozen=True)
class _Staged:
    """What one iteration's losses saw, kept for the update: features float32 (B, 2 D), keys int64 (B, 3)."""

    features: Tensor
    keys: Tensor


@MODELS.register_module()
class TargetMemories(nn.Module):
    """Cluster and instance memories of both modalities.

    Before the labels are unified each modality has its own cluster memory; afterwards one is shared by both
    and filled from the members of both. The instance memories hold every training tracklet, outliers too.

    Clusters are numbered anew, from 0 and without gaps, so that no centre lacks members; ``locate`` gives a
    tracklet's number. The index maps stay on the host, where a batch's indices come from.

    Args:
        cluster: Keywords of ``ClusterMemory``.
        instance: Keywords of ``InstanceMemory``.
    """

    def __init__(self, cluster: dict[str, Any] | None = None, instance: dict[str, Any] | None = None) -> None:
        super().__init__()
        names = [modality.value for modality in Modality]
        self.clusters = nn.ModuleDict({name: ClusterMemory(**(cluster or {})) for name in [*names, SHARED]})
        self.instances = nn.ModuleDict({name: InstanceMemory(**(instance or {})) for name in names})
        self.shared = False
        self._rows: dict[Modality, dict[int, int]] = {}
        self._labels: dict[Modality, np.ndarray] = {}
        self._staged: _Staged | None = None

    def reset(
        self,
        rgb: TrackletFeatures,
        ir: TrackletFeatures,
        labels: Labels,
        rgb_indices: np.ndarray,
        ir_indices: np.ndarray,
    ) -> None:
        """Rebuild all memories, equation (1).

        Args:
            rgb: Features of all Nv visible training tracklets.
            ir: Features of all Nt infrared training tracklets.
            labels: Pseudo labels of both, row-aligned.
            rgb_indices: int64 (Nv,), dataset indices of the rows of ``rgb``.
            ir_indices: int64 (Nt,), likewise.

        Raises:
            ValueError: Features, labels and indices differ in length.
            LabelingError: A modality has no cluster at all.
        """
        features = {Modality.RGB: rgb, Modality.IR: ir}
        raw_labels = {Modality.RGB: labels.rgb, Modality.IR: labels.ir}
        indices = {Modality.RGB: rgb_indices, Modality.IR: ir_indices}
        for modality in Modality:
            sizes = [len(part[modality]) for part in (features, raw_labels, indices)]
            if len(set(sizes)) > 1:
                raise ValueError(f'{modality.value}: features, labels and indices must align, got {sizes}')
            if not (np.asarray(raw_labels[modality]) >= 0).any():
                raise LabelingError(
                    f'no {modality.value} tracklet has a pseudo label; loosen the clustering '
                    '(larger eps, smaller min_samples)'
                )
        self.shared = bool(labels.shared)
        self._labels = _renumber(raw_labels, self.shared)
        self._rows = {m: {int(index): row for row, index in enumerate(indices[m])} for m in Modality}
        self._staged = None
        for modality in Modality:
            self.instances[modality.value].reset(features[modality])
        self._reset_clusters(features)

    def cluster_memory(self, modality: Modality) -> ClusterMemory:
        """The cluster memory that a modality's features are compared with."""
        return self.clusters[SHARED if self.shared else modality.value]

    def instance_memory(self, modality: Modality) -> InstanceMemory:
        """The instance memory of a modality."""
        return self.instances[modality.value]

    def locate(self, indices: Sequence[int], modalities: Sequence[str]) -> LocatedBatch:
        """Find the tracklets of a batch.

        Args:
            indices: Dataset index of each of the B tracklets.
            modalities: Modality of each, ``'rgb'`` or ``'ir'``.

        Returns:
            Rows and labels, on the memories' device.

        Raises:
            RuntimeError: The memories have not been built.
            ValueError: An index is none of the training tracklets of its modality.
        """
        if not self._rows:
            raise RuntimeError(
                'the memories are empty: call reset_memories with features and pseudo labels before the '
                'first loss (ClusterHook does so before each epoch)'
            )
        modalities = [Modality(modality) for modality in modalities]
        missing = [(i, m.value) for i, m in zip(indices, modalities, strict=True) if i not in self._rows[m]]
        if missing:
            raise ValueError(f'(index, modality) {missing[:5]} are not among the tracklets of the memories')
        rows = np.array([self._rows[m][i] for i, m in zip(indices, modalities, strict=True)], np.int64)
        labels = np.array([self._labels[m][row] for m, row in zip(modalities, rows, strict=True)], np.int64)
        visible = np.array([modality is Modality.RGB for modality in modalities], bool)
        of = {Modality.RGB: visible, Modality.IR: ~visible}
        return LocatedBatch(
            rows=self._tensor(rows),
            labels=self._tensor(labels),
            visible=self._tensor(visible),
            members={m: self._tensor(np.flatnonzero(of[m])) for m in Modality},
            anchors={m: self._tensor(np.flatnonzero(of[m] & (labels >= 0))) for m in Modality},
        )

    def stage(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> None:
        """Keep an iteration's features until ``update``; an earlier, unused stage is dropped.

        Args:
            static: float (B, D), as the losses saw them.
            dynamic: float (B, D), likewise.
            batch: Where the B tracklets stand.
        """
        features = torch.cat([static, dynamic], dim=1).detach().float()
        self._staged = _Staged(features, torch.stack([batch.rows, batch.labels, batch.visible.long()], dim=1))

    @torch.no_grad()
    def update(self) -> None:
        """Update all memories from what was staged, equation (2), after the optimiser's step.

        Ranks exchange their batches, so that all keep equal memories; samples count in the order of the
        ranks, and of the batch within a rank. In a batch with several views the last view is thus the last
        writer, as in the released code of the ADCA family. An outlier updates its row of the instance memory
        only.

        Raises:
            RuntimeError: Nothing is staged.
        """
        if self._staged is None:
            raise RuntimeError('no features are staged: compute the loss of a batch before each update')
        features = torch.cat(dist.all_gather(self._staged.features))
        rows, labels, visible = torch.cat(dist.all_gather(self._staged.keys)).unbind(dim=1)
        self._staged = None
        static, dynamic = features.chunk(2, dim=1)
        nowhere = torch.full_like(rows, -1)
        for modality, member in ((Modality.RGB, visible == 1), (Modality.IR, visible == 0)):
            self.instance_memory(modality).update(static, dynamic, torch.where(member, rows, nowhere))
            if not self.shared:
                own = torch.where(member, labels, nowhere)
                self.cluster_memory(modality).update(static, dynamic, own)
        if self.shared:
            self.clusters[SHARED].update(static, dynamic, labels)

    def _reset_clusters(self, features: dict[Modality, TrackletFeatures]) -> None:
        """Rebuild the cluster memories that the current labels use."""
        labels = {modality: torch.from_numpy(self._labels[modality]) for modality in Modality}
        if not self.shared:
            for modality in Modality:
                self._fill(self.clusters[modality.value], features[modality], labels[modality])
            return
        both = TrackletFeatures(
            torch.cat([features[modality].static for modality in Modality]),
            torch.cat([features[modality].dynamic for modality in Modality]),
        )
        self._fill(self.clusters[SHARED], both, torch.cat([labels[modality] for modality in Modality]))

    @staticmethod
    def _fill(memory: ClusterMemory, features: TrackletFeatures, labels: Tensor) -> None:
        memory.reset(features, labels, int(labels.max()) + 1)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.instances[Modality.RGB.value].static.device)


def _renumber(labels: dict[Modality, np.ndarray], shared: bool) -> dict[Modality, np.ndarray]:
    """Number clusters from 0 without gaps, over both modalities together if they share their labels."""
    known = {modality: np.unique(values[values >= 0]) for modality, values in labels.items()}
    if shared:
        known = dict.fromkeys(labels, np.unique(np.concatenate(list(known.values()))))
    return {
        modality: np.where(values >= 0, np.searchsorted(known[modality], values), -1).astype(np.int64)
        for modality, values in labels.items()
    }
