"""Plan which frames are packed, in which order and format."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dscreid.datasets.bupt_campus import BUPTCampus
from dscreid.datasets.hitsz_vcm import HITSZVCM
from dscreid.datasets.index_files import index_file
from dscreid.datasets.storage import MANIFEST, FrameFormat
from dscreid.datasets.storage.manifest import Manifest
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError, DatasetError
from dscreid.utils.checkpoint import sha256

LAYOUTS: dict[str, type[TrackletDataset]] = {'hitsz': HITSZVCM, 'bupt': BUPTCampus}

#: Splits that together contain the frames of all splits, by layout.
_ALL_SPLITS = {'hitsz': ('train', 'test'), 'bupt': ('train', 'auxiliary', 'test')}
#: About 50 MB of JPEG or 130 MB of raw pixels at 288x144; a process needs a few times as much memory.
_FRAMES_PER_SHARD = {'jpeg': 8192, 'raw': 1024}


@dataclass(frozen=True)
class PackingPlan:
    """Everything that determines the content of the shards.

    Attributes:
        manifest: Manifest of the folder to write, with no shard finished.
        frames: Paths relative to the source, each once, ordered by tracklet.
    """

    manifest: Manifest
    frames: tuple[str, ...] = field(repr=False)

    def frames_of(self, shard: int) -> tuple[str, ...]:
        """Frames of one shard."""
        size = self.manifest.frames_per_shard
        return self.frames[shard * size : (shard + 1) * size]


def plan_packing(
    layout: str,
    source: str | Path,
    frame_format: FrameFormat | None = None,
    splits: Sequence[str] | None = None,
    fake_ir: bool = False,
    frames_per_shard: int | None = None,
) -> PackingPlan:
    """Read the index files of a dataset and plan its shards.

    Args:
        layout: ``'hitsz'`` or ``'bupt'``.
        source: Root of the dataset in its original layout.
        frame_format: Format of the packed frames; by default JPEG of quality 95, 288x144.
        splits: Splits to pack; all by default.
        fake_ir: Whether to also pack generated infrared frames (only layout ``'bupt'``).
        frames_per_shard: Frames per shard; by default 8,192 (JPEG) or 1,024 (raw).

    Returns:
        The plan.

    Raises:
        DatasetError: If the dataset is missing, malformed or already packed, or an index file links to outside it.
        ConfigError: If an argument is invalid.
    """
    frame_format = frame_format or FrameFormat()
    source = Path(source).expanduser().absolute()
    _check(layout, source, fake_ir, frames_per_shard)
    splits = tuple(splits or _ALL_SPLITS[layout])
    frames = tuple(dict.fromkeys(_listed_frames(layout, source, splits, fake_ir)))
    size = frames_per_shard or _FRAMES_PER_SHARD[frame_format.encoding]
    manifest = Manifest(
        layout=layout,
        source=str(source),
        frame_format=frame_format,
        splits=splits,
        fake_ir=fake_ir,
        frames_per_shard=size,
        num_frames=len(frames),
        plan=_digest(frames),
        index_files=_index_files(layout, source),
        shards=(None,) * -(-len(frames) // size),
    )
    return PackingPlan(manifest, frames)


def with_recorded(manifest: Manifest, recorded: Manifest) -> Manifest:
    """Copy the records of finished work to the plan's manifest.

    Args:
        manifest: Manifest of the plan.
        recorded: Manifest of the folder to write.

    Returns:
        The plan's manifest with the finished shards and frame table of ``recorded``.

    Raises:
        DatasetError: If the folder was written or started with a different plan.
    """
    for name in ('layout', 'frame_format', 'splits', 'fake_ir', 'frames_per_shard', 'plan', 'index_files'):
        before, now = getattr(recorded, name), getattr(manifest, name)
        if before != now:
            what = (
                'the index files of the source changed'
                if name in ('plan', 'index_files')
                else (f'{name} was {before}, now {now}')
            )
            raise DatasetError(f'the folder was packed differently ({what}); choose a new folder')
    return replace(manifest, shards=recorded.shards, table=recorded.table)


def _check(layout: str, source: Path, fake_ir: bool, frames_per_shard: int | None) -> None:
    if layout not in LAYOUTS:
        raise ConfigError(f'unknown layout {layout!r}; known are {", ".join(LAYOUTS)}')
    if fake_ir and layout != 'bupt':
        raise ConfigError('only layout bupt has generated infrared frames; leave fake_ir out')
    if frames_per_shard is not None and frames_per_shard < 1:
        raise ConfigError(f'a shard needs at least one frame, got {frames_per_shard}')
    if (source / MANIFEST).is_file():
        raise DatasetError(f'{source}: is packed already; pack from the original image files')


def _listed_frames(layout: str, source: Path, splits: Sequence[str], fake_ir: bool) -> Iterator[str]:
    """Yield the frames of tracklets of any length; the dataset that reads the packed frames filters by length."""
    settings = dict(labelled=False, min_seq_len=1, expected_statistics=None)
    variants = [settings, settings | dict(fake_ir=True)] if fake_ir else [settings]
    for split in splits:
        for variant in variants:
            try:
                tracklets = LAYOUTS[layout](source, split, **variant).tracklets
            except DatasetError as error:
                raise DatasetError(f'{error}; or pack without split {split!r} (--splits)') from None
            for tracklet in tracklets:
                yield from tracklet.frames


def _index_files(layout: str, source: Path) -> dict[str, str]:
    paths = {name: index_file(source, name) for name in LAYOUTS[layout].INDEX_FILES}
    return {name: sha256(path) for name, path in paths.items() if path.is_file()}


def _digest(frames: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.encode('utf-8', 'surrogatepass') + b'\n')
    return digest.hexdigest()
