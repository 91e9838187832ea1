"""Adapt source weights to a folder of tracklets: train, compare without labels, write a page and a bundle."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dscreid.apis.test import Evaluation, evaluate, write_json
from dscreid.apis.train import prepare as prepare_config
from dscreid.apis.train import run_experiment
from dscreid.deployment.adapt_preparation import BUNDLE, Preparation, clustering_of, counted, without_evaluation
from dscreid.deployment.adaptation import compare
from dscreid.deployment.adaptation_page import adaptation_html, comparison_text, neighbor_examples, write_page
from dscreid.deployment.bundle import CONTENT, Bundle, make_bundle, read_bundle
from dscreid.deployment.different_people import different_people
from dscreid.deployment.verdict import Comparison
from dscreid.engine.checkpoint_files import FEATURES_FILE, METRICS_FILE
from dscreid.engine.run_identity import weights_fingerprint
from dscreid.errors import ConfigError
from dscreid.evaluation import FeatureTable
from dscreid.evaluation.feature_file import load_features
from dscreid.utils.records import read_json_object
from dscreid.visualization.pictures import TrackletPictures

#: Files in the work directory: the page, its figures, and the folders with the features before and after.
PAGE, RECORD, BEFORE, AFTER = 'adaptation.html', 'adaptation.json', 'before', 'after'


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


def adapt(preparation: Preparation) -> Adaptation:
    """Extract features with the source weights, train, compare, and write page and bundle.

    An interrupted adaptation continues with ``resume``; features that were extracted are reused.
    """
    options, work_dir = preparation.options, preparation.work_dir
    before = _extracted(preparation, options.source, work_dir / BEFORE)
    if options.overwrite:
        outdated = (PAGE, RECORD, *(f'{AFTER}/{name}' for name in (FEATURES_FILE, METRICS_FILE)))
        for name in outdated:
            (work_dir / name).unlink(missing_ok=True)
    evaluation = run_experiment(options.config, preparation.run)
    checkpoint = Path(evaluation.checkpoint)
    if preparation.unmeasured is None or preparation.why_used is None:  # the run wrote the features of other tracklets
        after = _extracted(preparation, checkpoint, work_dir / AFTER)
    else:
        after = load_features(work_dir / FEATURES_FILE)
    rows = preparation.judged.rows
    times = [(rows[index].start_time, rows[index].end_time) for index in before.index.tolist()]
    pairs = different_people(before.camera, before.modalities, times)
    held_out = preparation.why_used is None
    comparison = compare(before, after, clustering_of(preparation.config), pairs, held_out=held_out)
    page = _write_page(preparation, comparison, {'before': before, 'after': after}, len(pairs))
    return Adaptation(evaluation, comparison, page, _write_bundle(preparation, checkpoint))


def _extracted(preparation: Preparation, checkpoint: Path, folder: Path) -> FeatureTable:
    """Extract the features of ``judged``, or read those that an earlier run extracted with the same weights."""
    options = preparation.options
    given = without_evaluation(preparation.run.config_options)
    given['train_dataloader.dataset.split'] = preparation.judged.split
    config = prepare_config(options.config, replace(preparation.run, config_options=given))
    path, record = folder / FEATURES_FILE, folder / METRICS_FILE
    made = {'weights': weights_fingerprint(checkpoint), 'tracklets': preparation.judged.fingerprint()}
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
    options, work_dir, judged = preparation.options, preparation.work_dir, preparation.judged
    note = f'Adapted to {counted(preparation.dataset)} of `{options.folder}`'
    if preparation.why_used is None:
        note += f', judged by {counted(judged)} that were set aside'
    notes = [f'{note}; {num_pairs} pairs of different people by time. Source weights: `{options.source}`.']
    examples = neighbor_examples(tables, judged.camera_names)
    html = adaptation_html(options.folder.resolve().name, comparison, examples, TrackletPictures(judged), notes)
    write_page(work_dir / PAGE, html)
    changes = [{**asdict(change), 'direction': change.direction} for change in comparison.changes]
    clusters = {modality.value: list(pair) for modality, pair in comparison.clusters.items()}
    record = dict(
        verdict=comparison.verdict,
        held_out=comparison.held_out,
        caveat=comparison.caveat,
        changes=_plain(changes),
        clusters=clusters,
    )
    write_json(work_dir / RECORD, record)
    return work_dir / PAGE


def _plain(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace NaN, which JSON does not have, by None."""
    return [{key: None if value != value else value for key, value in change.items()} for change in changes]


def _write_bundle(preparation: Preparation, checkpoint: Path) -> Bundle:
    """Write the bundle next to ``out``, then move it there in one step; an old one with the same features is kept."""
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
