"""Person ids of a split, kept separate from the records used in training."""

import hashlib
from dataclasses import dataclass

import numpy as np

from dscreid.structures import Modality, Tracklet


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


def anonymous_rank(tracklet: Tracklet) -> tuple[bool, bytes, int]:
    """Sort key for an unlabeled split, whose order must reveal neither persons nor pairs.

    Returns:
        Infrared flag, hash of the frame paths, camera.
    """
    content = '\n'.join((tracklet.modality.value, *tracklet.frames)).encode('utf-8', 'surrogatepass')
    digest = hashlib.blake2b(content, digest_size=16, key=b'dscreid').digest()
    return tracklet.modality is Modality.IR, digest, tracklet.camera
