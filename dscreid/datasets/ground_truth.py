"""Person ids of a split, kept apart from the records that training sees."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GroundTruth:
    """True person ids, row-aligned with a dataset's tracklets; for diagnostics only, never for training.

    Attributes:
        pids: int64 (N,), the person id of each tracklet as the dataset's owners count it.
    """

    pids: np.ndarray

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.pids)

    @property
    def num_identities(self) -> int:
        """Number of different persons."""
        return len(np.unique(self.pids))

    def take(self, rows: np.ndarray) -> 'GroundTruth':
        """Ground truth of the given rows.

        Args:
            rows: int64 (n,), positions in the dataset, for example ``dataset.indices('rgb')``.

        Returns:
            Ground truth of n tracklets in the order of ``rows``.
        """
        return GroundTruth(self.pids[rows])
