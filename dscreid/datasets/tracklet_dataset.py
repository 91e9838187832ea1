"""Base class of all datasets: a list of tracklets, their statistics and the pipeline that loads them."""

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset
from typing_extensions import Self

from dscreid.datasets.bad_frames import OnBadFrame, find_bad_frames, with_substitutes
from dscreid.datasets.index_files import shortened
from dscreid.datasets.label_noise import with_label_noise
from dscreid.datasets.records import (
    ModalityStatistics,
    describe_repeats,
    differences_from_published,
    first_rows,
    index_fingerprint,
    repeated_rows,
    split_statistics,
    statistics_table,
)
from dscreid.datasets.storage import open_frames
from dscreid.errors import ConfigError, DatasetError, MissingFileError
from dscreid.registry import TRANSFORMS
from dscreid.structures import Draw, Modality, Tracklet

#: Transforms, or their configs.
Pipeline = Sequence[Mapping[str, Any] | Callable[[dict], dict]]


@dataclass(frozen=True)
class ParsedIndex:
    """Content of a dataset's index files for one split."""

    tracklets: list[Tracklet]  #: records without person ids (``pid`` is None)
    pids: np.ndarray  #: int64 (N,), person ids of the records; negative if unknown
    wheres: Sequence[str]  #: ``file:line`` of each record, for messages
    warnings: tuple[str, ...] = ()  #: warnings about suspicious entries, for the log


