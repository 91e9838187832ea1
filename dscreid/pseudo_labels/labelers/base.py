"""Base class of all labelers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from logging import Logger
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import Tensor

from dscreid.errors import ConfigError, LabelingError
from dscreid.neighbors import NeighborSearch
from dscreid.pseudo_labels.clustering import forecast as forecasts
from dscreid.pseudo_labels.clustering.forecast import ClusteringProblem
from dscreid.pseudo_labels.descriptors import modality_descriptors
from dscreid.registry import LABELERS
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures
from dscreid.utils.machine import free_gpu_memory, free_memory

#: Default of the argument ``clustering`` of labelers.
CLUSTERING: Mapping[str, Any] = MappingProxyType({'type': 'ClusterLabeler'})


@dataclass(frozen=True)
class LabelingContext:
    """Information that a labeler may use in addition to the features of an epoch."""

    epoch: int  #: zero-based epoch that the labels are for
    cameras: Mapping[Modality, np.ndarray]  #: int64 (N,) of each modality, the camera of each tracklet
    #: The C centers of each modality's memory after the previous epoch, the same object if its labels were shared.
    centers: Mapping[Modality, TrackletFeatures] | None = None
    groups: Mapping[Modality, np.ndarray] | None = None  #: int64 (C,) of each modality, the group of each center


class Labeler:
    """Base class of labelers, which give every training tracklet a pseudo label. A subclass defines ``__call__``."""

    needs_context: bool = False  #: whether the labeler reads its third argument
    needs_centers: bool = False  #: whether it reads the centers of the previous epoch, so it cannot label the first one
    clustering: Any = None  #: the labeler that forms its clusters, if there is one

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Label both modalities; raises LabelingError if the features cannot be labeled."""
        raise NotImplementedError(f'{type(self).__name__} must define __call__')

    def check_cameras(self, cameras: Mapping[Modality, np.ndarray]) -> None:
        """Raise ConfigError before training if the cameras, int64 (N,) of each modality, do not allow labeling."""

    def problems(self, counts: Mapping[Modality, int], dimension: int) -> list[ClusteringProblem] | None:
        """List the sets that a call clusters one after another, visible first, for a forecast; None if unknown.

        ``counts`` are numbers of tracklets; ``dimension`` is that of static and dynamic features together.
        """
        return None if self.clustering is None else self.clustering.problems(counts, dimension)

    def _given(self, context: LabelingContext | None) -> LabelingContext:
        if context is None:
            raise ConfigError(f'{type(self).__name__} needs a LabelingContext as its third argument')
        return context

    def _check_clustered(self, labels: np.ndarray, modality: Modality, remedy: str) -> None:
        if not (labels >= 0).any():
            name = type(self).__name__
            raise LabelingError(f'{name}: no cluster in modality {modality.value} (N={len(labels)}); {remedy}')


def build_labeler(config: Mapping[str, Any], owner: str) -> Labeler:
    """Build a labeler for ``owner``; raises ConfigError if the class does not derive from ``Labeler``."""
    labeler = LABELERS.build(dict(config))
    if not isinstance(labeler, Labeler):
        raise ConfigError(
            f'{owner}: {config["type"]} is not a labeler; derive the class from dscreid.pseudo_labels.Labeler'
        )
    return labeler


def build_clustering(config: Mapping[str, Any], owner: str) -> Labeler:
    """Build a labeler that clusters by the features only; raises ConfigError if it needs a context."""
    clustering = build_labeler(config, owner)
    if clustering.needs_context:
        raise ConfigError(f'{owner}: {config["type"]} needs a context; use ClusterLabeler as the clustering')
    return clustering


@dataclass(eq=False)
class SeparateLabeler(Labeler):
    """Base class of methods that cluster each modality with a labeler and then relate the two numberings."""

    clustering: InitVar[Any] = CLUSTERING  #: config of the labeler that clusters each modality

    def __post_init__(self, clustering: Mapping[str, Any]) -> None:
        self.clustering = build_clustering(clustering, type(self).__name__)

    def __call__(
        self, visible: TrackletFeatures, infrared: TrackletFeatures, context: LabelingContext | None = None
    ) -> PseudoLabels:
        """Cluster each modality, number its clusters from 0 without gaps, and relate them."""
        clusters = self.clustering(visible, infrared)
        if clusters.shared:
            raise ConfigError(
                f'{type(self).__name__} needs a numbering per modality; use ClusterLabeler as its clustering'
            )
        for modality in Modality:
            self._check_clustered(clusters.of(modality), modality, 'use a larger eps or a smaller min_samples')
        labels = PseudoLabels(clusters.rgb, clusters.ir, shared=False).numbered()
        return self._related(labels, modality_descriptors(visible, infrared))

    def _related(self, labels: PseudoLabels, descriptors: Mapping[Modality, Tensor]) -> PseudoLabels:
        """Add the relations of the method to the labels; ``descriptors`` are float (N, 2 D)."""
        raise NotImplementedError


@contextmanager
def labeling_within_memory(
    labeler: Labeler, rgb: TrackletFeatures, ir: TrackletFeatures, search: NeighborSearch, logger: Logger
) -> Iterator[None]:
    """Log a forecast if known, and warn if memory may not suffice; ResourceError if it cannot or does not suffice."""
    problems = labeler.problems({Modality.RGB: len(rgb), Modality.IR: len(ir)}, 2 * rgb.static.shape[1])
    free = free_memory(swap=True)
    if problems:
        forecast = forecasts.forecast_round(problems, search, rgb.static.device.type)
        logger.info(f'clustering forecast: {forecast}')
        if warning := forecasts.check_fits(forecast, problems, free, free_gpu_memory()):
            logger.warning(warning)
    with forecasts.memory_errors(problems, free):
        yield
