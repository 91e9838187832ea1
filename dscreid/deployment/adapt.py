"""Adapt source weights to a folder of tracklets: train, compare without labels, write a page and a bundle."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dscreid.apis.inference import init_model
from dscreid.apis.test import Evaluation, check_evaluations, evaluate, why_no_evaluation, write_json
from dscreid.apis.train import RunOptions, check_folder, run_experiment
from dscreid.apis.train import prepare as prepare_config
from dscreid.datasets import TrackletFolder
from dscreid.deployment.adaptation import CAVEAT, Comparison, compare, different_people, refusal
from dscreid.deployment.adaptation_page import adaptation_html, comparison_text, neighbor_examples, write_page
from dscreid.deployment.bundle import CONTENT, Bundle, make_bundle, read_bundle
from dscreid.engine.checkpoint_files import FEATURES_FILE, METRICS_FILE
from dscreid.engine.common_settings import walk
from dscreid.engine.extraction import cluster_hook_of
from dscreid.engine.run_identity import weights_fingerprint
from dscreid.engine.runner import quiet_console
from dscreid.errors import ConfigError, DatasetError
from dscreid.evaluation import FeatureTable
from dscreid.evaluation.feature_file import load_features
from dscreid.pseudo_labels import ClusterLabeler, Labeler
from dscreid.pseudo_labels.labelers.base import build_clustering
from dscreid.registry import DATASETS
from dscreid.structures import Modality
from dscreid.utils.records import read_json_object
from dscreid.visualization.pictures import TrackletPictures

#: Files in the work directory: the page, its figures, and the folder with the features of the source weights.
PAGE, RECORD, BEFORE, AFTER, BUNDLE = 'adaptation.html', 'adaptation.json', 'before', 'after', 'bundle'
_LOOPS = ('val', 'test')
#: Defaults of ``PseudoLabelSampler``.
_BATCH = {Modality.RGB: (2, 4), Modality.IR: (4, 4)}


@dataclass(frozen=True)
class AdaptOptions:
    """Options of ``dscreid adapt``, described by its ``--help``; ``config_options`` are by dotted key."""

    folder: Path
    source: Path
    config: str = 'dsc/dsc_own'
    work_dir: Path | None = None
    out: Path | None = None
    license: str | None = None
    training_data: str | None = None
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
        unmeasured: Why nothing can be measured with labels; None if the folder names persons.
    """

    options: AdaptOptions
    run: RunOptions
    config: Config
    dataset: TrackletFolder
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


@dataclass(frozen=True)
class Adaptation:
    """Results of an adaptation."""

    evaluation: Evaluation
    comparison: Comparison
    page: Path
    bundle: Bundle

    def __str__(self) -> str:
        """Format for a terminal."""
        places = f'page: {self.page}\nbundle: {self.bundle.folder} (fingerprint {self.bundle.fingerprint})'
        return f'{self.evaluation}\n{places}\n{comparison_text(self.comparison)}'


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
    unmeasured = _why_unmeasured(options, given)
    if unmeasured is not None:
        given = _without_evaluation(given)
    run = _run_options(options, given)
    config = prepare_config(options.config, run)
    dataset = _dataset(config, options.config)
    if (reason := _refusal(config, dataset)) is not None:
        raise DatasetError(f'{folder}: {reason}')
    check_folder(config, run)
    init_model(config, options.source)  # fails early if the weights do not fit
    return Preparation(options, run, config, dataset, unmeasured)


def adapt(preparation: Preparation) -> Adaptation:
    """Extract features with the source weights, train, compare, and write page and bundle.

    An interrupted adaptation continues with ``resume``; features that were extracted are reused.
    """
    options, work_dir = preparation.options, preparation.work_dir
    before = _extracted(preparation, options.source, work_dir / BEFORE)
    if options.overwrite:
        for name in (PAGE, RECORD):
            (work_dir / name).unlink(missing_ok=True)
    evaluation = run_experiment(options.config, preparation.run)
    checkpoint = Path(evaluation.checkpoint)
    if preparation.unmeasured is None:  # the run wrote the features of the test set
        after = _extracted(preparation, checkpoint, work_dir / AFTER)
    else:
        after = load_features(work_dir / FEATURES_FILE)
    dataset = preparation.dataset
    rows = dataset.rows
    times = [(rows[index].start_time, rows[index].end_time) for index in before.index.tolist()]
    pairs = different_people(before.camera, before.modalities, times)
    comparison = compare(before, after, clustering_of(preparation.config), pairs)
    page = _write_page(preparation, comparison, {'before': before, 'after': after}, len(pairs))
    return Adaptation(evaluation, comparison, page, _write_bundle(preparation, checkpoint))


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


