"""Stage 2: the model of unsupervised adaptation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscreid.models.losses.neighbor_contrast import LETTERS
from dscreid.models.memories import LocatedBatch
from dscreid.models.memories.target_memories import Labels
from dscreid.models.reid.base import BaseReID
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample, TrackletFeatures


@MODELS.register_module()
class AdaptiveReID(BaseReID):
    """Cluster-contrastive identity loss and neighbour losses against memories, equation (25).

    A data sample carries its tracklet's index and modality, never a label; the memories map the index to a
    pseudo label. An iteration is: ``loss`` (which stages the features), the optimiser's step,
    ``update_memories``. The losses see the features that clustering and retrieval see: after the necks, or
    the raw ones with ``retrieval='raw'``.

    Args:
        backbone: See ``BaseReID``.
        data_preprocessor: See ``BaseReID``.
        identity_loss: Config of the identity loss, called with features, centres and labels.
        neighbor_losses: Configs of ``NeighborContrastiveLoss``; none gives the clustering baseline.
        memories: Keywords of ``TargetMemories``.
        retrieval: See ``BaseReID``.
        flip_test: See ``BaseReID``.
    """

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        identity_loss: dict[str, Any] | None = None,
        neighbor_losses: Sequence[dict[str, Any]] = (),
        memories: dict[str, Any] | None = None,
        retrieval: str = 'neck',
        flip_test: bool = False,
    ) -> None:
        super().__init__(backbone, data_preprocessor, retrieval, flip_test)
        self.identity_loss = MODELS.build({'type': 'ClusterContrastiveLoss', **(identity_loss or {})})
        self.neighbor_losses = nn.ModuleList(
            MODELS.build({'type': 'NeighborContrastiveLoss', **config}) for config in neighbor_losses
        )
        self.memories = MODELS.build({'type': 'TargetMemories', **(memories or {})})
        self.epoch = 0
        if retrieval == 'raw':
            # a parameter no loss reaches must not ask for a gradient, or distributed training waits for it
            self.static_neck.requires_grad_(False)
            self.dynamic_neck.requires_grad_(False)

    def set_epoch(self, epoch: int) -> None:
        """Tell the schedules of the losses the epoch, from 0."""
        self.epoch = epoch

    def reset_memories(
        self,
        rgb: TrackletFeatures,
        ir: TrackletFeatures,
        labels: Labels,
        rgb_indices: np.ndarray,
        ir_indices: np.ndarray,
    ) -> None:
        """Rebuild the memories from features and pseudo labels; see ``TargetMemories.reset``."""
        self.memories.reset(rgb, ir, labels, rgb_indices, ir_indices)

    def update_memories(self) -> None:
        """Let the memories follow the features of the last ``loss``; call it after the optimiser's step."""
        self.memories.update()

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Named losses of an unlabelled batch.

        Args:
            inputs: float (N, T, 3, H, W), normalised.
            data_samples: N data samples with ``index`` and ``modality``; a tracklet may appear in several
                views.

        Returns:
            ``loss_id_static`` and ``loss_id_dynamic``, each the sum over both modalities of their means, and
            ``loss_neighbor_vv``, ``_tt``, ``_vt``, ``_tv`` as far as they are active; weights applied.

        Raises:
            RuntimeError: The memories have not been built.
        """
        batch = self.memories.locate(
            [sample.index for sample in data_samples], [sample.modality for sample in data_samples]
        )
        static, dynamic = self._project(*self.extract_feat(inputs))
        self.memories.stage(static, dynamic, batch)
        return self._identity_terms(static, dynamic, batch) | self._neighbor_terms(static, dynamic, batch)

    def _identity_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        """L_st^id and L_dy^id of (3) and (4); modalities absent from the batch add nothing."""
        losses = {}
        for half, features in (('static', static), ('dynamic', dynamic)):
            terms = []
            for modality, members in batch.members.items():
                if len(members):
                    centers = getattr(self.memories.cluster_memory(modality), half)
                    terms.append(self.identity_loss(features[members], centers, batch.labels[members]))
            losses[f'loss_id_{half}'] = torch.stack(terms).sum()
        return losses

    def _neighbor_terms(self, static: Tensor, dynamic: Tensor, batch: LocatedBatch) -> dict[str, Tensor]:
        """The active terms of L^vv, L^tt, L^vt and L^tv, weighted; outliers are no anchors."""
        losses: dict[str, Tensor] = {}
        for module in self.neighbor_losses:
            weight = module.weight_at(self.epoch, self.memories.shared)
            if not weight:
                continue
            for pair in module.pairs_at(self.epoch):
                query, bank = (LETTERS[letter] for letter in pair)
                anchors = batch.anchors[query]
                term = weight * module(
                    static[anchors],
                    dynamic[anchors],
                    self._instances(query, batch.rows[anchors]),
                    self._instances(bank),
                )
                name = f'loss_neighbor_{pair}'
                losses[name] = losses[name] + term if name in losses else term
        return losses

    def _instances(self, modality: Modality, rows: Tensor | None = None) -> TrackletFeatures:
        """Rows of a modality's instance memory."""
        return self.memories.instance_memory(modality).features(rows)
