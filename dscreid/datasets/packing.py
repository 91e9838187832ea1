"""Write a dataset's frames to shards, which the same dataset classes read instead of the image files."""

import hashlib
import inspect
import multiprocessing
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dscreid.datasets.decoding import choose_decoder, decode_frame
from dscreid.datasets.index_files import index_file
from dscreid.datasets.storage import MANIFEST, FolderFrames, FrameFormat
from dscreid.datasets.storage.manifest import Manifest, ShardRecord, read_manifest, shard_name, write_manifest
from dscreid.datasets.storage.shards import write_shard
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.datasets.transforms import fit_frame
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATASETS
from dscreid.utils.checkpoint import sha256
from dscreid.utils.files import remove_partial_files, replacing
from dscreid.utils.progress import progress_bar, track

_SHORT_NAMES = {'hitsz': 'hitsz_vcm', 'bupt': 'bupt_campus'}
#: About 50 MB of JPEG or 130 MB of raw pixels at 288x144.
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
        fake_ir: Whether to also pack generated infrared frames, if the dataset has them.
        frames_per_shard: Frames per shard; by default 8,192 (JPEG) or 1,024 (raw).

    Raises DatasetError if the dataset is missing, malformed or already packed, or an index file links to outside it;
    ConfigError if an argument is invalid.
    """
    frame_format, source = frame_format or FrameFormat(), Path(source).expanduser().absolute()
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
        known = ', '.join([*_SHORT_NAMES, *kinds])
        raise ConfigError(f'unknown layout {layout!r}; choose one of {known}, or a config with your custom_imports')
    return kind


def with_recorded(manifest: Manifest, recorded: Manifest) -> Manifest:
    """Copy finished shards from a folder's manifest; DatasetError if it was made by another plan."""
    for name in ('layout', 'frame_format', 'splits', 'fake_ir', 'frames_per_shard', 'plan', 'index_files'):
        before, now = getattr(recorded, name), getattr(manifest, name)
        if before != now and not (name == 'layout' and dataset_class(before) is dataset_class(now)):
            changed = 'the index files of the source changed'
            what = changed if name in ('plan', 'index_files') else f'{name} was {before}, now {now}'
            raise DatasetError(f'the folder was packed differently ({what}); choose a new folder')
    return replace(manifest, shards=recorded.shards)


def _listed_frames(kind: type[TrackletDataset], source: Path, splits: Sequence[str], fake_ir: bool) -> Iterator[str]:
    settings: dict[str, Any] = dict(labelled=False, min_seq_len=1, expected_statistics=None)
    for split in splits:
        for variant in [settings, settings | dict(fake_ir=True)] if fake_ir else [settings]:
            try:
                tracklets = kind(source, split, **variant).tracklets
            except DatasetError as error:
                raise DatasetError(f'{error}; or pack without split {split!r} (--splits)') from None
            for tracklet in tracklets:
                yield from tracklet.frames


def pack(plan: PackingPlan, root: str | Path, jobs: int = 1) -> Manifest:
    """Write the missing and damaged files of a folder of packed frames.

    ``packing.json`` records each shard as soon as it is finished, so that an interrupted run can resume. The folder
    ``root`` is new, empty, or started with the same plan. ``jobs`` is the number of processes.

    Raises DatasetError if the folder contains other files, or a frame is missing or damaged.
    """
    root = Path(root).expanduser()
    manifest = _begin(plan, root)
    due = [number for number, record in enumerate(manifest.shards) if record is None]
    kept = sum(len(plan.frames_of(number)) for number, _ in _finished(manifest))
    with progress_bar() as bar:
        task = bar.add_task('packing frames', total=len(plan.frames), completed=kept)
        for number, record in _write_shards(plan, root, due, jobs):
            manifest = _with_record(manifest, number, record)
            write_manifest(root, manifest)
            bar.advance(task, len(plan.frames_of(number)))
    return manifest


