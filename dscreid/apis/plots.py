"""Pictures of runs: feature maps, answers to one query, and the attention of prompts.

Output files are PNG or SVG and replaced if they exist. Nothing is written after an error.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dscreid.apis.config import load_config
from dscreid.apis.inference import init_model
from dscreid.errors import ConfigError
from dscreid.evaluation import FeatureTable
from dscreid.structures import ReIDDataSample
from dscreid.utils.files import check_replaceable
from dscreid.visualization import (
    AttendedTracklet,
    ReportRun,
    RetrievalExample,
    TrackletPictures,
    WorkDir,
    build_test_dataset,
    check_features_belong,
    check_picture_name,
    choose_pair,
    compute_prompt_attention,
    draw_feature_maps,
    draw_prompt_attention,
    draw_retrieval,
    find_work_dirs,
    instructive_query,
    map_features,
    protocol_of,
    retrieval_examples,
    save_figure,
)

#: Tracklets that a model sees at once.
_BATCH = 16


def write_feature_map(
    work_dirs: Sequence[str],
    out: Path,
    *,
    persons: int = 12,
    tracklets: int = 600,
    seed: int = 0,
    note: str = '',
) -> str:
    """Draw the features of runs, given as ``FOLDER`` or ``NAME=FOLDER``, side by side; return a text for the console.

    Args:
        work_dirs: Work directories.
        out: File to write.
        persons: Greatest number of persons.
        tracklets: Greatest number of tracklets.
        seed: Seed for choosing persons and for the layout.
        note: A line below the legend.

    Raises:
        DscreidError: If a run has no features, too few, or those of another test set.
        OSError: If the picture cannot be written; the error names it.
    """
    _check_output(out)
    tables = [(one.name, one.load_features()) for one in find_work_dirs(work_dirs)]
    maps = [map_features(name, table, persons=persons, tracklets=tracklets, seed=seed) for name, table in tables]
    save_figure(draw_feature_maps(maps, note=note), out)
    pid = maps[0].pid
    return f'{len(pid)} tracklets of {len(set(pid[pid >= 0].tolist()))} known persons\nwrote {out}'


def write_retrieval_picture(
    before: str,
    after: str,
    out: Path,
    *,
    config: str | None = None,
    config_options: Mapping[str, Any] | None = None,
    ranks: int = 5,
    frames: int = 1,
    seed: int = 0,
    note: str = '',
) -> str:
    """Draw a visible query and its first infrared answers in two runs; see :func:`instructive_query`.

    Args:
        before: Work directory of the first run, as ``FOLDER`` or ``NAME=FOLDER``.
        after: Work directory of the second run.
        out: File to write.
        config: Config of the test set; None for that of the first work directory that has one.
        config_options: Overrides of ``config`` by dotted key.
        ranks: Answers shown.
        frames: Frames shown of each tracklet, side by side.
        seed: Seed for choosing the query.
        note: A line below the picture.

    Returns:
        Text for the console: which query, and for how many queries the second run answers better and worse.

    Raises:
        DscreidError: If features, test set, protocol or a frame cannot be used, or no query is answered better.
        OSError: If the picture cannot be written; the error names it.
    """
    _check_output(out)
    work_dirs = find_work_dirs([before, after])
    runs = [ReportRun(one.name, {}, one.load_features()) for one in work_dirs]
    settings = _test_config(work_dirs, config, config_options or {})
    everyone = max(len(run.features) for run in runs if run.features is not None)
    examples, dataset = examples_of(settings, runs, count=everyone, topk=ranks, seed=seed)
    chosen = instructive_query([one for one in examples if one.direction == 'rgb2ir'], seed)
    example = chosen.example
    save_figure(draw_retrieval(example, TrackletPictures(dataset, frames), note=note), out)
    return (
        f'query: tracklet {example.index} of person {example.pid}, chosen among those answered better\n'
        f'of {chosen.total} queries, one per person, {chosen.better} have more right answers after and '
        f'{chosen.worse} fewer\nwrote {out}'
    )


def examples_of(
    config: Config, runs: Sequence[ReportRun], protocol: str | None = None, **choice: int
) -> tuple[list[RetrievalExample], Any]:
    """Retrieve answers to some queries of a config's test set; return them and the test set.

    Args:
        config: Config of the test set.
        runs: Runs with features.
        protocol: Name of the protocol; None for the config's.
        **choice: ``count``, ``topk`` and ``seed`` of :func:`retrieval_examples`.

    Raises:
        DscreidError: If there is no protocol or test set, or a run has the features of another one.
    """
    protocol = protocol or protocol_of(config)
    if protocol is None:
        reason = 'has no protocol in test_evaluator; name the config that was tested, or a --protocol.'
        raise ConfigError(f'{config.filename} {reason}')
    dataset = build_test_dataset(config)
    for run in runs:
        check_features_belong(dataset, run)
    return retrieval_examples(runs, protocol, **choice), dataset


def write_prompt_attention(
    config: str,
    checkpoint: str,
    out: Path,
    *,
    config_options: Mapping[str, Any] | None = None,
    person: int | None = None,
    seed: int = 0,
    device: str = 'cpu',
    note: str = '',
) -> str:
    """Draw the attention of a model's prompts over a visible and an infrared tracklet of one person.

    Args:
        config: Config of the model and its test set.
        checkpoint: Checkpoint of the model.
        out: File to write.
        config_options: Overrides of ``config`` by dotted key.
        person: Person id; None draws one.
        seed: Seed for choosing the person and the tracklets.
        device: Device of the model.
        note: A line below the picture.

    Returns:
        Text for the console: the tracklets, and the path of the picture.

    Raises:
        DscreidError: If config, checkpoint or a frame cannot be used, the model has no prompts, or the test set does
            not show the person in both modalities.
        OSError: If the picture cannot be written; the error names it.
    """
    _check_output(out)
    settings = load_config(config, dict(config_options or {}))
    rows = attended_tracklets(settings, checkpoint, person=person, seed=seed, device=device)
    save_figure(draw_prompt_attention(rows, note), out)
    return '\n'.join([*(row.title for row in rows), f'wrote {out}'])


def attended_tracklets(
    config: Config, checkpoint: str | Path, *, person: int | None = None, seed: int = 0, device: str = 'cpu'
) -> list[AttendedTracklet]:
    """Compute the rows of :func:`write_prompt_attention`; see there for arguments and errors."""
    config = copy.deepcopy(config)
    if config.get('model', {}).get('backbone', {}).get('compile_blocks'):
        config.model.backbone.compile_blocks = False  # hooks need the blocks as they are
    model = init_model(config, checkpoint, device)
    dataset = build_test_dataset(config, with_pipeline=True)
    batch = pseudo_collate([dataset[index] for index in choose_pair(dataset.tracklets, person, seed)])
    attention = compute_prompt_attention(model.backbone, model.data_preprocessor(batch)['inputs'])
    rows = zip(batch['data_samples'], batch['inputs'], attention.maps(), attention.frames, strict=True)
    return [
        AttendedTracklet(_title(sample), frames.permute(0, 2, 3, 1).numpy(), *(v.cpu().numpy() for v in values))
        for sample, frames, *values in rows
    ]


def extract_rows(
    config: Config, checkpoint: str | Path, run: ReportRun, rows: Sequence[int], device: str = 'cpu'
) -> FeatureTable:
    """Extract the features of some rows of a run's table with another checkpoint; those of other rows become zero.

    Raises:
        DscreidError: If the config, the checkpoint or a frame cannot be read, or the run is of another test set.
    """
    features = run.features
    assert features is not None
    model = init_model(config, checkpoint, device)
    dataset = build_test_dataset(config, with_pipeline=True)
    check_features_belong(dataset, run)
    extracted = np.zeros_like(features.feature)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        batch = pseudo_collate([dataset[index] for index in features.index[part].tolist()])
        samples = model.predict(model.data_preprocessor(batch)['inputs'], batch['data_samples'])
        extracted[part] = np.stack([sample.feature.numpy() for sample in samples])
    return replace(features, feature=extracted)


def _title(sample: ReIDDataSample) -> str:
    modality = {'rgb': 'visible', 'ir': 'infrared'}[sample.modality]
    return f'{modality}, {f"person {sample.pid}" if "pid" in sample else "unknown person"}, camera {sample.camera}'


def _check_output(out: Path) -> None:
    check_picture_name(out)
    check_replaceable(out)


def _test_config(work_dirs: Sequence[WorkDir], path: str | None, options: Mapping[str, Any]) -> Config:
    """Load the named config, or the one of a run, which was checked when it started."""
    if path is not None:
        return load_config(path, dict(options))
    if options:
        raise ConfigError('--cfg-options changes the config named by --config; name one.')
    for work_dir in work_dirs:
        if (config := work_dir.load_config()) is not None:
            return config
    raise ConfigError(f'{work_dirs[0].folder} has no config of its test set; name one with --config.')
