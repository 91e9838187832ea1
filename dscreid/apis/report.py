"""Write a report from the files of finished or interrupted runs, and compute what its pictures show."""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dscreid import visualization as vis
from dscreid.apis.config import load_config
from dscreid.apis.inference import init_model
from dscreid.errors import ConfigError, DscreidError
from dscreid.evaluation import FeatureTable
from dscreid.structures import ReIDDataSample
from dscreid.utils.config_difference import config_difference
from dscreid.utils.files import check_replaceable

REPORT_FILE = 'report.html'
#: Settings that only control where and how a run was executed.
_EXECUTION = ('work_dir', 'experiment_name', 'launcher', 'load_from', 'resume')
#: Size of the sample in the feature map, which bounds its time and memory.
_SAMPLE = dict(persons=12, tracklets=200)


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report, described by ``dscreid report --help``; None where it names a default."""

    out: Path
    title: str
    work_dirs: Sequence[str] = ()
    runs: Sequence[str] = ()
    bounds: Sequence[str] = ()
    scalars: Sequence[str] = ()
    identities: int | None = None
    config: str | None = None
    config_options: Mapping[str, Any] = field(default_factory=dict)
    protocol: str | None = None
    queries: int = 4
    ranks: int = 6
    frames: int = 1
    seed: int = 0
    feature_map: bool = True
    prompt_attention: bool = True
    paper: str | None = None
    mean: bool = False
    note: Sequence[str] = ()


def make_report(options: ReportOptions) -> str:
    """Write a report; return a text for the console: the table of results, remarks, and the path of the report.

    Raises:
        DscreidError: If a file is missing or damaged, or the options do not fit together; nothing is written then.
        OSError: If the report cannot be written; the error names it.
    """
    out = options.out / REPORT_FILE if options.out.is_dir() else options.out
    check_replaceable(out)
    work_dirs = vis.find_work_dirs(options.work_dirs)
    runs, remarks = _runs(options, work_dirs)
    count = Counter(run.name for run in runs)
    if repeated := [name for name in count if count[name] > 1]:
        raise ConfigError(f'two runs have the name {repeated[0]!r}; rename one with NAME=WORK_DIR.')
    if unknown := sorted(set(options.bounds) - set(count)):
        raise ConfigError(f'--bound {unknown[0]!r} is not the name of a run; use one of {", ".join(count)}.')
    shown = [run for run in runs if run.features is not None and not run.upper_bound]
    retrieval, missing = _retrieval(options, work_dirs, shown)
    remarks += missing
    densities = [vis.distance_density(run.name, run.features) for run in runs if run.features is not None]
    names = ', '.join(f'{one.name} (`{one.folder}`)' for one in work_dirs)
    vis.write_report(
        out,
        title=options.title,
        runs=runs,
        curves=_curves(options, work_dirs),
        differences=_differences(work_dirs),
        retrieval=retrieval,
        densities=[density for density in densities if density is not None],
        pictures=_pictures(options, work_dirs, shown),
        timings={name: value for one in work_dirs for name, value in one.wall_times().items()},
        environment=vis.collect_environment(),
        notes=[*(options.note or [f'Runs: {names}.' if names else '']), *remarks],
        target=options.paper,
    )
    return '\n'.join([vis.format_results_table(runs), '', *remarks, f'wrote {out}'])


def _runs(options: ReportOptions, work_dirs: Sequence[vis.WorkDir]) -> tuple[list[vis.ReportRun], list[str]]:
    """Load the rows of the table: runs, or means over the runs of each config, then published figures; and remarks."""
    pairs = [(one, one.load_run(upper_bound=one.name in options.bounds)) for one in work_dirs]
    remarks: list[str] = []
    if options.mean:
        groups: dict[str, list] = {}
        for work_dir, run in pairs:
            groups.setdefault(work_dir.config_name or run.name, []).append((work_dir, run))
        rows, remarks = vis.mean_rows(groups)
    else:
        rows = [row for one, run in pairs for row in (run, *vis.selected_row(run, one.metrics))]
    rows += [_named_run(entry, options.bounds) for entry in options.runs]
    return [*rows, *vis.published_rows(work_dirs)], remarks


def _named_run(entry: str, bounds: Sequence[str]) -> vis.ReportRun:
    name, _, files = entry.partition('=')
    if not (name and files):
        raise ConfigError(f'--run {entry!r} is not NAME=METRICS.json[,FEATURES.safetensors]; add the name.')
    metrics, _, features = files.partition(',')
    return vis.load_run(name, metrics, features or None, upper_bound=name in bounds)


def _curves(options: ReportOptions, work_dirs: Sequence[vis.WorkDir]) -> dict[str, Any]:
    """Load the logs of work directories, which share charts, and of every ``[NAME=]FILE``."""
    logged = {
        one.name: vis.read_scalars(*one.scalars, identities=options.identities) for one in work_dirs if one.scalars
    }
    curves: dict[str, Any] = {'Work directories': logged} if logged else {}
    stages: dict[str, list[str]] = {}
    for entry in options.scalars:
        name, separator, path = entry.partition('=')
        stages.setdefault(name if separator else 'Training', []).append(path if separator else entry)
    return curves | {name: vis.read_scalars(*paths, identities=options.identities) for name, paths in stages.items()}


def _differences(work_dirs: Sequence[vis.WorkDir]) -> dict[str, dict[str, Any]]:
    """Map each run to the settings in which it differs from the first one; runs without a config are skipped."""
    loaded = [(one.name, one.load_config()) for one in work_dirs] if len(work_dirs) > 1 else []
    configs = {name: config for name, config in loaded if config is not None}
    differing = {name: config_difference(next(iter(configs.values())), config) for name, config in configs.items()}
    return {name: {key: found[key] for key in found if key not in _EXECUTION} for name, found in differing.items()}


def _retrieval(
    options: ReportOptions, work_dirs: Sequence[vis.WorkDir], shown: Sequence[vis.ReportRun]
) -> tuple[vis.RetrievalGallery | None, list[str]]:
    """Build retrieval lists with pictures if possible; a remark says why expected lists are missing."""
    shown = [run for run in shown if run.features is not None and (run.features.pid >= 0).any()]
    path = options.config or next((one.config for one in work_dirs if one.features and one.config), None)
    if not shown or path is None:
        return None, []
    try:
        config = load_config(path, dict(options.config_options), of_finished_run=options.config is None)
        choice = dict(count=options.queries, topk=options.ranks, seed=options.seed)
        examples, dataset = examples_of(config, shown, options.protocol, **choice)
        pictures = vis.TrackletPictures(dataset, options.frames)
        for example in examples:  # read now, to find missing frames before the page is written
            for index in (example.index, *(hit.index for _, hits in example.lists for hit in hits)):
                pictures(index)
    except DscreidError as error:
        if options.config is not None:
            raise
        return None, [f'There are no retrieval lists: {error}']  # not requested, and the data may be elsewhere
    return vis.RetrievalGallery(examples, pictures), []


def _pictures(
    options: ReportOptions, work_dirs: Sequence[vis.WorkDir], shown: Sequence[vis.ReportRun]
) -> list[vis.ReportPicture]:
    """Draw the requested pictures; one that cannot be drawn becomes a sentence that says why."""
    wanted = [
        ('Feature map', 'feature map', lambda: _feature_map(work_dirs, shown, options.seed)),
        ('Prompt attention', 'picture of the attention of the prompts', lambda: _attention(work_dirs, options.seed)),
    ]
    pictures = []
    for (heading, what, draw), is_on in zip(wanted, (options.feature_map, options.prompt_attention), strict=True):
        try:
            pictures += [draw()] if is_on else []
        except (DscreidError, OSError) as error:  # the data may be on another machine
            pictures.append(vis.ReportPicture(heading, f'There is no {what}: {error}'))
    return pictures


def _feature_map(work_dirs: Sequence[vis.WorkDir], shown: Sequence[vis.ReportRun], seed: int) -> vis.ReportPicture:
    """Draw features before and after adaptation: of the first and the last run, or of the only one and its start."""
    if not shown:
        raise ConfigError('no run has features; write them with `dscreid test --dump-features`.')
    first, last, remark = shown[0], shown[-1], ''
    if len(shown) == 1:
        first, remark = _start_of(work_dirs, last, seed)
    drawn = {run.name: run.features for run in (first, last)}
    maps = [vis.map_features(name, table, seed=seed, **_SAMPLE) for name, table in drawn.items() if table is not None]
    caption = (
        f'Features of {len(maps[0].pid)} test tracklets in the plane (t-SNE), of persons drawn at random. Distances '
        f'between far groups and the directions of the axes have no meaning.{remark}'
    )
    description = f'Feature maps of {" and ".join(one.name for one in maps)}'
    return vis.ReportPicture('Feature map', caption, vis.figure_uri(vis.draw_feature_maps(maps)), description)


def _start_of(work_dirs: Sequence[vis.WorkDir], run: vis.ReportRun, seed: int) -> tuple[vis.ReportRun, str]:
    """Return the run before its training, or the run itself with a remark that says why only it is shown."""
    starts = [(one.config, one.folder / 'epoch_0.pth') for one in work_dirs if one.name == run.name]
    if run.features is None or not starts or starts[0][0] is None or not starts[0][1].is_file():
        return run, ' The features before adaptation are missing because the run has no `epoch_0.pth`.'
    config, checkpoint = starts[0]
    rows = vis.choose_tracklets(run.features, seed=seed, **_SAMPLE)
    try:
        features = extract_rows(load_config(config), checkpoint, run, rows)
    except (DscreidError, OSError) as error:  # the data may be on another machine
        return run, f' The features before adaptation are missing: {error}'
    return replace(run, name=f'{run.name}, before training', features=features), ''


def _attention(work_dirs: Sequence[vis.WorkDir], seed: int) -> vis.ReportPicture:
    """Draw the attention of the prompts in the last finished work directory."""
    finished = ((one, found) for one in reversed(work_dirs) if one.config and (found := one.checkpoint()))
    work_dir, checkpoint = next(finished, (None, None))
    if work_dir is None or work_dir.config is None or checkpoint is None:
        raise ConfigError('no work directory has the checkpoint of a finished training.')
    rows = attended_tracklets(load_config(work_dir.config), checkpoint, seed=seed)
    caption = (
        f'{work_dir.name}: tracklets of one person drawn at random, and the same frames under the attention of their '
        'prompts to patches, averaged over heads, prompts and blocks; bright patches get the most. The number above a '
        'frame is the share of its prompts in the dynamic feature. Each title says how many prompts this feature '
        'attends to (the exponential of the entropy): near 1, its attention is saturated and learns hardly anything.'
    )
    description = f'Attention maps: {"; ".join(row.title for row in rows)}'
    return vis.ReportPicture(
        'Prompt attention', caption, vis.figure_uri(vis.draw_prompt_attention(rows), 'png'), description
    )


#: Tracklets that a model sees at once.
_BATCH = 16


def examples_of(
    config: Config, runs: Sequence[vis.ReportRun], protocol: str | None = None, **choice: int
) -> tuple[list[vis.RetrievalExample], Any]:
    """Retrieve answers to some queries of a config's test set; return them and the test set.

    ``protocol`` is by default the config's; ``choice`` are ``count``, ``topk`` and ``seed`` of ``retrieval_examples``.

    Raises:
        DscreidError: If there is no protocol or test set, or a run has the features of another one.
    """
    protocol = protocol or vis.protocol_of(config)
    if protocol is None:
        reason = 'has no protocol in test_evaluator; name the config that was tested, or a --protocol.'
        raise ConfigError(f'{config.filename} {reason}')
    dataset = vis.build_test_dataset(config)
    for run in runs:
        vis.check_features_belong(dataset, run)
    return vis.retrieval_examples(runs, protocol, **choice), dataset


def attended_tracklets(
    config: Config, checkpoint: str | Path, *, person: int | None = None, seed: int = 0, device: str = 'cpu'
) -> list[vis.AttendedTracklet]:
    """Compute the attention of a model's prompts over a visible and an infrared tracklet of one person.

    The tracklets, and the person if its id is None, are drawn with ``seed``.

    Raises:
        DscreidError: If config, checkpoint or a frame cannot be used, the model has no prompts, or the test set does
            not show the person in both modalities.
    """
    config = copy.deepcopy(config)
    if config.get('model', {}).get('backbone', {}).get('compile_blocks'):
        config.model.backbone.compile_blocks = False  # hooks need the blocks as they are
    model = init_model(config, checkpoint, device)
    dataset = vis.build_test_dataset(config, with_pipeline=True)
    batch = pseudo_collate([dataset[index] for index in vis.choose_pair(dataset.tracklets, person, seed)])
    attention = vis.compute_prompt_attention(model.backbone, model.data_preprocessor(batch)['inputs'])
    titles = [
        f'{_title(sample)}; dynamic half: {number:.1f} of {len(frames) ** 2} prompts'
        for sample, frames, number in zip(batch['data_samples'], batch['inputs'], attention.prompts, strict=True)
    ]
    rows = zip(titles, batch['inputs'], attention.maps(), attention.frames, strict=True)
    return [
        vis.AttendedTracklet(title, frames.permute(0, 2, 3, 1).numpy(), *(v.cpu().numpy() for v in values))
        for title, frames, *values in rows
    ]


def extract_rows(
    config: Config, checkpoint: str | Path, run: vis.ReportRun, rows: Sequence[int], device: str = 'cpu'
) -> FeatureTable:
    """Extract the features of some rows of a run's table with another checkpoint; those of other rows become zero.

    Raises:
        DscreidError: If the config, the checkpoint or a frame cannot be read, or the run is of another test set.
    """
    features = run.features
    assert features is not None
    model = init_model(config, checkpoint, device)
    dataset = vis.build_test_dataset(config, with_pipeline=True)
    vis.check_features_belong(dataset, run)
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
