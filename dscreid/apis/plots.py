"""Single pictures from the work directories of runs: feature maps, and answers to one query."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dscreid.apis.config import load_config
from dscreid.apis.report import find_work_dirs
from dscreid.errors import CheckpointError, ConfigError
from dscreid.evaluation import FeatureTable, load_features
from dscreid.utils.files import check_replaceable
from dscreid.visualization import (
    ReportRun,
    TrackletPictures,
    WorkDir,
    build_test_dataset,
    check_features_belong,
    check_picture_name,
    draw_feature_maps,
    draw_retrieval,
    instructive_query,
    map_features,
    protocol_of,
    retrieval_examples,
)


def write_feature_map(
    work_dirs: Sequence[str],
    out: Path,
    *,
    persons: int = 12,
    tracklets: int = 600,
    seed: int = 0,
    note: str = '',
) -> str:
    """Draw the features of runs in the plane, side by side.

    Args:
        work_dirs: Work directories as ``FOLDER`` or ``NAME=FOLDER``.
        out: PNG or SVG file to write, replaced if it exists.
        persons: Greatest number of persons.
        tracklets: Greatest number of tracklets.
        seed: Seed of the choice of persons and of the layout.
        note: A line below the legend.

    Returns:
        What the console shows.

    Raises:
        DscreidError: If a run has no features, too few, or those of another test set; nothing is written then.
        OSError: If the picture cannot be written; the error names it.
    """
    _check_output(out)
    tables = [(one.name, _features(one)) for one in find_work_dirs(work_dirs)]
    maps = [
        map_features(name, table, persons=persons, tracklets=tracklets, seed=seed) for name, table in tables
    ]
    draw_feature_maps(maps, out, note=note)
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
        after: Work directory of the second run, written likewise.
        out: PNG or SVG file to write, replaced if it exists.
        config: Config of the test set; None for that of the first work directory that has one.
        config_options: Overrides of ``config`` by dotted key.
        ranks: Answers shown.
        frames: Frames shown of each tracklet, side by side.
        seed: Seed of the choice of the query.
        note: A line below the picture.

    Returns:
        What the console shows: which query, and for how many queries the second run answers better and worse.

    Raises:
        DscreidError: If a run has no features or those of another test set, the config names no protocol or test set,
            a frame cannot be read, or no query is answered better; nothing is written then.
        OSError: If the picture cannot be written; the error names it.
    """
    _check_output(out)
    work_dirs = find_work_dirs([before, after])
    runs = [ReportRun(one.name, {}, _features(one)) for one in work_dirs]
    settings = _test_config(work_dirs, config, config_options or {})
    protocol = protocol_of(settings)
    if protocol is None:
        raise ConfigError(
            f'{settings.filename} has no protocol in test_evaluator; name the config that was tested.'
        )
    dataset = build_test_dataset(settings)
    for run in runs:
        check_features_belong(dataset, run)
    everyone = max(len(run.features) for run in runs if run.features is not None)
    examples = retrieval_examples(runs, protocol, count=everyone, topk=ranks, seed=seed)
    chosen = instructive_query([one for one in examples if one.direction == 'rgb2ir'], seed)
    example = chosen.example
    draw_retrieval(example, TrackletPictures(dataset, frames), out, note=note)
    return (
        f'query: tracklet {example.index} of person {example.pid}, chosen among those answered better\n'
        f'of {chosen.total} queries, one per person, {chosen.better} have more right answers after and '
        f'{chosen.worse} fewer\nwrote {out}'
    )


def _check_output(out: Path) -> None:
    """Check before the work that the picture can be written."""
    check_picture_name(out)
    check_replaceable(out)


def _test_config(work_dirs: Sequence[WorkDir], path: str | None, options: Mapping[str, Any]) -> Config:
    """The named config, or the one with which a run was executed, which was checked then."""
    if path is not None:
        return load_config(path, dict(options))
    if options:
        raise ConfigError('--cfg-options changes the config named by --config; name one.')
    for work_dir in work_dirs:
        if (config := work_dir.load_config()) is not None:
            return config
    raise ConfigError(f'{work_dirs[0].folder} holds no config of its test set; name one with --config.')


def _features(work_dir: WorkDir) -> FeatureTable:
    """The features of a run."""
    if work_dir.features is None:
        raise CheckpointError(
            f'{work_dir.folder} has no features.safetensors; write it with dscreid test --dump-features.'
        )
    return load_features(work_dir.features)
