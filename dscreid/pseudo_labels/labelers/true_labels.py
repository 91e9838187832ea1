"""True identities instead of pseudo labels, as an upper bound for experiments."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dscreid.pseudo_labels.labelers.base import Labeler, LabelingContext
from dscreid.registry import DATASETS, LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures


@LABELERS.register_module()
class TrueLabels(Labeler):
    """Label tracklets with their true identities, in one numbering for both modalities; the run is then supervised.

    Args:
        dataset: Config of the unlabeled training split whose ground truth is read.
    """

    def __init__(self, dataset: Mapping[str, Any]) -> None:
        target = DATASETS.build(dataset)
        _, numbers = np.unique(target.read_ground_truth(), return_inverse=True)
        rgb, ir = (numbers[target.indices(modality)] for modality in Modality)
        self.labels = PseudoLabels(rgb=rgb, ir=ir, shared=True)

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Return the true labels; raises ValueError if the numbers of tracklets do not match."""
        if (len(visible), len(infrared)) != (len(self.labels.rgb), len(self.labels.ir)):
            raise ValueError('features and ground truth have different numbers of tracklets; use one dataset for both')
        return self.labels
