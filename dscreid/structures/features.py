"""Packed tracklets, and the features of many tracklets of one modality."""

from dataclasses import dataclass

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TrackletFeatures:
    """Row-aligned features, float32 (N, D); raw ones (``retrieval='raw'``) are not L2-normalized."""

    static: Tensor
    dynamic: Tensor

    def __post_init__(self) -> None:
        if self.static.ndim != 2 or self.static.shape != self.dynamic.shape:
            raise ValueError(
                'static and dynamic features must be matrices of one shape, got '
                f'{tuple(self.static.shape)} and {tuple(self.dynamic.shape)}'
            )

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.static)

    def concatenated(self) -> Tensor:
        """Concatenate ``[static, dynamic]`` into the retrieval feature, float32 (N, 2 D)."""
        return torch.cat([self.static, self.dynamic], dim=1)


class ReIDDataSample(BaseDataElement):
    """Metadata of one packed tracklet and, after prediction, its features.

    Meta information (set by ``PackTracklet``):
        - ``index``: int, position in the dataset.
        - ``same_as``: int, first position with the same frames.
        - ``modality``: ``'rgb'`` or ``'ir'``.
        - ``camera``: int.
        - ``length``: int, number of frames of the whole tracklet.
        - ``seed``: int, seed of this draw's augmentation.
        - ``position``: int, position of this draw in the epoch's global order.
        - ``is_query``: bool.
        - ``pid``: int, original person id of the dataset (absent if unknown or in unlabeled splits).
        - ``label``: int in [0, number of train identities) (only in labeled train splits).

    Data fields (set by a model's ``predict``):
        - ``static`` and ``dynamic``: float32 (D,), raw features before any neck.
        - ``neck_static`` and ``neck_dynamic``: float32 (D,), the same after their necks.
        - ``feature``: float32, compared by inner product for retrieval; see ``RANKINGS``.
    """
