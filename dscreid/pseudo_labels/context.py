"""What a labeler may know beside the features of an epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.structures import Modality, TrackletFeatures


@dataclass(frozen=True)
class LabelingContext:
    """Third argument of labelers that say ``needs_context = True``.

    Attributes:
        epoch: Zero-based epoch that the labels are for.
        cameras: By modality int64 (N,), the camera of each tracklet, rows as the features.
        centers: By modality the C centers that the cluster memories hold since the epoch before, after its training;
            both entries are one object where that epoch's labels were shared. None before the first labeling.
        groups: By modality int64 (C,), group of each of the centers; None where that epoch's labels had none.
    """

    epoch: int
    cameras: Mapping[Modality, np.ndarray]
    centers: Mapping[Modality, TrackletFeatures] | None = None
    groups: Mapping[Modality, np.ndarray] | None = None


def needs_context(labeler: Callable) -> bool:
    """Whether a labeler asks for the context as its third argument."""
    return getattr(labeler, 'needs_context', False)


def apply_labeler(
    labeler: Callable,
    visible: TrackletFeatures,
    infrared: TrackletFeatures,
    context: LabelingContext | None = None,
) -> PseudoLabels:
    """Call a labeler, with the context if it asks for one.

    Raises:
        ConfigError: It asks for one, but there is none.
    """
    if not needs_context(labeler):
        return labeler(visible, infrared)
    if context is None:
        raise ConfigError(
            f'{type(labeler).__name__} needs to know more than the features (a LabelingContext, which ClusterHook '
            'gives to its labelers); call it with one'
        )
    return labeler(visible, infrared, context)
