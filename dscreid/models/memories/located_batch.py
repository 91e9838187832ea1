"""Positions of the tracklets of a batch in the memories, and the targets for their losses."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from dscreid.structures import Modality


class SoftRows(NamedTuple):
    """Soft targets, float32 (n, C) with a row of zeros for no target, and their weights, float32 (n,) in [0, 1]."""

    targets: Tensor
    weights: Tensor


class Repeats(NamedTuple):
    """Maximum number of tracklets in a batch that refer to the same memory row, counted on the host.

    Attributes:
        instances: For rows of an instance memory.
        clusters: For rows of a cluster memory, over tracklets of its own modality (both if shared).
        cross: For rows of a cluster memory, over tracklets of the other modality.
    """

    instances: int
    clusters: int
    cross: int


@dataclass(frozen=True)
class LocatedBatch:
    """Positions of the tracklets of a batch in the memories.

    Attributes:
        rows: int64 (B,), row in the instance memory of the tracklet's modality.
        labels: int64 (B,), row in the cluster memory of the tracklet's modality, -1 = outlier.
        visible: bool (B,), True for visible tracklets.
        members: For each modality, int64 positions of its tracklets in the batch.
        anchors: Same as ``members``, without outliers.
        repeats: Maximum number of times a row occurs, for the update.
        cross: int64 (B,), row in the cluster memory of the *other* modality, -1 = none. None without cross labels.
        soft: For each modality, soft targets of ``members`` over its cluster memory. None uses only ``labels``.
        cross_soft: For each modality, soft targets of ``members`` over the other modality's cluster memory. None uses
            only ``cross``.
        groups: For each modality, int64 (C,), group of each row of its cluster memory. None means a single group.
    """

    rows: Tensor
    labels: Tensor
    visible: Tensor
    members: dict[Modality, Tensor]
    anchors: dict[Modality, Tensor]
    repeats: Repeats
    cross: Tensor | None = None
    soft: dict[Modality, SoftRows] | None = None
    cross_soft: dict[Modality, SoftRows] | None = None
    groups: dict[Modality, Tensor] | None = None
