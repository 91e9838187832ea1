"""Where the tracklets of a batch stand in the memories, and what they are to be compared with."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from dscreid.structures import Modality


class SoftRows(NamedTuple):
    """Soft targets of n tracklets.

    Attributes:
        targets: float32 (n, C), distributions over the rows of a cluster memory; a row of zeros: no target.
        weights: float32 (n,), in [0, 1].
    """

    targets: Tensor
    weights: Tensor


class Repeats(NamedTuple):
    """How often a batch meets the same row of one memory at most, counted on the host.

    Attributes:
        instances: Row of an instance memory.
        clusters: Row of a cluster memory, of tracklets that it belongs to.
        cross: Row of a cluster memory, of the other modality's tracklets.
    """

    instances: int
    clusters: int
    cross: int


@dataclass(frozen=True)
class LocatedBatch:
    """Where the tracklets of a batch stand in the memories.

    Attributes:
        rows: int64 (B,), row in the instance memory of the tracklet's modality.
        labels: int64 (B,), row in its cluster memory, -1 = outlier.
        visible: bool (B,), whether the tracklet is visible.
        members: int64 positions in the batch of each modality's tracklets.
        anchors: The same without outliers.
        repeats: How often rows are met, for the update.
        cross: int64 (B,), row in the cluster memory of the *other* modality, -1 = none; None where the labels bring
            no cross labels.
        soft: By modality, soft targets of ``members`` over its cluster memory; None: the labels alone.
        cross_soft: By modality, soft targets of ``members`` over the other modality's cluster memory.
        groups: By modality int64 (C,), group of each row of its cluster memory; None: one group.
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
