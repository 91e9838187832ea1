"""Model of stage 1, supervised pre-training on the labeled source."""

from typing import Any

from torch import nn

from dscreid.errors import ConfigError
from dscreid.models.reid.supervised_reid import SupervisedReID
from dscreid.registry import MODELS


@MODELS.register_module()
class SourceReID(SupervisedReID):
    """``SupervisedReID`` with a classifier and the triplet loss of AGW on the static and the dynamic half.

    Each half has a BN neck, a classifier trained with cross entropy, and the triplet loss on the raw feature.
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
        if not dynamic_weight >= 0:
            raise ConfigError(f'SourceReID: dynamic_weight must be at least 0, got {dynamic_weight}')
        weights = {
            'static': (identity_weight, triplet_weight, contrast_weight),
            'dynamic': tuple(
                dynamic_weight * weight for weight in (dynamic_identity_weight, dynamic_triplet_weight, contrast_weight)
            ),
        }
        heads: dict[str, Any] = {}
        losses: dict[str, Any] = {}
        for half, (identity, triplet, contrast) in weights.items():
            if identity:
                heads[half] = dict(type='IdentityHead', part=f'neck_{half}')
            terms = {
                'id': dict(type='IdentityLoss', weight=identity, part=f'{half}_head', label_smoothing=label_smoothing),
                'triplet': dict(type='WeightedTripletLoss', weight=triplet, part=half),
                'contrast': dict(type='SupervisedContrastiveLoss', weight=contrast, part=f'neck_{half}'),
            }
            losses |= {f'{name}_{half}': term for name, term in terms.items() if term['weight']}
        super().__init__(backbone, num_classes, losses, heads, **others)
