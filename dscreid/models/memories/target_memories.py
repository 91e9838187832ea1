"""All memories of adaptation, and the map from a tracklet's dataset index to its rows and labels."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscreid.errors import LabelingError
from dscreid.models.memories.aggregation import Aggregation, aggregate_centers
from dscreid.models.memories.feature_memory import ClusterMemory, InstanceMemory
from dscreid.models.memories.label_table import Labels, LabelTable, SoftTable, number_clusters
from dscreid.models.memories.located_batch import LocatedBatch, Repeats, SoftRows
from dscreid.registry import MODELS
from dscreid.structures import Modality, TrackletFeatures

SHARED = 'shared'


@dataclass(frozen=True)
class _Staged:
    """What one iteration's losses saw, kept for the update.

    Attributes:
        features: float32 (B, 2 D), both halves.
        keys: int64 (B, 3): instance row, cluster row, whether visible; with ``cross_update`` (B, 4): also the cluster
            row of the other modality's memory.
        repeats: How often rows are met.
    """

    features: Tensor
    keys: Tensor
    repeats: Repeats


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
        aggregation: Keywords of ``Aggregation``, applied where the labels bring ``matches``.
        cross_update: Whether a cluster memory also follows the other modality's features where a cross loss compared
            them with it, before its own features, which thus write last: PGM's and N-ULC's released code does so, by
            sharing one object among the losses. False keeps each memory in its modality.
    """

    def __init__(
        self,
        cluster: dict[str, Any] | None = None,
        instance: dict[str, Any] | None = None,
        aggregation: dict[str, Any] | None = None,
        cross_update: bool = False,
    ) -> None:
        super().__init__()
        names = [modality.value for modality in Modality]
        self.clusters = nn.ModuleDict({name: ClusterMemory(**(cluster or {})) for name in [*names, SHARED]})
        self.instances = nn.ModuleDict({name: InstanceMemory(**(instance or {})) for name in names})
        self.aggregation = Aggregation(**(aggregation or {}))
        self.cross_update = cross_update
        self.shared = False
        self._rows: dict[Modality, dict[int, int]] = {}
        self._table: LabelTable | None = None
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
            ValueError: Features, labels and indices differ in length, or parts of the labels contradict each other.
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
        self._table = number_clusters(labels)
        self.shared = self._table.shared
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
        labels = _pick(self._table.own, modalities, rows)
        visible = np.array([modality is Modality.RGB for modality in modalities], bool)
        of = {Modality.RGB: visible, Modality.IR: ~visible}
        cross, groups = self._table.cross, self._table.groups
        cross = None if cross is None else _pick(cross, modalities, rows)
        return LocatedBatch(
            rows=self._tensor(rows),
            labels=self._tensor(labels),
            visible=self._tensor(visible),
            members={m: self._tensor(np.flatnonzero(of[m])) for m in Modality},
            anchors={m: self._tensor(np.flatnonzero(of[m] & (labels >= 0))) for m in Modality},
            repeats=Repeats(
                instances=_most_repeats(rows, visible),
                clusters=_most_repeats(labels, visible & (not self.shared)),
                cross=0 if cross is None else _most_repeats(cross, visible),
            ),
            cross=None if cross is None else self._tensor(cross),
            soft=self._soft_rows(self._table.soft, rows, of),
            cross_soft=self._soft_rows(self._table.cross_soft, rows, of),
            groups=None if groups is None else {m: self._tensor(groups[m]) for m in Modality},
        )

    def stage(
        self, static: Tensor, dynamic: Tensor, batch: LocatedBatch, crossed: Collection[Modality] = ()
    ) -> None:
        """Keep an iteration's features until ``update``; an earlier, unused stage is dropped.

        Args:
            static: float (B, D), as the losses saw them.
            dynamic: float (B, D), likewise.
            batch: Where the B tracklets stand.
            crossed: Modalities whose features a loss compared with the other modality's clusters.
        """
        features = torch.cat([static, dynamic], dim=1).detach().float()
        keys = [batch.rows, batch.labels, batch.visible.long()]
        if self.cross_update and batch.cross is not None:
            cross = torch.full_like(batch.cross, -1)
            for modality in crossed:
                members = batch.members[modality]
                cross[members] = batch.cross[members]
            keys.append(cross)
        self._staged = _Staged(features, torch.stack(keys, dim=1), batch.repeats)

    @torch.no_grad()
    def update(self) -> None:
        """Update all memories from what was staged, equation (2), after the optimiser's step.

        What is staged is the global batch on every rank, so that all keep equal memories; samples count in its
        order. In a batch with several views the last view is thus the last writer, as in the released code of the
        ADCA family. An outlier updates its row of the instance memory only.

        Raises:
            RuntimeError: Nothing is staged.
        """
        if self._staged is None:
            raise RuntimeError('no features are staged: compute the loss of a batch before each update')
        features, repeats = self._staged.features, self._staged.repeats
        rows, labels, visible, *cross = self._staged.keys.unbind(dim=1)
        self._staged = None
        static, dynamic = features.chunk(2, dim=1)
        nowhere = torch.full_like(rows, -1)
        for clusters in cross:  # at most one: with cross_update
            for modality, member in ((Modality.IR, visible == 1), (Modality.RGB, visible == 0)):
                others = torch.where(member, clusters, nowhere)
                self.cluster_memory(modality).update(static, dynamic, others, repeats.cross)
        for modality, member in ((Modality.RGB, visible == 1), (Modality.IR, visible == 0)):
            own = torch.where(member, rows, nowhere)
            self.instance_memory(modality).update(static, dynamic, own, repeats.instances)
            if not self.shared:
                own = torch.where(member, labels, nowhere)
                self.cluster_memory(modality).update(static, dynamic, own, repeats.clusters)
        if self.shared:
            self.clusters[SHARED].update(static, dynamic, labels, repeats.clusters)

    def _reset_clusters(self, features: dict[Modality, TrackletFeatures]) -> None:
        """Rebuild the cluster memories that the current labels use."""
        labels = {modality: torch.from_numpy(self._table.own[modality]) for modality in Modality}
        if not self.shared:
            for modality in Modality:
                self._fill(self.clusters[modality.value], features[modality], labels[modality])
            self._aggregate()
            return
        if self._table.center_modality is not None:
            modality = self._table.center_modality
            self._fill(self.clusters[SHARED], features[modality], labels[modality])
            return
        both = TrackletFeatures(
            torch.cat([features[modality].static for modality in Modality]),
            torch.cat([features[modality].dynamic for modality in Modality]),
        )
        self._fill(self.clusters[SHARED], both, torch.cat([labels[modality] for modality in Modality]))

    def _aggregate(self) -> None:
        """Bring matched centres together, where the labels match any."""
        if self._table.matches is None:
            return
        matches = self._tensor(self._table.matches)
        visible, infrared = (self.clusters[modality.value] for modality in (Modality.RGB, Modality.IR))
        for half in ('static', 'dynamic'):
            centers = (getattr(visible, half), getattr(infrared, half))
            new_centers = aggregate_centers(*centers, matches, **asdict(self.aggregation))
            for memory, values in zip((visible, infrared), new_centers, strict=True):
                setattr(memory, half, values)

    def _soft_rows(
        self, tables: dict[Modality, SoftTable] | None, rows: np.ndarray, of: dict[Modality, np.ndarray]
    ) -> dict[Modality, SoftRows] | None:
        """Dense soft targets of a batch's members of each modality."""
        if tables is None:
            return None
        dense = {m: tables[m].dense_rows(rows[of[m]]) for m in Modality}
        return {m: SoftRows(*(self._tensor(part) for part in parts)) for m, parts in dense.items()}

    @staticmethod
    def _fill(memory: ClusterMemory, features: TrackletFeatures, labels: Tensor) -> None:
        memory.reset(features, labels, int(labels.max()) + 1)

    def _tensor(self, array: np.ndarray) -> Tensor:
        device = self.instances[Modality.RGB.value].static.device
        # ordinary memory is read before the call returns
        return torch.from_numpy(array).to(device, non_blocking=True)


def _pick(table: dict[Modality, np.ndarray], modalities: Sequence[Modality], rows: np.ndarray) -> np.ndarray:
    """int64 (B,), a table's entries for tracklets of mixed modality."""
    return np.array([table[m][row] for m, row in zip(modalities, rows, strict=True)], np.int64)


def _most_repeats(rows: np.ndarray, sides: np.ndarray) -> int:
    """How often a row occurs at most on its side: int64 (B,) rows, -1 left out, and bool (B,)."""
    known = rows >= 0
    counts = np.unique(2 * rows[known] + sides[known], return_counts=True)[1]
    return int(counts.max(initial=0))
