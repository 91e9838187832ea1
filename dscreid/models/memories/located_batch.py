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
    """Maximum number of tracklets in a batch that refer to the same memory row, counted on the host."""

    instances: int  #: for rows of an instance memory
    clusters: int  #: for rows of a cluster memory, over tracklets of its own modality (both if shared)
    cross: int  #: for rows of a cluster memory, over tracklets of the other modality


@dataclass(frozen=True)
class LocatedBatch:
    """Positions of the tracklets of a batch in the memories."""

    rows: Tensor  #: int64 (B,), row in the instance memory of the tracklet's modality
    labels: Tensor  #: int64 (B,), row in the cluster memory of the tracklet's modality, -1 = outlier
    visible: Tensor  #: bool (B,), True for visible tracklets
    members: dict[Modality, Tensor]  #: for each modality, int64 positions of its tracklets in the batch
    anchors: dict[Modality, Tensor]  #: same as ``members``, without outliers
    repeats: Repeats  #: maximum number of times a row occurs, for the update
    #: int64 (B,), row in the cluster memory of the *other* modality, -1 = none. None without cross labels.
    cross: Tensor | None = None
    #: for each modality, soft targets of ``members`` over its cluster memory. None uses only ``labels``.
    soft: dict[Modality, SoftRows] | None = None
    #: for each modality, soft targets of ``members`` over the other modality's cluster memory. None uses only
    #: ``cross``.
    cross_soft: dict[Modality, SoftRows] | None = None
    #: for each modality, int64 (C,), group of each row of its cluster memory. None means a single group.
    groups: dict[Modality, Tensor] | None = None
