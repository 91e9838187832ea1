"""Person ids of a split, kept separate from the records used in training."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GroundTruth:
    """True person ids, row-aligned with a dataset's tracklets; for diagnostics only, never for training.

    Attributes:
        pids: int64 (N,), original person id of each tracklet.
    """

    pids: np.ndarray

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.pids)

    @property
    def num_identities(self) -> int:
        """Number of distinct persons."""
        return len(np.unique(self.pids))

    def take(self, rows: np.ndarray) -> 'GroundTruth':
        """Select the ground truth of the given rows.

        Args:
            rows: int64 (n,), positions in the dataset, for example ``dataset.indices('rgb')``.

        Returns:
            Ground truth of the n tracklets, in the order of ``rows``.
        """
        return GroundTruth(self.pids[rows])
