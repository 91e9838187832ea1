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
        """Select the ground truth of rows, int64 (n,), for example ``dataset.indices('rgb')``."""
        return GroundTruth(self.pids[rows])


def anonymous_rank(tracklet: Tracklet) -> tuple[bool, bytes, int]:
    """Sort key for an unlabeled split that reveals neither persons nor pairs: infrared, hash of frame paths, camera."""
    content = '\n'.join((tracklet.modality.value, *tracklet.frames)).encode('utf-8', 'surrogatepass')
    digest = hashlib.blake2b(content, digest_size=16, key=b'dscreid').digest()
    return tracklet.modality is Modality.IR, digest, tracklet.camera
