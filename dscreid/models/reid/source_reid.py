"""Model of stage 1, supervised pre-training on the labeled source."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.distributed.global_batch import gather_batch
from dscreid.errors import ConfigError
from dscreid.models.losses import supervised_contrastive_loss, weighted_regularized_triplet
from dscreid.models.reid.base import BaseReID
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample


@MODELS.register_module()
class IdentityHead(nn.Linear):
    """Linear classifier without bias, initialized from a normal distribution of standard deviation 0.001 (AGW)."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes, bias=False)
        nn.init.normal_(self.weight, std=0.001)


@MODELS.register_module()
class SourceReID(BaseReID):
    """Classifier and weighted regularization triplet loss on the static and the dynamic half.

    Each half has a BN neck, a classifier trained with cross entropy, and the triplet loss of AGW on the raw feature.
    ``paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=25)})`` gives the classifiers VLD's learning rate. The other
    arguments are those of ``BaseReID``.

    Args:
        num_classes: Number of source identities.
        identity_weight: Weight of the cross entropy of the static half.
        triplet_weight: Weight of the triplet loss of the static half.
        dynamic_identity_weight: Weight of the cross entropy of the dynamic half (0.4 in VLD).
        dynamic_triplet_weight: Weight of the triplet loss of the dynamic half.
        dynamic_weight: Factor on all losses of the dynamic half; 0 for encoders whose halves are identical.
        contrast_weight: Weight of a supervised contrastive loss on each neck's output, for towers with random weights.
        label_smoothing: Label smoothing of the cross entropy, in [0, 1).
    """

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        num_classes: int,
        identity_weight: float = 1.0,
        triplet_weight: float = 1.0,
        dynamic_identity_weight: float = 1.0,
        dynamic_triplet_weight: float = 1.0,
        dynamic_weight: float = 1.0,
        contrast_weight: float = 0.0,
        label_smoothing: float = 0.0,
        **others: Any,
    ) -> None:
        super().__init__(backbone, **others)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ConfigError(f'SourceReID: num_classes must be a positive integer, got {num_classes!r}')
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f'SourceReID: label_smoothing must lie in [0, 1), got {label_smoothing}')
        weights = (
            identity_weight, triplet_weight, dynamic_identity_weight, dynamic_triplet_weight, dynamic_weight,
            contrast_weight,
        )  # fmt: skip
        if not all(weight >= 0 for weight in weights):
            raise ConfigError(f'SourceReID: weights of losses must be at least 0, got {weights}')
        self.label_smoothing = label_smoothing
        dynamic = (dynamic_identity_weight, dynamic_triplet_weight, contrast_weight)
        self.weights = {
            'static': (identity_weight, triplet_weight, contrast_weight),
            'dynamic': tuple(dynamic_weight * weight for weight in dynamic),
        }
        self.static_head = IdentityHead(self.embed_dim, num_classes)
        self.dynamic_head = IdentityHead(self.embed_dim, num_classes) if dynamic_weight else None
        # Distributed training would wait for the gradient of a parameter that no loss uses.
        self.dynamic_neck.weight.requires_grad_(bool(dynamic_weight))

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses of a labeled batch; every process returns those of the global batch.

        ``data_samples`` have a ``label`` in [0, num_classes). Returns ``loss_id_*``, ``loss_triplet_*`` and
        ``loss_contrast_*`` for ``static`` and ``dynamic``, without those of weight 0.
        """
        raw = self.extract_feat(inputs, self.modalities_of(data_samples))
        static, dynamic, data_samples = gather_batch(*raw, data_samples)
        given = [sample.get('label') for sample in data_samples]
        if any(label is None for label in given):
            raise ConfigError('SourceReID needs a label in every data sample; use a training split with labelled=True')
        labels = torch.tensor(given, dtype=torch.int64).to(inputs.device, non_blocking=True)
        losses = self._half_losses('static', static, self.static_neck(static), self.static_head, labels)
        if self.dynamic_head is None:
            self.dynamic_neck(dynamic.detach())
            return losses
        neck = self.dynamic_neck(dynamic)
        return losses | self._half_losses('dynamic', dynamic, neck, self.dynamic_head, labels)

    def _half_losses(self, half: str, raw: Tensor, neck: Tensor, head: nn.Module, labels: Tensor) -> dict[str, Tensor]:
        identity_weight, triplet_weight, contrast_weight = self.weights[half]
        losses = {}
        if identity_weight:
            entropy = F.cross_entropy(head(neck).float(), labels, label_smoothing=self.label_smoothing)
            losses[f'loss_id_{half}'] = identity_weight * entropy
        if triplet_weight:
            losses[f'loss_triplet_{half}'] = triplet_weight * weighted_regularized_triplet(raw, labels)
        if contrast_weight:
            losses[f'loss_contrast_{half}'] = contrast_weight * supervised_contrastive_loss(neck, labels)
        return losses
