"""Information that a labeler may use in addition to the features of an epoch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dscreid.errors import ConfigError
from dscreid.pseudo_labels.labels import PseudoLabels
from dscreid.structures import Modality, TrackletFeatures


@dataclass(frozen=True)
class LabelingContext:
    """Third argument of labelers with ``needs_context = True``.

    Attributes:
        epoch: Zero-based epoch that the labels are for.
        cameras: Maps each modality to int64 (N,), the camera of each tracklet, in the order of the features.
        centers: Maps each modality to the C centers in its cluster memory after training in the previous
            epoch. If the labels of that epoch were shared, both entries are the same object. None before the
            first labeling.
        groups: Maps each modality to int64 (C,), the group of each center. None if the labels of that epoch
            had no groups.
    """

    epoch: int
    cameras: Mapping[Modality, np.ndarray]
    centers: Mapping[Modality, TrackletFeatures] | None = None
    groups: Mapping[Modality, np.ndarray] | None = None


def needs_context(labeler: Callable) -> bool:
    """Check whether a labeler takes the context as its third argument."""
    return getattr(labeler, 'needs_context', False)


def apply_labeler(
    labeler: Callable,
    visible: TrackletFeatures,
    infrared: TrackletFeatures,
    context: LabelingContext | None = None,
) -> PseudoLabels:
    """Call a labeler, with the context if it needs one.

    Raises:
        ConfigError: If the labeler needs a context and none is given.
    """
    if not needs_context(labeler):
        return labeler(visible, infrared)
    if context is None:
        raise ConfigError(
            f'{type(labeler).__name__} needs to know more than the features (a LabelingContext, which ClusterHook '
            'gives to its labelers); call it with one'
        )
    return labeler(visible, infrared, context)
