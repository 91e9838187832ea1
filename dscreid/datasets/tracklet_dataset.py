"""Base of all datasets: a list of tracklets, their statistics and the pipeline that loads them."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from dscreid.datasets.audit import (
    ModalityStatistics,
    differences_from_published,
    index_fingerprint,
    split_statistics,
    statistics_table,
)
from dscreid.datasets.ground_truth import GroundTruth
from dscreid.datasets.storage import open_frames
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import TRANSFORMS
from dscreid.structures import Draw, Modality, Tracklet


@dataclass(frozen=True)
class ParsedIndex:
    """What a dataset's index files say about one split.

    Attributes:
        tracklets: Records without person ids (``pid`` is None in each).
        pids: int64 (N,), the person ids of the records; negative where the index holds none.
        warnings: Sentences about suspicious entries, for the log.
    """

    tracklets: list[Tracklet]
    pids: np.ndarray
    warnings: tuple[str, ...] = ()


class TrackletDataset(Dataset, ABC):
    """Tracklets of one split; subclasses read their owners' index files.

    An item is a dict ``inputs`` (uint8 (T, 3, H, W), RGB order) and ``data_samples`` (``ReIDDataSample``)
    once the pipeline ends with ``PackTracklet``. All randomness of an item comes from the seed of its
    ``Draw``; the dataset holds nothing that changes between epochs, so persistent workers serve it safely.

    With ``labelled=False`` no record and no attribute carries a person id; only ``read_ground_truth`` reads
    them, afresh from the index files.

    Args:
        root: Folder of the dataset, in its owners' layout or packed by ``tools/dataset_converters/pack.py``.
        split: One of the class's ``SPLITS``.
        pipeline: Transforms, or their configs, applied in order to a dict with ``tracklet``, ``root``,
            ``storage`` (``FrameStorage``), ``index``, ``seed``, ``label`` (int or None) and ``rng`` (numpy
            Generator seeded from the draw).
        labelled: Whether records carry person ids (and, in a train split, contiguous labels).
        modality: ``'rgb'`` or ``'ir'`` keeps only the tracklets of that modality.
        min_seq_len: Tracklets with fewer frames are left out.
        expected_statistics: ``'published'`` compares the index with the counts that its owners published, and
            warns where they differ; None for other data in the same layout.

    Attributes:
        tracklets: The records, ``list[Tracklet]``.
        storage: Where their frames are read, ``FrameStorage``.
        labels: int64 (N,) in [0, num_classes), the rank of a tracklet's person id among the split's ids; None
            unless this is a labelled train split.
        num_classes: Number of identities behind ``labels``; None without labels.
        cameras: int64 (N,), camera of each tracklet.

    Raises:
        DatasetError: If the root is missing, or an index file is missing or malformed, or packed frames are
            unfinished or damaged.
        ConfigError: If an argument is out of its choices.
    """

    NAME: ClassVar[str]
    SPLITS: ClassVar[tuple[str, ...]]
    TRAIN_SPLITS: ClassVar[tuple[str, ...]]
    ROOT_VARIABLE: ClassVar[str]
    LAYOUT: ClassVar[str]
    INDEX_FILES: ClassVar[tuple[str, ...]]  # every place where an index file may lie below the root
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]]

    def __init__(
        self,
        root: str | Path,
        split: str,
        pipeline: Sequence[Mapping[str, Any] | Callable[[dict], dict]] = (),
        labelled: bool = True,
        modality: str | None = None,
        min_seq_len: int = 1,
        expected_statistics: str | None = 'published',
    ) -> None:
        self.root = Path(root).expanduser()
        self.split = split
        self.labelled = labelled
        self.modality = self._choose_modality(modality)
        self.min_seq_len = min_seq_len
        self._check_arguments(expected_statistics)
        self._check_root()
        self.storage = open_frames(self.root)
        self.pipeline = [TRANSFORMS.build(dict(t)) if isinstance(t, Mapping) else t for t in pipeline]
        warnings = self._load()
        self._log_report(warnings, expected_statistics)

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.tracklets)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        """Load one tracklet.

        Args:
            draw: Index and seed; a bare index means seed 0.

        Returns:
            What the pipeline makes of it: ``inputs`` and ``data_samples`` after ``PackTracklet``.
        """
        index, seed = draw if isinstance(draw, tuple) else (int(draw), 0)
        results = {
            'tracklet': self.tracklets[index],
            'root': self.root,
            'storage': self.storage,
            'index': index,
            'seed': seed,
            'label': None if self.labels is None else int(self.labels[index]),
            'rng': np.random.default_rng([seed, index]),
        }
        for transform in self.pipeline:
            results = transform(results)
        return results

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name, split and index fingerprint, for logs and checkpoints; a fresh dict."""
        return {'dataset': self.NAME, 'split': self.split, 'fingerprint': self._fingerprint}

    def indices(self, modality: Modality | str) -> np.ndarray:
        """Positions of one modality's tracklets.

        Args:
            modality: ``'rgb'`` or ``'ir'``.

        Returns:
            int64 (n,), ascending.
        """
        return np.flatnonzero(self._is_rgb == (Modality(modality) is Modality.RGB))

    def statistics(self) -> dict[str, ModalityStatistics]:
        """Counts of ``'rgb'``, ``'ir'`` and ``'all'``; identities are None in an unlabelled split."""
        return split_statistics(self.tracklets)

    def fingerprint(self) -> str:
        """Digest of the records (frames, modality, camera, query flag, pid if labelled), 16 hex digits."""
        return self._fingerprint

    def read_ground_truth(self) -> GroundTruth:
        """Read the person ids from the index files, for diagnostics.

        Returns:
            Person ids row-aligned with ``tracklets``.

        Raises:
            DatasetError: If the index holds no ids (negative numbers), or was changed since it was loaded.
        """
        parsed = self._select(self._parse())[0]
        if [t.frames for t in parsed.tracklets] != [t.frames for t in self.tracklets]:
            raise DatasetError(f'{self.root}: the index files were changed while in use; start again')
        if (parsed.pids < 0).any():
            raise DatasetError(
                f'{self.root}: the index of split {self.split!r} holds no person ids; diagnostics that '
                'compare with the truth need them, training of an unlabelled split does not'
            )
        return GroundTruth(parsed.pids)

    @abstractmethod
    def _parse(self) -> ParsedIndex:
        """Read the split's index files; the order of records must not depend on pids if unlabelled."""

    @abstractmethod
    def _census(self) -> dict[str, int]:
        """Counts over the whole index, all splits, under the keys of ``PUBLISHED``; for the log only."""

    @staticmethod
    def _choose_modality(modality: str | None) -> Modality | None:
        try:
            return None if modality is None else Modality(modality)
        except ValueError:
            raise ConfigError(f"modality must be 'rgb', 'ir' or None, got {modality!r}") from None

    def _check_arguments(self, expected_statistics: str | None) -> None:
        if self.split not in self.SPLITS:
            raise ConfigError(
                f'{type(self).__name__}: split must be one of {self.SPLITS}, got {self.split!r}'
            )
        if expected_statistics not in ('published', None):
            raise ConfigError(f"expected_statistics must be 'published' or None, got {expected_statistics!r}")

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise DatasetError(
                f'{self.root}: the data root of {type(self).__name__} is no folder; set it in the config '
                '(`root` of the dataset, or `--cfg-options`) or by the environment variable '
                f'{self.ROOT_VARIABLE}; expected there: {self.LAYOUT}'
            )

    def _load(self) -> tuple[str, ...]:
        """Set the attributes; return what to warn of."""
        parsed, labels, num_classes = self._select(self._parse())
        if not parsed.tracklets:
            raise DatasetError(
                f'{self.root}: split {self.split!r} has no tracklet of at least {self.min_seq_len} frames'
                f'{"" if self.modality is None else f" and modality {self.modality.value}"}; check the '
                'index files'
            )
        self.tracklets = parsed.tracklets
        if self.labelled:
            self.tracklets = [
                replace(t, pid=int(p)) for t, p in zip(parsed.tracklets, parsed.pids, strict=True)
            ]
        self.labels, self.num_classes = labels, num_classes
        self.cameras = np.array([t.camera for t in self.tracklets], dtype=np.int64)
        self._is_rgb = np.array([t.modality is Modality.RGB for t in self.tracklets])
        self._fingerprint = index_fingerprint(self.tracklets)
        return parsed.warnings

    def _select(self, parsed: ParsedIndex) -> tuple[ParsedIndex, np.ndarray | None, int | None]:
        """Apply ``min_seq_len``, number the identities, and then apply ``modality``."""
        keep = np.array([len(t) >= self.min_seq_len for t in parsed.tracklets], dtype=bool)
        labels = num_classes = None
        if self.labelled and self.split in self.TRAIN_SPLITS:
            identities = np.unique(parsed.pids[keep])
            labels, num_classes = np.searchsorted(identities, parsed.pids), len(identities)
        if self.modality is not None:
            keep &= np.array([t.modality is self.modality for t in parsed.tracklets], dtype=bool)
        rows = np.flatnonzero(keep)
        selected = ParsedIndex([parsed.tracklets[i] for i in rows], parsed.pids[rows], parsed.warnings)
        return selected, None if labels is None else labels[rows].astype(np.int64), num_classes

    def _log_report(self, warnings: tuple[str, ...], expected_statistics: str | None) -> None:
        title = (
            f'{type(self).__name__} {self.split} ({"labelled" if self.labelled else "unlabelled"}) in '
            f'{self.root}, index {self._fingerprint}'
        )
        if self.storage.frame_format is not None:
            title += f', frames packed as {self.storage.frame_format}'
        print_log(f'{title}\n{statistics_table(self.statistics())}', logger='current')
        if expected_statistics == 'published':
            warnings += self._published_warnings()
        for warning in warnings:
            print_log(warning, logger='current', level=logging.WARNING)

    def _published_warnings(self) -> tuple[str, ...]:
        try:
            differences = differences_from_published(self._census(), self.PUBLISHED)
        except DatasetError as error:  # an index file of another split: this one can still be used
            return (f'{self.root}: the index was not compared with the published counts ({error})',)
        if not differences:
            return ()
        return (
            f'{self.root} differs from {type(self).__name__} as published: {"; ".join(differences)}. '
            'Is the download complete? (expected_statistics=None silences this.)',
        )
