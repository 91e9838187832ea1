"""True identities instead of pseudo labels, as an upper bound for experiments."""

import numpy as np

from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.registry import DATASETS, LABELERS
from dscreid.structures import Modality, TrackletFeatures


@LABELERS.register_module()
class TrueLabels:
    """Label tracklets with their true identities, in one numbering for both modalities.

    A run with this labeler is supervised. It measures what could be gained with perfect labels.

    Args:
        dataset: Config of the unlabeled training split whose ground truth is read.
    """

    def __init__(self, dataset: dict) -> None:
        target = DATASETS.build(dataset)
        _, numbers = np.unique(target.read_ground_truth().pids, return_inverse=True)
        rgb, ir = (numbers[target.indices(modality)] for modality in Modality)
        self.labels = PseudoLabels(rgb=rgb, ir=ir, shared=True)

    def __call__(self, visible: TrackletFeatures, infrared: TrackletFeatures) -> PseudoLabels:
        """Return the true labels; the features are ignored.

        Raises:
            ValueError: If the numbers of tracklets do not match.
        """
        if (len(visible), len(infrared)) != (len(self.labels.rgb), len(self.labels.ir)):
            raise ValueError(
                f'{len(visible)} visible and {len(infrared)} infrared features, but the ground truth knows '
                f'{len(self.labels.rgb)} and {len(self.labels.ir)} tracklets'
            )
        return self.labels
