"""All memories of the adaptation stage, and the map from dataset indices of tracklets to rows and labels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscreid.errors import LabelingError
from dscreid.models.memories.aggregation import (
    Aggregation,
    aggregate_centers,
    balanced_centers,
    hybrid_centers,
)
from dscreid.models.memories.feature_memory import CenterMemory, InstanceMemory
from dscreid.models.memories.located_batch import LocatedBatch, SoftRows, most_repeats, pick
from dscreid.registry import MODELS
from dscreid.structures import Modality, PseudoLabels, SoftTargets, TrackletFeatures

SHARED, HYBRID, JOINT = 'shared', 'hybrid', 'joint'


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class TargetMemories(nn.Module):
    """Cluster and instance memories of both modalities.

    Before the labels are unified, each modality has its own cluster memory, afterward both share one. The instance
    memories contain all training tracklets, including outliers. Clusters are renumbered from 0 without gaps.
    """

    cluster: dict[str, Any] | None = None  #: config of the cluster memories; without ``type``, of ``ClusterMemory``
    instance: dict[str, Any] | None = None  #: keyword arguments of ``InstanceMemory``
    aggregation: Any = None  #: keyword arguments of ``Aggregation``, which is applied if the labels have ``matches``
    cross_update: bool = False  #: whether features also update the cross loss's memory, as in PGM's released code
    hybrid: bool = False  #: whether labels with ``partners`` also form a memory of averages of two centers (RPNR)
    joint: bool = False  #: whether labels with ``joint`` clusters also form a memory of their centers (PCLHD)
    #: Whether clusters of visible tracklets only and clusters of infrared ones only are negatives of each other, once
    #: the modalities share their labels. Otherwise the identity loss leaves these pairs out, because they may show one
    #: person (ours).
    unpaired_negatives: bool = True

    def __post_init__(self) -> None:
        super().__init__()
        names = [modality.value for modality in Modality]
        kinds = [*names, SHARED, *([HYBRID] if self.hybrid else []), *([JOINT] if self.joint else [])]
        clusters = {name: MODELS.build({'type': 'ClusterMemory', **(self.cluster or {})}) for name in kinds}
        instances = {name: InstanceMemory(**(self.instance or {})) for name in names}
        self.clusters: Mapping[str, CenterMemory] = nn.ModuleDict(clusters)  # type: ignore[assignment]  # not generic
        self.instances: Mapping[str, InstanceMemory] = nn.ModuleDict(instances)  # type: ignore[assignment]
        self.aggregation = Aggregation(**(self.aggregation or {}))
        self.shared = False
        self._rows: dict[Modality, dict[int, int]] = {}
        self._staged: tuple[Tensor, Tensor, LocatedBatch, Collection[Modality], Collection[Modality]] | None = None

    def reset(
        self,
        rgb: TrackletFeatures,
        ir: TrackletFeatures,
        labels: PseudoLabels,
        rgb_indices: np.ndarray,
        ir_indices: np.ndarray,
    ) -> None:
        """Rebuild all memories (1) from the features of all training tracklets; LabelingError without clusters.

        Labels and dataset indices (int64) are aligned with the rows of the features.
        """
        features = {Modality.RGB: rgb, Modality.IR: ir}
        indices = {Modality.RGB: rgb_indices, Modality.IR: ir_indices}
        for modality in Modality:
            sizes = [len(part) for part in (features[modality], labels.of(modality), indices[modality])]
            if len(set(sizes)) > 1:
                raise ValueError(f'{modality.value}: features, labels and indices must align, got {sizes}')
            if not labels.num_clusters(modality):
                raise LabelingError(
                    f'no {modality.value} tracklet has a pseudo label; loosen the clustering (larger eps)'
                )
        self._table = labels.numbered()
        self.shared = self._table.shared
        self._rows = {m: {int(index): row for row, index in enumerate(indices[m])} for m in Modality}
        self._staged = None
        for modality in Modality:
            self.instances[modality.value].reset(features[modality])
        self._labels = {modality: self._tensor(self._table.of(modality)) for modality in Modality}
        self._unpaired = None if self.unpaired_negatives or not self.shared else self._sides_of_clusters()
        self._reset_clusters(features)
        self._aggregate()
        self._average()
        self._join(features)

    def cluster_memory(self, modality: Modality) -> CenterMemory:
        """Return the cluster memory for the features of a modality."""
        return self.clusters[SHARED if self.shared else modality.value]

    def hybrid_memory(self) -> CenterMemory:
        """Return the memory with the averages of two centers, one per infrared cluster."""
        return self.clusters[HYBRID]

    def joint_memory(self) -> CenterMemory:
        """Return the memory with the centers of the joint clusters."""
        return self.clusters[JOINT]

    def instance_memory(self, modality: Modality) -> InstanceMemory:
        """Return the instance memory of a modality."""
        return self.instances[modality.value]

    def instance_labels(self, modality: Modality) -> Tensor:
        """Return the labels of all rows of a modality's instance memory, int64 (N,), -1 for outliers."""
        return self._labels[modality]

    def locate(self, indices: Sequence[int], modalities: Sequence[str]) -> LocatedBatch:
        """Look up the rows and labels of B tracklets by dataset index and modality (``'rgb'`` or ``'ir'``)."""
        if not self._rows:
            raise RuntimeError('the memories are empty: call reset_memories (as ClusterHook does) before the loss')
        sides = [Modality(modality) for modality in modalities]
        missing = [(i, m.value) for i, m in zip(indices, sides, strict=True) if i not in self._rows[m]]
        if missing:
            raise ValueError(f'(index, modality) {missing[:5]} are not among the tracklets of the memories')
        rows = np.array([self._rows[m][i] for i, m in zip(indices, sides, strict=True)], np.int64)
        table, given, groups = self._table, self._table.cross, self._table.groups
        labels = pick(table, sides, rows)
        cross = None if given is None else pick(given, sides, rows)
        visible = np.array([modality is Modality.RGB for modality in sides], bool)
        hybrid = None
        if self.hybrid and cross is not None and table.partners is not None:
            hybrid = self._tensor(np.where(visible, cross, labels))
        of = {Modality.RGB: visible, Modality.IR: ~visible}
        return LocatedBatch(
            rows=self._tensor(rows),
            labels=self._tensor(labels),
            visible=self._tensor(visible),
            members={m: self._tensor(np.flatnonzero(of[m])) for m in Modality},
            anchors={m: self._tensor(np.flatnonzero(of[m] & (labels >= 0))) for m in Modality},
            row_repeats=most_repeats(rows, visible),
            label_repeats=most_repeats(labels, visible & (not self.shared)),
            cross_repeats=0 if cross is None else most_repeats(cross, visible),
            cross=None if cross is None else self._tensor(cross),
            soft=self._soft_rows(table.soft, rows, of),
            cross_soft=self._soft_rows(given and given.soft, rows, of),
            groups=None if groups is None else {m: self._tensor(groups[m]) for m in Modality},
            hybrid=hybrid,
            unpaired=self._unpaired,
            joint=self._joint_rows(sides, rows),
        )

    def _joint_rows(self, sides: Sequence[Modality], rows: np.ndarray) -> Tensor | None:
        joint = self._table.joint if self.joint else None
        if joint is None:
            return None
        return self._tensor(np.array([joint[m][row] for m, row in zip(sides, rows, strict=True)], np.int64))

    def stage(
        self,
        static: Tensor,
        dynamic: Tensor,
        batch: LocatedBatch,
        crossed: Collection[Modality] = (),
        hybrid: Collection[Modality] = (),
    ) -> None:
        """Store features, float (B, D) each, until ``update``, with the modalities that two losses compared.

        ``crossed`` were compared with the other modality's clusters, ``hybrid`` with the hybrid memory.
        """
        self._staged = static.detach().float(), dynamic.detach().float(), batch, crossed, hybrid

    @torch.no_grad()
    def update(self) -> None:
        """Update all memories with the staged features in batch order, equation (2), after the optimizer step."""
        if self._staged is None:
            raise RuntimeError('no features are staged: compute the loss of a batch before each update')
        static, dynamic, batch, crossed, hybrid = self._staged
        self._staged = None
        others = {Modality.RGB: ~batch.visible, Modality.IR: batch.visible}
        if self.cross_update and batch.cross is not None:
            for modality in crossed:
                rows = batch.cross.masked_fill(others[modality], -1)
                self.cluster_memory(modality.other).update(static, dynamic, rows, batch.cross_repeats)
        if batch.hybrid is not None:
            for modality in hybrid:
                rows = batch.hybrid.masked_fill(others[modality], -1)
                repeats = max(batch.cross_repeats, batch.label_repeats)
                self.hybrid_memory().update(static, dynamic, rows, repeats)
        for modality in Modality:
            rows = batch.rows.masked_fill(others[modality], -1)
            self.instance_memory(modality).update(static, dynamic, rows, batch.row_repeats)
            if not self.shared:
                rows = batch.labels.masked_fill(others[modality], -1)
                self.cluster_memory(modality).update(static, dynamic, rows, batch.label_repeats)
        if self.shared:
            self.clusters[SHARED].update(static, dynamic, batch.labels, batch.label_repeats)

    def _reset_clusters(self, features: dict[Modality, TrackletFeatures]) -> None:
        center = self._table.center_modality
        sources = {modality.value: [modality] for modality in Modality}
        if self.shared:
            sources = {SHARED: list(Modality) if center is None else [Modality(center)]}
        for name, modalities in sources.items():
            static = torch.cat([features[modality].static for modality in modalities])
            dynamic = torch.cat([features[modality].dynamic for modality in modalities])
            labels = torch.cat([torch.from_numpy(self._table.centers_of(modality)) for modality in modalities])
            self.clusters[name].reset(TrackletFeatures(static, dynamic), labels, int(labels.max()) + 1)

    def _sides_of_clusters(self) -> Tensor:
        """Return 1 for each cluster of visible tracklets only, -1 for infrared ones only, 0 for both, int64 (C,)."""
        count = 1 + max(int(self._table.of(modality).max()) for modality in Modality)
        has = {m: np.isin(np.arange(count), self._table.of(m)) for m in Modality}
        return self._tensor(has[Modality.RGB].astype(np.int64) - has[Modality.IR].astype(np.int64))

    def _aggregate(self) -> None:
        if self._table.matches is None:
            return
        matches = self._tensor(self._table.matches)
        moved = [aggregate_centers(*half, matches, **asdict(self.aggregation)) for half in self._centers()]
        for modality, static, dynamic in zip(Modality, *moved, strict=True):
            self.clusters[modality.value].fill(static, dynamic)

    def _average(self) -> None:
        if not self.hybrid or self._table.partners is None:
            return
        partners, memory = self._tensor(self._table.partners), self.hybrid_memory()
        memory.fill(*(hybrid_centers(*half, partners, memory.normalize) for half in self._centers()))

    def _join(self, features: dict[Modality, TrackletFeatures]) -> None:
        joint = self._table.joint if self.joint else None
        if joint is None:
            return
        memory, labels = self.joint_memory(), [torch.from_numpy(joint[m]) for m in Modality]
        count = 1 + max(int(numbers.max(initial=-1)) for numbers in joint.values())
        halves = ([features[m].static for m in Modality], [features[m].dynamic for m in Modality])
        memory.fill(*(balanced_centers(half, labels, count, memory.normalize) for half in halves))

    def _centers(self) -> list[tuple[Tensor, Tensor]]:
        """Visible and infrared centers of the static and of the dynamic half."""
        visible, infrared = (self.clusters[modality.value].features() for modality in Modality)
        return [(visible.static, infrared.static), (visible.dynamic, infrared.dynamic)]

    def _soft_rows(
        self, tables: Mapping[Modality, SoftTargets] | None, rows: np.ndarray, of: dict[Modality, np.ndarray]
    ) -> dict[Modality, SoftRows] | None:
        if tables is None:
            return None
        return {m: SoftRows(*map(self._tensor, tables[m].dense_rows(rows[of[m]]))) for m in Modality}

    def _tensor(self, array: np.ndarray) -> Tensor:
        device = self.instances[Modality.RGB.value].static.device
        # Safe because pageable memory is read before the call returns.
        return torch.from_numpy(array).to(device, non_blocking=True)
