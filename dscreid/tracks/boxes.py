"""Tracked boxes of one video."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TrackedBoxes:
    """Boxes of one video, one per row, in any order.

    Attributes:
        frame: int64 (N,), number of the frame, from 0.
        track: int64 (N,), id from the tracker; negative for boxes that it did not track.
        corners: float64 (N, 4), left, top, right and bottom in pixels; can lie outside the picture.
        confidence: float64 (N,), of the detection; NaN if unknown.
    """

    frame: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> 'TrackedBoxes':
        """Return the boxes of a mask or of row numbers."""
        return TrackedBoxes(self.frame[rows], self.track[rows], self.corners[rows], self.confidence[rows])

    @property
    def width(self) -> npt.NDArray[np.float64]:
        """Widths in pixels, float64 (N,)."""
        return self.corners[:, 2] - self.corners[:, 0]

    @property
    def height(self) -> npt.NDArray[np.float64]:
        """Heights in pixels, float64 (N,)."""
        return self.corners[:, 3] - self.corners[:, 1]


def from_columns(
    frame: npt.ArrayLike, track: npt.ArrayLike, boxes: npt.ArrayLike, confidence: npt.ArrayLike | None = None
) -> TrackedBoxes:
    """Make boxes from columns of N numbers; ``boxes`` is (N, 4): left, top, width and height in pixels."""
    sized = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    corners = np.hstack([sized[:, :2], sized[:, :2] + sized[:, 2:]])
    known = np.full(len(corners), np.nan) if confidence is None else np.asarray(confidence, dtype=np.float64)
    return TrackedBoxes(np.asarray(frame, dtype=np.int64), np.asarray(track, dtype=np.int64), corners, known)
