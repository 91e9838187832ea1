"""Check everything that an adaptation needs before it starts: options, folder, source weights and tracklets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dscreid.apis.inference import init_model
from dscreid.apis.test import check_evaluations, why_no_evaluation
from dscreid.apis.train import RunOptions, check_folder
from dscreid.apis.train import prepare as prepare_config
from dscreid.datasets import TrackletFolder
from dscreid.deployment.bundle import CONTENT
from dscreid.engine.common_settings import walk
from dscreid.engine.extraction import cluster_hook_of
from dscreid.engine.runner import quiet_console
from dscreid.errors import ConfigError, DatasetError
from dscreid.pseudo_labels import ClusterLabeler, Labeler
from dscreid.pseudo_labels.labelers.base import build_clustering
from dscreid.registry import DATASETS
from dscreid.structures import Modality

#: Folder of the bundle in the work directory.
BUNDLE = 'bundle'
_LOOPS = ('val', 'test')
_NAMES = {Modality.RGB: 'visible', Modality.IR: 'infrared'}
#: Defaults of ``PseudoLabelSampler``.
_BATCH = {Modality.RGB: (2, 4), Modality.IR: (4, 4)}


@dataclass(frozen=True)
class AdaptOptions:
    """Options of ``dscreid adapt``, described by its ``--help``; ``config_options`` maps dotted keys to values."""

    folder: Path
    source: Path
    config: str = 'dsc/dsc_own'
    work_dir: Path | None = None
    out: Path | None = None
    license: str | None = None
    training_data: str | None = None
    test_from: str | None = None
    resume: bool = False
    overwrite: bool = False
    amp: bool = False
    config_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preparation:
    """A checked run, ready to start.

    Attributes:
        options: The given options, with ``work_dir`` and ``out`` filled in.
        run: Options of the training run.
        config: Config of the training run.
        dataset: The tracklets to adapt to, without persons.
        judged: The tracklets that the verdict is about, without persons: the test split, or else those of ``dataset``.
        why_used: Why ``judged`` are tracklets that the adaptation uses; None if it does not.
        unmeasured: Why nothing can be measured with labels; None if the folder names persons.
    """

    options: AdaptOptions
    run: RunOptions
    config: Config
    dataset: TrackletFolder
    judged: TrackletFolder
    why_used: str | None
    unmeasured: str | None

    @property
    def work_dir(self) -> Path:
        """Folder of the run."""
        return Path(self.config.work_dir)

    @property
    def checked_options(self) -> dict[str, Any]:
        """Overrides of the config for the doctor: as in the run, no pretrained weights are read."""
        parts = ((place, part) for place, part in walk(self.config._cfg_dict) if isinstance(part, Mapping))
        unused = {f'{place}.pretrained': None for place, part in parts if part.get('pretrained') is not None}
        return self.run.config_options | unused


def prepare(options: AdaptOptions) -> Preparation:
    """Read the folder and check that adaptation to it can work; nothing is written.

    Raises:
        ConfigError: If the config does not adapt to a ``TrackletFolder``, or the work directory or ``out`` is in use.
        CheckpointError: If the source weights are unsafe, damaged, or do not fit the config.
        DatasetError: If the folder cannot be read, or adaptation cannot work with it; the message says what would work.
    """
    init_default_scope('dscreid')
    quiet_console(MMLogger.get_current_instance())
    folder = options.folder.expanduser()
    if not options.source.is_file():
        raise ConfigError(f'{options.source}: no such file; name source weights with --source')
    work_dir = options.work_dir or Path('work_dirs') / f'adapt_{folder.resolve().name}'
    options = replace(options, folder=folder, work_dir=work_dir, out=options.out or work_dir / BUNDLE)
    _check_out(options)
    # the source stage is not needed, because its weights are named
    given = {'data_root': str(folder), 'source': None, **options.config_options}
    if options.test_from is not None:
        given['test_from'] = options.test_from
    unmeasured = _why_unmeasured(options, given)
    if unmeasured is not None:
        given = without_evaluation(given)
    run = _run_options(options, given)
    config = prepare_config(options.config, run)
    dataset = _dataset(config, options.config)
    if (reason := _refusal(config, dataset)) is not None:
        raise DatasetError(f'{folder}: {reason}')
    check_folder(config, run)
    init_model(config, options.source)  # fails early if the weights do not fit
    judged, why_used = judged_tracklets(config, dataset, needed=options.test_from is not None)
    return Preparation(options, run, config, dataset, judged, why_used, unmeasured)


def refusal(
    counts: Mapping[Modality, int],
    batch: Mapping[Modality, tuple[int, int]],
    min_samples: int = 2,
) -> str | None:
    """Explain in one sentence why tracklets cannot be adapted to, and what would work; None if they can.

    Both modalities are needed, but not two cameras: one camera can have a sensor of each.

    Args:
        counts: Number of tracklets of each modality.
        batch: Clusters, and tracklets of each, that a batch draws of each modality.
        min_samples: Smallest number of tracklets that can form a cluster.
    """
    for modality, name in _NAMES.items():
        if not counts[modality]:
            return (
                f'there are {counts[modality.other]} {_NAMES[modality.other]} tracklets but no {name} one; add a '
                f'folder CAMERA_{modality.value} of another camera, or of a second sensor, that sees the same people, '
                'because adaptation relates both modalities'
            )
    for modality, name in _NAMES.items():
        clusters, each = batch[modality]
        option = f'train_dataloader.sampler.{name}'
        if counts[modality] < clusters * each:
            return (
                f'there are {counts[modality]} {name} tracklets, but a batch draws {clusters * each} ({clusters} '
                f'clusters of {each}); record more, or draw fewer with --cfg-options "{option}=(2, 2)"'
            )
        if counts[modality] < clusters * min_samples:
            return (
                f'there are {counts[modality]} {name} tracklets, too few for {clusters} clusters of at least '
                f'{min_samples} tracklets, which a batch asks for; record at least {clusters * min_samples}, or use '
                f'--cfg-options "{option}=(2, {each})" or a smaller clustering.min_samples'
            )
    return None


def clustering_of(config: Mapping[str, Any]) -> Labeler:
    """Build the first ``ClusterLabeler`` of a config's ``ClusterHook``, or one with default settings."""
    parts = (part for _, part in walk((cluster_hook_of(config) or {}).get('labelers')) if isinstance(part, Mapping))
    own = next((part for part in parts if part.get('type') == 'ClusterLabeler'), {'type': 'ClusterLabeler'})
    return build_clustering({key: value for key, value in own.items() if key != 'begin_epoch'}, 'adapt')