class TrackletDataset(Dataset, ABC):
    """Tracklets of one split. A subclass sets ``NAME`` and implements ``parse_index``.

    Class attributes of a subclass; all except ``NAME`` are optional:

    - ``NAME``: name of the dataset in logs, checkpoints and ``dscreid pack``.
    - ``SPLITS``, ``TRAIN_SPLITS``: all splits, and those used for training. ``'a+b'`` is the union of two splits.
    - ``LAYOUT``: expected content of the root, for error messages.
    - ``INDEX_FILES``: all possible paths of index files below the root; ``dscreid pack`` copies them.
    - ``MIN_SEQ_LEN``: default of ``min_seq_len``.
    - ``PUBLISHED``: published counts by name, as numbers or inclusive ranges, compared with ``census()``.
    - ``DIVIDED_BY``: names of the arguments that decide which tracklets a split has.

    If the pipeline ends with ``PackTracklet``, an item is a dict with ``inputs`` (uint8 (T, 3, H, W), RGB order)
    and ``data_samples`` (``ReIDDataSample``). All randomness of an item comes from the seed of its ``Draw``.

    With ``labelled=False``, no record and no attribute contains a person id; only ``read_ground_truth`` reads them
    from the index files. In a labeled train split, every tracklet needs a person id; elsewhere ``pid`` may be None.

    Args:
        root: Folder of the dataset, in its original layout or packed by ``dscreid pack``.
        split: One of the class's ``SPLITS``.
        pipeline: Transforms, or their configs, applied in order to the dict that ``__getitem__`` makes.
        labelled: Whether records have person ids (and, in a train split, contiguous labels).
        modality: ``'rgb'`` or ``'ir'`` keeps only the tracklets of that modality.
        min_seq_len: Minimum number of frames; shorter tracklets are left out. None means ``MIN_SEQ_LEN``.
        expected_statistics: ``'published'`` logs differences from the published counts; None for other data.
        on_bad_frame: What to do with missing or incomplete images: ``'error'``, ``'substitute'`` (read the nearest
            readable frame of the tracklet) or ``'skip_tracklet'`` (leave out the tracklet and number identities without
            it). The last two decode all frames when the dataset is created; see ``bad_frames.find_bad_frames``.

    Attributes:
        tracklets: The records, ``list[Tracklet]``.
        storage: Storage that their frames are read from, ``FrameStorage``.
        labels: int64 (N,) in [0, num_classes), rank of the person id in the split; None unless a labeled train split.
        num_classes: Number of identities in ``labels``; None without labels.
        cameras: int64 (N,), camera of each tracklet.
        same_as: int64 (N,), row of the first tracklet with the same frames, for example if a query is in the gallery.
        wheres: ``file:line`` of each tracklet; None in an unlabeled split, because line numbers may reveal identities.
        repeats: Descriptions of the index lines that are left out because they repeat an earlier one.
        num_skipped_tracklets: Tracklets left out by ``on_bad_frame='skip_tracklet'``.
        splits_overlap: Whether the index puts tracklets in several splits on purpose.
        single_frames: Whether the data set consists of single pictures, which show no motion.
        persons_recur: Whether a person may be in several splits, for example because they are divided by time.
        pids_per_split: Whether the index numbers the persons of each split anew, so that splits cannot be compared.

    Raises DatasetError if the root, an index file or packed frames are missing, malformed or damaged; ConfigError if an
    argument is invalid.
    """

    NAME: ClassVar[str]
    SPLITS: ClassVar[tuple[str, ...]] = ('train', 'test')
    TRAIN_SPLITS: ClassVar[tuple[str, ...]] = ('train',)
    LAYOUT: ClassVar[str] = ''
    INDEX_FILES: ClassVar[tuple[str, ...]] = ()
    MIN_SEQ_LEN: ClassVar[int] = 1
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = MappingProxyType({})
    DIVIDED_BY: ClassVar[tuple[str, ...]] = ()

    splits_overlap = False
    single_frames = False
    persons_recur = False
    pids_per_split = False
    # a training split sets its own pipeline
    common_settings = MappingProxyType(
        {'root': 'data_root', 'on_bad_frame': 'on_bad_frame', 'pipeline': 'eval_pipeline'}
    )

    def __init__(
        self,
        root: str | Path,
        split: str,
        pipeline: Pipeline = (),
        labelled: bool = True,
        modality: str | None = None,
        min_seq_len: int | None = None,
        expected_statistics: str | None = 'published',
        on_bad_frame: str = 'error',
        label_noise: float = 0.0,
        label_noise_seed: int = 0,
    ) -> None:
        try:
            self.root = Path(root).expanduser()
            self.root.is_dir()
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            name = f'{type(self).__name__}: root {str(root)[:200]!r}'
            raise ConfigError(f'{name} is not a usable path ({error})') from None
        self.split = split
        self.labelled = labelled
        self._check_arguments(modality, expected_statistics, on_bad_frame)
        self.modality = None if modality is None else Modality(modality)
        self.min_seq_len = self.MIN_SEQ_LEN if min_seq_len is None else min_seq_len
        self.on_bad_frame = OnBadFrame(on_bad_frame)
        self.num_skipped_tracklets = 0
        self._bad_frames: dict[str, str] | None = None
        self.storage = open_frames(self.root)
        self.pipeline = self._build_pipeline(pipeline)
        self.labels: np.ndarray | None = None
        warnings = self._load()
        if self.labels is not None:
            self.labels = with_label_noise(self.labels, self._is_rgb, label_noise, label_noise_seed)
        elif label_noise:
            raise ConfigError(f'{type(self).__name__}: label_noise needs a labeled train split')
        self._log_report(warnings, expected_statistics)

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.tracklets)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        """Load the tracklet of a draw (a plain index means seed 0) and return the output of the pipeline."""
        index, seed, position = draw if isinstance(draw, tuple) else Draw(int(draw), seed=0)
        results = {
            'tracklet': self._substituted.get(index, self.tracklets[index]),
            'root': self.root,
            'storage': self.storage,
            'index': index,
            'same_as': int(self.same_as[index]),
            'seed': seed,
            'position': position,
            'label': None if self.labels is None else int(self.labels[index]),
            'rng': np.random.default_rng([seed, index]),
            'on_bad_frame': self.on_bad_frame,
        }
        for transform in self.pipeline:
            results = transform(results)
        return results

    def with_pipeline(self, pipeline: Pipeline) -> Self:
        """Return a dataset of the same tracklets, without reading the index again, that loads them differently."""
        other = copy.copy(self)
        other.pipeline = self._build_pipeline(pipeline)
        return other

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name, split and index fingerprint, for logs and checkpoints; a new dict on each access."""
        return {'dataset': self.NAME, 'split': self.split, 'fingerprint': self._fingerprint}

    def indices(self, modality: Modality | str) -> np.ndarray:
        """Positions of the tracklets of one modality, int64 (n,), ascending."""
        return np.flatnonzero(self._is_rgb == (Modality(modality) is Modality.RGB))

    def statistics(self) -> dict[str, ModalityStatistics]:
        """Count ``'rgb'``, ``'ir'`` and ``'all'`` tracklets; identities are None in an unlabeled split."""
        return split_statistics(self.tracklets)

    def fingerprint(self) -> str:
        """Digest of the records (frames, modality, camera, query flag, pid if labeled), 16 hex digits."""
        return self._fingerprint

    def bad_frames(self) -> list[dict[str, str]]:
        """List ``frame`` and ``fault`` of the bad frames that are substituted, or whose tracklets are left out."""
        return [dict(frame=frame, fault=fault) for frame, fault in sorted((self._bad_frames or {}).items())]

    def missing_identities(self) -> str | None:
        """Explain why retrieval cannot be evaluated on this split; None if any tracklet has a person id."""
        if any(tracklet.pid is not None for tracklet in self.tracklets):
            return None
        reason = 'no tracklet has a person id' if self.labelled else 'it is read with labelled=False'
        return f'split {self.split!r} of {type(self).__name__} in {self.root}: {reason}'

    def differences_from_published(self) -> list[str]:
        """List the differences between the whole index (all splits) and the published counts; raises DatasetError."""
        return differences_from_published(self.census(), self.PUBLISHED)

    def read_ground_truth(self) -> np.ndarray:
        """Read the person ids, int64 (N,), from the index files, for diagnostics only, never for training.

        Raises DatasetError if the index lacks ids (negative numbers) or has changed since it was loaded.
        """
        parsed, _, _ = self._select(self.parse_index())
        if [t.frames for t in parsed.tracklets] != [t.frames for t in self.tracklets]:
            raise DatasetError(f'{self.root}: the index files were changed while in use; start again')
        if (parsed.pids < 0).any():
            raise DatasetError(
                f'{self.root}: the index of split {self.split!r} has no person ids, which diagnostics need'
            )
        return parsed.pids

    @abstractmethod
    def parse_index(self) -> ParsedIndex:
        """Read the split's index; if ``labelled`` is False, the order must not depend on person ids.

        Raises DatasetError, with file and line, if a file is missing or malformed.
        """

    def census(self) -> dict[str, int]:
        """Count over the whole index (all splits), with the keys of ``PUBLISHED``; only used for the log."""
        return {}

    @classmethod
    def disjoint_splits(cls) -> tuple[str, ...]:
        """Splits that are not the union of others; together they contain all tracklets."""
        return tuple(split for split in cls.SPLITS if '+' not in split)

    def _build_pipeline(self, pipeline: Pipeline) -> list[Callable[[dict], dict]]:
        steps: Sequence[Any] = pipeline if isinstance(pipeline, (list, tuple)) else [pipeline]
        transforms = [TRANSFORMS.build(dict(step)) if isinstance(step, Mapping) else step for step in steps]
        if not (isinstance(pipeline, (list, tuple)) and all(map(callable, transforms))):
            raise ConfigError(
                f'{type(self).__name__}: pipeline must list transforms, as dict(type=...), got {pipeline!r}'
            )
        return transforms

    def _check_arguments(self, modality: str | None, expected_statistics: str | None, on_bad_frame: str) -> None:
        for name, value, choices in (
            ('split', self.split, self.SPLITS),
            ('modality', modality, ('rgb', 'ir', None)),
            ('expected_statistics', expected_statistics, ('published', None)),
            ('on_bad_frame', on_bad_frame, ('error', 'substitute', 'skip_tracklet')),
        ):
            if value not in choices:
                raise ConfigError(f'{type(self).__name__}: {name} must be one of {choices}, got {value!r}')
        if not self.root.is_dir():
            layout = f'; expected there: {self.LAYOUT}' if self.LAYOUT else ''
            raise DatasetError(
                f'{self.root}: the data root of {type(self).__name__} is not a folder; set it with --cfg-options '
                f'data_root=FOLDER or with the environment variable named in the config{layout}'
            )

    def _load(self) -> tuple[str, ...]:
        try:
            everything = self.parse_index()
        except MissingFileError as error:
            if self.split in self.TRAIN_SPLITS:
                raise
            remedy = 'set val_dataloader=None and test_dataloader=None if the target has no test set'
            raise MissingFileError(f'{error}; {remedy}') from None
        repeats = repeated_rows(everything.tracklets)
        pids = everything.pids if self.labelled else np.full(len(everything.pids), -1)
        self.repeats = describe_repeats(repeats, everything.wheres, pids)
        parsed, self.labels, self.num_classes = self._select(everything)
        if not parsed.tracklets:
            raise DatasetError(
                f'{self.root}: split {self.split!r} has no tracklet of at least {self.min_seq_len} frames'
                f'{"" if self.modality is None else f" and modality {self.modality.value}"}; check the '
                'index files'
            )
        self.tracklets = parsed.tracklets
        if self.labelled:
            known = zip(parsed.tracklets, parsed.pids.tolist(), strict=True)
            self.tracklets = [replace(t, pid=pid) if pid >= 0 else t for t, pid in known]
        self.cameras = np.array([t.camera for t in self.tracklets], dtype=np.int64)
        self.wheres = list(parsed.wheres) if self.labelled else None
        self.same_as = first_rows(self.tracklets)
        self._is_rgb = np.array([t.modality is Modality.RGB for t in self.tracklets])
        self._fingerprint = index_fingerprint(self.tracklets)
        bad = self._bad_frames if self.on_bad_frame is OnBadFrame.SUBSTITUTE and self._bad_frames else {}
        self._substituted = {
            row: with_substitutes(t, bad, self.root)
            for row, t in enumerate(self.tracklets)
            if not bad.keys().isdisjoint(t.frames)
        }
        if not self.repeats:
            return parsed.warnings
        return (
            *parsed.warnings,
            f'{self.root}: {len(self.repeats)} lines of split {self.split!r} list a tracklet that an earlier line '
            f'lists, and are left out: {shortened(self.repeats, 5)}; remove these lines from the index',
        )

    def _select(self, parsed: ParsedIndex) -> tuple[ParsedIndex, np.ndarray | None, int | None]:
        """Leave out records, number the identities, then apply ``modality``."""
        keep = np.array([len(t) >= self.min_seq_len for t in parsed.tracklets], dtype=bool)
        keep[list(repeated_rows(parsed.tracklets))] = False
        if self.on_bad_frame is not OnBadFrame.ERROR and self._bad_frames is None:
            checked = [t for t, kept in zip(parsed.tracklets, keep, strict=True) if kept]
            self._bad_frames = find_bad_frames(self.storage, checked, index_fingerprint(checked))
        if self.on_bad_frame is OnBadFrame.SKIP_TRACKLET and self._bad_frames:
            good = np.array([self._bad_frames.keys().isdisjoint(t.frames) for t in parsed.tracklets], dtype=bool)
            self.num_skipped_tracklets = int((keep & ~good).sum())
            keep &= good
        labels = num_classes = None
        if self.labelled and self.split in self.TRAIN_SPLITS:
            identities = np.unique(parsed.pids[keep])
            labels, num_classes = np.searchsorted(identities, parsed.pids), len(identities)
        if self.modality is not None:
            keep &= np.array([t.modality is self.modality for t in parsed.tracklets], dtype=bool)
        rows = np.flatnonzero(keep)
        selected = replace(
            parsed,
            tracklets=[parsed.tracklets[i] for i in rows],
            pids=parsed.pids[rows],
            wheres=[parsed.wheres[i] for i in rows],
        )
        return selected, None if labels is None else labels[rows].astype(np.int64), num_classes

    def _log_report(self, warnings: tuple[str, ...], expected_statistics: str | None) -> None:
        title = (
            f'{type(self).__name__} {self.split} ({"labeled" if self.labelled else "unlabeled"}) in '
            f'{self.root}, index {self._fingerprint}'
        )
        if self.storage.frame_format is not None:
            title += f', frames packed as {self.storage.frame_format}'
        print_log(f'{title}\n{statistics_table(self.statistics())}', logger='current')
        if self._bad_frames:
            number = self.num_skipped_tracklets or len(self._substituted)
            fate = 'are left out' if self.num_skipped_tracklets else 'repeat readable frames'
            warnings += (
                f'{self.root}: {number} tracklets of split {self.split!r} {fate}, since they contain '
                f'{len(self._bad_frames)} unreadable frames: {shortened(sorted(self._bad_frames), 10)}',
            )
        if expected_statistics == 'published' and self.PUBLISHED:
            warnings += self._published_warnings()
        for warning in warnings:
            print_log(warning, logger='current', level=logging.WARNING)

    def _published_warnings(self) -> tuple[str, ...]:
        try:
            found = '; '.join(self.differences_from_published())
        except DatasetError as error:  # another split's index file; this split is still usable
            return (f'{self.root}: the index was not compared with the published counts ({error})',)
        how = 'Is the download complete? (expected_statistics=None silences this.)'
        return (f'{self.root} differs from {type(self).__name__} as published: {found}. {how}',) if found else ()


def why_not_evaluated(dataset: Dataset) -> str | None:
    """Explain why retrieval cannot be evaluated on a dataset; None if it can, and for other classes of datasets."""
    return dataset.missing_identities() if isinstance(dataset, TrackletDataset) else None
