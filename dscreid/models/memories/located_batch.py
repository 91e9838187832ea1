"""Where the tracklets of a batch are in the memories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from dscreid.structures import CrossLabels, Modality, PseudoLabels


class SoftRows(NamedTuple):
    """Soft targets, float32 (n, C) with a row of zeros for no target, and their weights, float32 (n,) in [0, 1]."""

    targets: Tensor
    weights: Tensor


@dataclass(frozen=True)
class LocatedBatch:
    """Positions of the tracklets of a batch in the memories."""

    rows: Tensor  #: int64 (B,), row in the instance memory of the tracklet's modality
    labels: Tensor  #: int64 (B,), row in the cluster memory of the tracklet's modality, -1 = outlier
    visible: Tensor  #: bool (B,), True for visible tracklets
    members: dict[Modality, Tensor]  #: for each modality, int64 positions of its tracklets in the batch
    anchors: dict[Modality, Tensor]  #: same as ``members``, without outliers
    row_repeats: int  #: how often the same row occurs at most, counted on the host
    label_repeats: int
    cross_repeats: int
    cross: Tensor | None = None  #: int64 (B,), row in the cluster memory of the *other* modality, -1 = none
    soft: dict[Modality, SoftRows] | None = None  #: for each modality, targets of ``members`` over its cluster memory
    cross_soft: dict[Modality, SoftRows] | None = None  #: the same over the other modality's cluster memory
    groups: dict[Modality, Tensor] | None = None  #: for each modality, int64 (C,), group of each row of its memory
    hybrid: Tensor | None = None  #: int64 (B,), row in the hybrid memory (an infrared cluster), -1 = none
    joint: Tensor | None = None  #: int64 (B,), row in the joint memory, -1 = none
    unpaired: Tensor | None = None  #: int64 (C,), clusters of one modality only; see ``cluster_contrastive_loss``


def pick(table: PseudoLabels | CrossLabels, modalities: Sequence[Modality], rows: np.ndarray) -> np.ndarray:
    """Pick the labels, int64 (B,), of the tracklets in the ``rows`` of their modalities."""
    return np.array([table.of(m)[row] for m, row in zip(modalities, rows, strict=True)], np.int64)


def most_repeats(rows: np.ndarray, sides: np.ndarray) -> int:
    """Count the most frequent combination of row, int64 (B,), and side, bool (B,); rows of -1 are ignored."""
    known = rows >= 0
    counts = np.unique(2 * rows[known] + sides[known], return_counts=True)[1]
    return int(counts.max(initial=0))
