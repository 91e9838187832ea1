"""Model of stage 2, unsupervised adaptation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dscreid.distributed.global_batch import gather_batch
from dscreid.errors import ConfigError
from dscreid.models.losses import CrossClusterLoss, NeighborContrastiveLoss, RelaxedContrastiveLoss
from dscreid.models.losses.modules import LETTERS
from dscreid.models.memories import LocatedBatch, TargetMemories
from dscreid.models.reid.base import BaseReID
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample

#: name of each cross-modal direction, by the modality of the features
PAIRS = {Modality.RGB: 'vt', Modality.IR: 'tv'}


@MODELS.register_module()
class AdaptiveReID(BaseReID):
    """Cluster-contrastive identity loss and neighbor losses against memories, equation (25).

    Each iteration calls ``loss``, then the optimizer step, then ``update_memories``. The losses use the features of
    retrieval: those after the necks, or the raw features with ``retrieval='raw'``. The other arguments are those of
    ``BaseReID``.

    Args:
        identity_loss: Config of the identity loss, which is called with features, centers and labels.
        neighbor_losses: Configs of ``NeighborContrastiveLoss``. An empty sequence gives the clustering baseline.
        memories: Keyword arguments of ``TargetMemories``.
        cross_loss: Config of ``CrossClusterLoss``, for labelers that match the clusters of the two modalities, or None.
        hybrid_loss: Config of ``CrossClusterLoss`` against a memory of the averages of matched centers (RPNR), or None.
            A visible tracklet belongs to the infrared cluster of its cross label.
        relaxed_loss: Config of ``RelaxedContrastiveLoss`` for each modality of a batch, or None.
    """

    neighbor_losses: Sequence[NeighborContrastiveLoss]
    steps: int = 1  #: number of optimizer steps after which the losses of an epoch repeat

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        identity_loss: dict[str, Any] | None = None,
        neighbor_losses: Sequence[dict[str, Any]] = (),
        memories: dict[str, Any] | None = None,
        cross_loss: dict[str, Any] | None = None,
        hybrid_loss: dict[str, Any] | None = None,
        relaxed_loss: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(backbone, **others)
        self.identity_loss = MODELS.build({'type': 'ClusterContrastiveLoss', **(identity_loss or {})})
        self.neighbor_losses = nn.ModuleList(  # type: ignore[assignment]  # not generic
            MODELS.build({'type': 'NeighborContrastiveLoss', **config}) for config in neighbor_losses
        )
        self.cross_loss: CrossClusterLoss | None = _built('CrossClusterLoss', cross_loss)
        self.hybrid_loss: CrossClusterLoss | None = _built('CrossClusterLoss', hybrid_loss)
        self.relaxed_loss: RelaxedContrastiveLoss | None = _built('RelaxedContrastiveLoss', relaxed_loss)
        has_hybrid = hybrid_loss is not None
        self.memories: TargetMemories = _built('TargetMemories', {'hybrid': has_hybrid, **(memories or {})})
        self.epoch = 0
        if self.retrieval == 'raw':
            # Distributed training would wait for the gradient of a parameter that no loss uses.
            self.static_neck.requires_grad_(False)
            self.dynamic_neck.requires_grad_(False)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, for the schedules of the losses."""
        self.epoch = epoch

    def reset_memories(self, *arguments: Any) -> None:
        """Rebuild the memories from features and pseudo labels; see ``TargetMemories.reset``."""
        self.memories.reset(*arguments)

    def update_memories(self) -> None:
        """Update the memories with the features of the last ``loss`` call; call this after the optimizer step."""
        self.memories.update()

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses of an unlabeled batch; every process returns those of the global batch.

        ``data_samples`` have ``index`` and ``modality``. Returns ``loss_id_static`` and ``_dynamic``, and, if active,
        ``loss_cross_vt``, ``_tv``, ``loss_hybrid_v``, ``_t``, ``loss_relaxed_v``, ``_t`` and ``loss_neighbor_vv``,
        ``_tt``, ``_vt``, ``_tv`` (v = visible, t = infrared).
        """
        raw = self.extract_feat(inputs, self.modalities_of(data_samples))
        return self.losses_of(*raw, data_samples)

    def losses_of(self, static: Tensor, dynamic: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses from raw features, float (N, D) each; see ``loss``."""
        static, dynamic, batch = self._locate(static, dynamic, data_samples)
        crossed, hybrid = (
            () if loss is None else loss.queries_at(self.epoch) for loss in (self.cross_loss, self.hybrid_loss)
        )
        self.memories.stage(static, dynamic, batch, crossed, hybrid)
        return (
            self._identity_terms(static, dynamic, batch)
            | self._cross_terms(static, dynamic, batch, crossed)
            | self._hybrid_terms(static, dynamic, batch, hybrid)
            | self._relaxed_terms(static, dynamic, batch)
            | self._neighbor_terms(static, dynamic, batch)
        )

    def _identity_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        losses = {}
        for half, features in (('static', static), ('dynamic', dynamic)):
            terms = []
            for modality, members in batch.members.items():
                if len(members):
                    centers = getattr(self.memories.cluster_memory(modality), half)
                    targets = (features[members], centers, batch.labels[members])
                    terms.append(self.identity_loss(*targets, **_finer_targets(batch, modality)))
            losses[f'loss_id_{half}'] = torch.stack(terms).sum()
        return losses

    def _cross_terms(
        self, static: Tensor, dynamic: Tensor, batch: LocatedBatch, crossed: Sequence[Modality]
    ) -> dict[str, Tensor]:
        if not crossed or self.cross_loss is None:
            return {}
        if batch.cross is None:
            raise self._unmatched('cross_loss', 'cross labels', 'MatchingLabeler')
        losses = {}
        for modality in crossed:
            members = batch.members[modality]
            losses[f'loss_cross_{PAIRS[modality]}'] = self.cross_loss(
                static[members],
                dynamic[members],
                self.memories.cluster_memory(modality.other),
                batch.cross[members],
                None if batch.cross_soft is None else batch.cross_soft[modality],
            )
        return losses

    def _hybrid_terms(
        self, static: Tensor, dynamic: Tensor, batch: LocatedBatch, compared: Sequence[Modality]
    ) -> dict[str, Tensor]:
        if not compared or self.hybrid_loss is None:
            return {}
        if batch.hybrid is None:
            raise self._unmatched('hybrid_loss', 'cross labels with partners', 'PrototypeLabeler')
        losses = {}
        for modality in compared:
            members = batch.members[modality]
            centers, labels = self.memories.hybrid_memory(), batch.hybrid[members]
            term = self.hybrid_loss(static[members], dynamic[members], centers, labels)
            losses[f'loss_hybrid_{PAIRS[modality][0]}'] = term
        return losses

    def _relaxed_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        if self.relaxed_loss is None:
            return {}
        return {
            f'loss_relaxed_{PAIRS[modality][0]}': self.relaxed_loss(static[members], dynamic[members])
            for modality, members in batch.members.items()
        }

    def _locate(
        self, static: Tensor, dynamic: Tensor, data_samples: Sequence[ReIDDataSample]
    ) -> tuple[Tensor, Tensor, LocatedBatch]:
        """Gather raw features of all processes; return those of retrieval, and what the memories know about them."""
        raw, data_samples = gather_batch({'static': static, 'dynamic': dynamic}, data_samples)
        indices, modalities = zip(*((sample.index, sample.modality) for sample in data_samples), strict=True)
        batch = self.memories.locate(indices, modalities)
        return *self._project(**raw), batch

    def _unmatched(self, loss: str, lacking: str, labeler: str) -> ConfigError:
        return ConfigError(
            f'{loss} is active in epoch {self.epoch + 1}, whose labeler provides no {lacking}; set begin and end '
            f'(counted from 0) to the epochs of one that matches clusters, such as {labeler}'
        )

    def _neighbor_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for module in self.neighbor_losses:
            weight = module.weight_at(self.epoch, self.memories.shared)
            for pair in module.pairs_at(self.epoch):
                factor = weight * module.pair_weights[pair]
                if not factor:
                    continue  # A disabled pair has no term, so a term of 0 always means that nothing was found.
                query, bank = (LETTERS[letter] for letter in pair)
                anchors = batch.anchors[query]
                rows, comparable = batch.rows[anchors], query is bank or self.memories.shared
                bank_labels = self.memories.instance_labels(bank) if comparable else None
                term = factor * module(
                    static[anchors],
                    dynamic[anchors],
                    self.memories.instance_memory(query).features(rows),
                    self.memories.instance_memory(bank).features(),
                    rows if query is bank else None,
                    None if bank_labels is None else batch.labels[anchors][:, None] == bank_labels,
                )
                name = f'loss_neighbor_{pair}'
                losses[name] = losses.get(name, 0) + term
        return losses


def _built(kind: str, config: dict[str, Any] | None) -> Any:
    """Build a part from a config, whose default type is ``kind``; None without a config."""
    return None if config is None else MODELS.build({'type': kind, **config})


def _finer_targets(batch: LocatedBatch, modality: Modality) -> dict[str, Any]:
    tables: dict[str, Any] = {'soft': batch.soft, 'groups': batch.groups}
    targets = {name: table[modality] for name, table in tables.items() if table is not None}
    return targets if batch.unpaired is None else targets | {'unpaired': batch.unpaired}