def verify(root: str | Path) -> Manifest:
    """Compare every file of a folder of packed frames with its checksum, and return the manifest.

    Raises DatasetError if files are missing or damaged, or packing is not finished; gives the command that continues.
    """
    root = Path(root).expanduser()
    manifest = read_manifest(root)
    expected = {shard_name(number): record.sha256 for number, record in _finished(manifest)}
    expected.update(manifest.index_files)
    damaged = [name for name in track(expected, 'verifying') if not _is_intact(root / name, expected[name])]
    if damaged:
        what = f'{len(damaged)} files are missing or damaged: {", ".join(damaged)}'
        raise DatasetError(f'{root}: {what}; this command writes them again: {manifest.command(root)}')
    if not manifest.is_finished:
        raise DatasetError(f'{root}: not all frames are packed yet; this command continues: {manifest.command(root)}')
    return manifest


def make_shard(source: Path, frames: Sequence[str], path: Path, frame_format: FrameFormat) -> ShardRecord:
    """Write one shard atomically from frames below ``source``; FrameError for a frame that is missing or no image."""
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
    """Encode a frame, uint8 (H, W, 3) in RGB order, as raw pixels or a JPEG, gray if its channels are equal."""
    if frame_format.encoding == 'raw':
        return pixels.tobytes()
    is_gray = (pixels[..., :1] == pixels[..., 1:]).all()
    image = pixels[..., 0] if is_gray else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, frame_format.quality))[1].tobytes()


def _begin(plan: PackingPlan, root: Path) -> Manifest:
    """Create or resume the folder; damaged shards count as missing."""
    manifest = plan.manifest
    if (root / MANIFEST).is_file():
        try:
            manifest = with_recorded(manifest, read_manifest(root))
        except DatasetError as error:
            raise DatasetError(f'{root}: {error}') from None
        for folder in {(root / name).parent for name in (MANIFEST, shard_name(0), *manifest.index_files)}:
            remove_partial_files(folder)
        for number, record in track(_finished(manifest), 'verifying finished shards'):
            if not _is_intact(root / shard_name(number), record.sha256):
                manifest = _with_record(manifest, number, None)
    elif root.is_dir() and any(root.iterdir()):
        raise DatasetError(f'{root}: contains files but no packed frames; choose an empty or new folder')
    write_manifest(root, manifest)
    for name in manifest.index_files:
        with replacing(root / name) as path:
            shutil.copyfile(index_file(Path(manifest.source), name), path)
    return manifest


def _write_shards(plan: PackingPlan, root: Path, due: Iterable[int], jobs: int) -> Iterator[tuple[int, ShardRecord]]:
    source, frame_format = Path(plan.manifest.source), plan.manifest.frame_format
    tasks = ((number, (source, plan.frames_of(number), root / shard_name(number), frame_format)) for number in due)
    if jobs <= 1:
        yield from ((number, make_shard(*arguments)) for number, arguments in tasks)
        return
    # spawn instead of fork, because the progress bar has a thread
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context('spawn'), initializer=_start_worker)
    try:
        futures = {pool.submit(make_shard, *arguments): number for number, arguments in tasks}
        yield from ((futures[future], future.result()) for future in as_completed(futures))
    except BrokenProcessPool as error:
        raise DatasetError(
            'a packing process was killed, perhaps for lack of memory; run the command again with fewer --jobs'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Let only the parent handle Ctrl-C, and disable OpenCV's threads because images are small."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _finished(manifest: Manifest) -> list[tuple[int, ShardRecord]]:
    return [(number, record) for number, record in enumerate(manifest.shards) if record is not None]


def _with_record(manifest: Manifest, number: int, record: ShardRecord | None) -> Manifest:
    shards = list(manifest.shards)
    shards[number] = record
    return replace(manifest, shards=tuple(shards))


def _is_intact(path: Path, expected: str) -> bool:
    try:
        return sha256(path) == expected
    except OSError:
        return False
