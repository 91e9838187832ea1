"""Write one shard: read the original frames, resize, encode."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.storage import FolderFrames, FrameFormat
from dscreid.datasets.storage.manifest import ShardRecord
from dscreid.datasets.storage.shard import write_shard
from dscreid.datasets.transforms.load_frames import fit_frame
from dscreid.utils.checkpoint import sha256
from dscreid.utils.files import replacing


def make_shard(source: Path, frames: Sequence[str], path: Path, frame_format: FrameFormat) -> ShardRecord:
    """Write one shard atomically from frames below ``source``, and return its record.

    Raises:
        FrameError: If a frame is missing or not an image; names the frame.
    """
    contents = [encode_frame(load_frame(source, frame, frame_format), frame_format) for frame in frames]
    with replacing(path) as temporary:
        write_shard(temporary, frames, contents)
        return ShardRecord(temporary.stat().st_size, sha256(temporary))


def load_frame(source: Path, frame: str, frame_format: FrameFormat) -> np.ndarray:
    """Load an original frame like ``LoadFrames``, uint8 (H, W, 3) in RGB order."""
    image = decode_frame(FolderFrames(source), frame, choose_decoder('auto')[1])
    pixels = np.empty((*frame_format.size, 3), np.uint8)
    fit_frame(image, pixels, frame_format.area_when_shrinking)
    return pixels


def encode_frame(pixels: np.ndarray, frame_format: FrameFormat) -> bytes:
    """Encode a frame, uint8 (H, W, 3) in RGB order, as raw pixels or a JPEG file.

    The JPEG is gray if the three channels are equal, which halves the decoding time, otherwise 4:2:0.
    """
    if frame_format.encoding == 'raw':
        return pixels.tobytes()
    is_gray = (pixels[..., :1] == pixels[..., 1:]).all()
    image = pixels[..., 0] if is_gray else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, frame_format.quality))[1].tobytes()