def _without_evaluation(given: Mapping[str, Any]) -> dict[str, Any]:
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
    keys = {Modality.RGB: 'visible', Modality.IR: 'infrared'}
    fixed = clustering.fixed.values() if isinstance(clustering, ClusterLabeler) else ()
    return refusal(
        {modality: len(dataset.indices(modality)) for modality in Modality},
        {modality: tuple(sampler.get(keys[modality], _BATCH[modality])) for modality in Modality},
        max((one.get('min_samples', 2) for one in fixed), default=2),
    )


def _extracted(preparation: Preparation, checkpoint: Path, folder: Path) -> FeatureTable:
    """Extract the features of the tracklets, or read those that an earlier run extracted with the same weights."""
    options = preparation.options
    given = _without_evaluation(preparation.run.config_options)
    config = prepare_config(options.config, replace(preparation.run, config_options=given))
    path, record = folder / FEATURES_FILE, folder / METRICS_FILE
    made = {'weights': weights_fingerprint(checkpoint), 'tracklets': preparation.dataset.fingerprint()}
    made['pipeline'] = str(config.get('eval_pipeline'))
    if path.is_file() and record.is_file():
        what = 'record of extracted features', 'remove it and run again'
        if read_json_object(record, *what).get('made') == made:
            return load_features(path)
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)  # it describes the features, so it is written after them
    evaluate(config, checkpoint, folder, out=record, dump_features=path, note={'made': made})
    return load_features(path)


def _write_page(
    preparation: Preparation, comparison: Comparison, tables: Mapping[str, FeatureTable], num_pairs: int
) -> Path:
    options, work_dir, dataset = preparation.options, preparation.work_dir, preparation.dataset
    counts = {modality: len(dataset.indices(modality)) for modality in Modality}
    notes = [
        f'`{options.folder}`: {counts[Modality.RGB]} visible and {counts[Modality.IR]} infrared tracklets, '
        f'{num_pairs} pairs of different people by time. Source weights: `{options.source}`.'
    ]
    examples = neighbor_examples(tables, dataset.camera_names)
    html = adaptation_html(options.folder.resolve().name, comparison, examples, TrackletPictures(dataset), notes)
    write_page(work_dir / PAGE, html)
    changes = [{**asdict(change), 'direction': change.direction} for change in comparison.changes]
    clusters = {modality.value: list(pair) for modality, pair in comparison.clusters.items()}
    record = dict(verdict=comparison.verdict, caveat=CAVEAT, changes=_plain(changes), clusters=clusters)
    write_json(work_dir / RECORD, record)
    return work_dir / PAGE


def _plain(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace NaN, which JSON does not have, by None."""
    return [{key: None if value != value else value for key, value in change.items()} for change in changes]


def _check_out(options: AdaptOptions) -> None:
    """Raise a ConfigError if the folder of the bundle contains something else, or a bundle that may not be replaced."""
    out = Path(options.out or '')
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CONTENT).is_file():
        raise ConfigError(f'{out}: exists and is not a bundle; choose another --out')
    if not (options.resume or options.overwrite):
        raise ConfigError(f'{out}: holds a bundle; choose another --out, or replace it with --overwrite')


def _write_bundle(preparation: Preparation, checkpoint: Path) -> Bundle:
    """Write the bundle next to its destination, then move it there in one step; one with the same features is kept."""
    options = preparation.options
    out = Path(options.out or '')
    out.parent.mkdir(parents=True, exist_ok=True)
    default = f'source weights {options.source.name}; {options.folder.resolve().name}, own cameras without labels'
    with tempfile.TemporaryDirectory(prefix='.bundle_', dir=out.parent) as folder:
        made = make_bundle(
            preparation.config,
            checkpoint,
            Path(folder) / 'new',
            license=options.license or 'not stated; ask the owner of the source weights and of the data',
            training_data=options.training_data or default,
        )
        if (out / CONTENT).is_file():
            # keep a calibration that was added to it
            if (old := read_bundle(out)).fingerprint == made.fingerprint and not options.overwrite:
                return old
            if not options.overwrite and out != preparation.work_dir / BUNDLE:
                raise ConfigError(f'{out}: holds the bundle of another model; choose another --out')
            os.replace(out, Path(folder) / 'old')
        os.replace(made.folder, out)
    return replace(made, folder=out)