def _run_options(options: AdaptOptions, config_options: dict[str, Any]) -> RunOptions:
    return RunOptions(
        work_dir=options.work_dir,
        resume=options.resume,
        overwrite=options.overwrite,
        amp=options.amp,
        source_checkpoint=options.source,
        config_options=config_options,
    )


def without_evaluation(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn off validation and test, and drop overrides of their data."""
    loaders = tuple(f'{loop}_dataloader' for loop in _LOOPS)
    kept = {key: value for key, value in given.items() if not key.startswith(tuple(f'{name}.' for name in loaders))}
    return {**kept, **dict.fromkeys(loaders)}


def _why_unmeasured(options: AdaptOptions, given: dict[str, Any]) -> str | None:
    """Explain why the config's test cannot measure anything in the folder; None if it can."""
    config = prepare_config(options.config, _run_options(options, given))
    try:
        if (reason := why_no_evaluation(config)) is None:
            check_evaluations(config)
    except DatasetError as error:
        return str(error)
    return reason


def _dataset(config: Config, name: str) -> TrackletFolder:
    """Build the training split; raise a ConfigError if it is not an unlabeled TrackletFolder."""
    loader = config.get('train_dataloader') or {}
    kinds = (loader.get('dataset') or {}).get('type'), (loader.get('sampler') or {}).get('type')
    if kinds != ('TrackletFolder', 'PseudoLabelSampler') or cluster_hook_of(config) is None:
        raise ConfigError(
            f'{name}: does not adapt to a TrackletFolder by pseudo labels; use dsc/dsc_own, or a config that inherits '
            'configs/_base_/datasets/tracklet_folder_target.py'
        )
    return DATASETS.build({**loader['dataset'], 'pipeline': []})


def _refusal(config: Config, dataset: TrackletFolder) -> str | None:
    """Apply :func:`refusal` to a dataset and the batches of a config."""
    sampler, clustering = config.train_dataloader.sampler, clustering_of(config)
    fixed = clustering.fixed.values() if isinstance(clustering, ClusterLabeler) else ()
    return refusal(
        {modality: len(dataset.indices(modality)) for modality in Modality},
        {modality: tuple(sampler.get(name, _BATCH[modality])) for modality, name in _NAMES.items()},
        max((one.get('min_samples', 2) for one in fixed), default=2),
    )


def judged_tracklets(
    config: Config, dataset: TrackletFolder, needed: bool = False
) -> tuple[TrackletFolder, str | None]:
    """Return the tracklets of the test split and None, or, if there are none, those of ``dataset`` and why.

    Raises:
        ConfigError: If they are ``needed``, but the config adapts to them.
        DatasetError: If tracklets of the test split cannot be used, or are of one modality only.
    """
    if needed and dataset.split != 'train':
        raise ConfigError(
            f'--test-from sets tracklets aside, but the config adapts to split {dataset.split}; use --cfg-options '
            'train_dataloader.dataset.split=train'
        )
    if (reason := _why_none(dataset)) is not None:
        return dataset, reason
    judged = DATASETS.build({**config.train_dataloader.dataset, 'split': 'test', 'pipeline': []})
    if missing := [name for one, name in _NAMES.items() if not len(judged.indices(one))]:
        raise DatasetError(
            f'{dataset.root}: split test has no usable {missing[0]} tracklet, so it cannot judge the adaptation; add '
            'some, or do not divide the tracklets'
        )
    return judged, None


def _why_none(dataset: TrackletFolder) -> str | None:
    """Explain why the test split has no tracklets that the adaptation does not use; None if it has."""
    if dataset.split != 'train':
        return f'the config adapts to split {dataset.split}'
    if dataset.known_splits == {''}:
        return 'none are set aside; --test-from TIME or the column split sets some aside'
    if dataset.splits_overlap:
        return 'some belong to both splits; write train or test in each line of the table'
    return None if 'test' in dataset.known_splits else 'none belong to split test'


def counted(dataset: TrackletFolder) -> str:
    """Say how many tracklets of each modality a dataset has."""
    visible, infrared = (len(dataset.indices(modality)) for modality in Modality)
    return f'{visible} visible and {infrared} infrared tracklets'


def _check_out(options: AdaptOptions) -> None:
    """Raise a ConfigError if the folder of the bundle contains something else, or a bundle that may not be replaced."""
    out = Path(options.out or '')
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CONTENT).is_file():
        raise ConfigError(f'{out}: exists and is not a bundle; choose another --out')
    if not (options.resume or options.overwrite):
        raise ConfigError(f'{out}: holds a bundle; choose another --out, or replace it with --overwrite')
