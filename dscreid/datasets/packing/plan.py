"""Plan which frames are packed, in which order and format."""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dscreid.datasets.index_files import index_file
from dscreid.datasets.storage import MANIFEST, FrameFormat
from dscreid.datasets.storage.manifest import Manifest
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATASETS
from dscreid.utils.checkpoint import sha256

_SHORT_NAMES = {'hitsz': 'hitsz_vcm', 'bupt': 'bupt_campus'}
#: About 50 MB of JPEG or 130 MB of raw pixels at 288x144; a process needs a few times as much memory.
_FRAMES_PER_SHARD = {'jpeg': 8192, 'raw': 1024}


@dataclass(frozen=True)
class PackingPlan:
    """Manifest of the folder to write, with no shard finished, and its frames, each once, ordered by tracklet."""

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
        layout: ``NAME`` of a registered dataset, or ``'hitsz'`` or ``'bupt'`` for short.
        source: Root of the dataset in its original layout.
        frame_format: Format of the packed frames; by default JPEG of quality 95, 288x144.
        splits: Splits to pack; all by default.
        fake_ir: Whether to also pack generated infrared frames (if the dataset has an argument ``fake_ir``).
        frames_per_shard: Frames per shard; by default 8,192 (JPEG) or 1,024 (raw).

    Raises:
        DatasetError: If the dataset is missing, malformed or already packed, or an index file links to outside it.
        ConfigError: If an argument is invalid.
    """
    frame_format = frame_format or FrameFormat()
    source = Path(source).expanduser().absolute()
    kind = dataset_class(layout)
    if fake_ir and 'fake_ir' not in inspect.signature(kind).parameters:
        raise ConfigError(f'dataset {kind.NAME} has no generated infrared frames; leave fake_ir out')
    if frames_per_shard is not None and frames_per_shard < 1:
        raise ConfigError(f'a shard needs at least one frame, got {frames_per_shard}')
    if (source / MANIFEST).is_file():
        raise DatasetError(f'{source}: already packed; pack from the original image files')
    splits = tuple(splits or kind.disjoint_splits())
    frames = tuple(dict.fromkeys(_listed_frames(kind, source, splits, fake_ir)))
    index_files = {name: index_file(source, name) for name in kind.INDEX_FILES}
    size = frames_per_shard or _FRAMES_PER_SHARD[frame_format.encoding]
    manifest = Manifest(
        layout=layout,
        source=str(source),
        frame_format=frame_format,
        splits=splits,
        fake_ir=fake_ir,
        frames_per_shard=size,
        num_frames=len(frames),
        plan=hashlib.sha256(''.join(f'{frame}\n' for frame in frames).encode('utf-8', 'surrogatepass')).hexdigest(),
        index_files={name: sha256(path) for name, path in index_files.items() if path.is_file()},
        shards=(None,) * -(-len(frames) // size),
    )
    return PackingPlan(manifest, frames)


def dataset_class(layout: str) -> type[TrackletDataset]:
    """Find a registered dataset by its ``NAME``, short name, or class name; raises ConfigError if there is none."""
    DATASETS.import_from_location()
    registered = DATASETS.module_dict
    kinds = {
        kind.NAME: kind for kind in registered.values() if isinstance(kind, type) and issubclass(kind, TrackletDataset)
    }
    kind = kinds.get(_SHORT_NAMES.get(layout, layout), registered.get(layout))
    if kind not in kinds.values():
        raise ConfigError(
            f'unknown layout {layout!r}; choose one of {", ".join([*_SHORT_NAMES, *kinds])}, or a config that imports '
            'your dataset (custom_imports)'
        )
    return kind


def with_recorded(manifest: Manifest, recorded: Manifest) -> Manifest:
    """Copy finished shards and the table from a folder's manifest; DatasetError if it was made by another plan."""
    for name in ('layout', 'frame_format', 'splits', 'fake_ir', 'frames_per_shard', 'plan', 'index_files'):
        before, now = getattr(recorded, name), getattr(manifest, name)
        if before == now or (name == 'layout' and dataset_class(before) is dataset_class(now)):
            continue
        what = f'{name} was {before}, now {now}'
        if name in ('plan', 'index_files'):
            what = 'the index files of the source changed'
        raise DatasetError(f'the folder was packed differently ({what}); choose a new folder')
    return replace(manifest, shards=recorded.shards, table=recorded.table)


def _listed_frames(kind: type[TrackletDataset], source: Path, splits: Sequence[str], fake_ir: bool) -> Iterator[str]:
    """Yield the frames of tracklets of any length; the dataset that reads the packed frames filters by length."""
    settings: dict[str, Any] = dict(labelled=False, min_seq_len=1, expected_statistics=None)
    for split in splits:
        for variant in [settings, settings | dict(fake_ir=True)] if fake_ir else [settings]:
            try:
                tracklets = kind(source, split, **variant).tracklets
            except DatasetError as error:
                raise DatasetError(f'{error}; or pack without split {split!r} (--splits)') from None
            for tracklet in tracklets:
                yield from tracklet.frames
