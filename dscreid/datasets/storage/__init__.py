"""Where a dataset's frames lie: in files of their own, or packed in checksummed shards."""

from dscreid.datasets.storage.frame_storage import FolderFrames, FrameFormat, FrameStorage
from dscreid.datasets.storage.manifest import MANIFEST
from dscreid.datasets.storage.packed_frames import PackedFrames, open_frames

__all__ = ['MANIFEST', 'FolderFrames', 'FrameFormat', 'FrameStorage', 'PackedFrames', 'open_frames']
