"""Storage of a dataset's frames: one file per frame, or shards with checksums."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'frame_storage': ['FolderFrames', 'FrameStorage', 'PackedFrames', 'open_frames'],
        'manifest': ['ENCODINGS', 'MANIFEST', 'FrameFormat'],
    },
)
