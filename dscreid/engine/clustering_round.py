"""Result of one round of extraction and labeling."""

from dataclasses import dataclass

from dscreid.pseudo_labels import PseudoLabels
from dscreid.structures import TrackletFeatures


@dataclass(frozen=True)
class ClusteringRound:
    """Features and pseudo labels of all training tracklets at the start of an epoch.

    Attributes:
        epoch: Zero-based epoch that starts with this round, equal to the number of epochs trained before it.
        rgb: Features of the Nv visible tracklets.
        ir: Features of the Nt infrared tracklets.
        labels: Pseudo labels of these tracklets.
    """

    epoch: int
    rgb: TrackletFeatures
    ir: TrackletFeatures
    labels: PseudoLabels
