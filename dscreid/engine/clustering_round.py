"""What one round of extraction and labelling gave."""

from dataclasses import dataclass

from dscreid.pseudo_labels import PseudoLabels
from dscreid.structures import TrackletFeatures


@dataclass(frozen=True)
class ClusteringRound:
    """Features and pseudo labels of all training tracklets at the start of an epoch.

    Attributes:
        epoch: Zero-based epoch that begins with them; its number is that of the epochs trained before.
        rgb: Features of the Nv visible tracklets.
        ir: Features of the Nt infrared tracklets.
        labels: Their pseudo labels.
    """

    epoch: int
    rgb: TrackletFeatures
    ir: TrackletFeatures
    labels: PseudoLabels
