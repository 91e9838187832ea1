"""Write a report from the files of finished or interrupted runs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dscreid.apis.config import load_config
from dscreid.errors import ConfigError, DscreidError
from dscreid.utils.config_difference import config_difference
from dscreid.utils.files import check_replaceable
from dscreid.visualization import (
    ReportRun,
    RetrievalGallery,
    Scalars,
    TrackletPictures,
    WorkDir,
    build_test_dataset,
    check_features_belong,
    collect_environment,
    distance_density,
    find_work_dir,
    format_results_table,
    load_run,
    protocol_of,
    read_scalars,
    retrieval_examples,
    write_report,
)

REPORT_FILE = 'report.html'
#: Settings that only control where and how a run was executed.
_EXECUTION = ('work_dir', 'experiment_name', 'launcher', 'load_from', 'resume')


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        out: File to write, or an existing folder to write ``report.html`` in.
        title: Heading of the page.
        work_dirs: Work directories of runs, as ``FOLDER`` or ``NAME=FOLDER``.
        runs: Additional rows of the table, as ``NAME=METRICS.json[,FEATURES.safetensors]``.
        bounds: Names of runs that used the target's true labels.
        scalars: Additional training logs, as ``FILE`` or ``NAME=FILE``.
        identities: True number of training identities, drawn with the clusters; None if unknown.
        config: Config of the test dataset, for the pictures; None for the config in the work directories.
        config_options: Overrides of ``config`` by dotted key.
        protocol: Evaluation protocol of the retrieval lists; None for the config's.
        queries: Queries shown per direction.
        ranks: Ranks shown per query.
        frames: Frames shown per tracklet.
        seed: Seed for choosing the queries.
        target: Name of the real target dataset, to show the paper's figures, or None.
        notes: Paragraphs of the page; None for the list of runs.
    """

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
    target: str | None = None
    notes: Sequence[str] = ()


def make_report(options: ReportOptions) -> str:
    """Write a report.

    Args:
        options: What the report shows and where it is written.

    Returns:
        Text for the console: the table of results, remarks, and the path of the report.

    Raises:
        DscreidError: If a file is missing or damaged, or the options do not fit together; nothing is written then.
        OSError: If the report cannot be written; the error names it.
    """
    out = options.out / REPORT_FILE if options.out.is_dir() else options.out
    check_replaceable(out)
    work_dirs = find_work_dirs(options.work_dirs)
    runs = [work_dir.load_run(upper_bound=work_dir.name in options.bounds) for work_dir in work_dirs]
    runs += _named_runs(options.runs, options.bounds)
    _check_names(runs, options.bounds)
    retrieval, remarks = _retrieval(options, work_dirs, runs)
    densities = [distance_density(run.name, run.features) for run in runs if run.features is not None]
    write_report(
        out,
        title=options.title,
        runs=runs,
        curves=_curves(options, work_dirs),
        differences=_differences(work_dirs),
        retrieval=retrieval,
        densities=[density for density in densities if density is not None],
        timings={name: value for one in work_dirs for name, value in one.wall_times().items()},
        environment=collect_environment(),
        notes=[*(options.notes or _introduction(work_dirs)), *remarks],
        target=options.target,
    )
    return '\n'.join([format_results_table(runs, target=options.target), '', *remarks, f'wrote {out}'])


def find_work_dirs(entries: Sequence[str]) -> list[WorkDir]:
    """Find work directories given as ``FOLDER`` or ``NAME=FOLDER``; folders with the same name are shown by path.

    Raises:
        CheckpointError: If one is missing or contains nothing that a report could show.
    """
    pairs = []
    for entry in entries:
        name, separator, folder = entry.partition('=')
        pairs.append(('', entry) if Path(entry).is_dir() or not separator else (name, folder))
    names = [name or Path(folder).resolve().name for name, folder in pairs]
    count = Counter(names)
    return [
        find_work_dir(folder, name if given or count[name] == 1 else folder)
        for name, (given, folder) in zip(names, pairs, strict=True)
    ]


def _named_runs(entries: Sequence[str], bounds: Sequence[str]) -> list[ReportRun]:
    """Load every ``NAME=METRICS.json[,FEATURES.safetensors]``."""
    runs = []
    for entry in entries:
        name, separator, files = entry.partition('=')
        if not (name and separator and files):
            raise ConfigError(
                f'--run {entry!r} is not NAME=METRICS.json[,FEATURES.safetensors]; add the name.'
            )
        metrics, _, features = files.partition(',')
        runs.append(load_run(name, metrics, features or None, upper_bound=name in bounds))
    return runs


def _check_names(runs: Sequence[ReportRun], bounds: Sequence[str]) -> None:
    """Check that the names of runs are unique and that bounds name runs.

    Raises:
        ConfigError: If they are not, or do not.
    """
    count = Counter(run.name for run in runs)
    if repeated := [name for name in count if count[name] > 1]:
        raise ConfigError(f'two runs are named {repeated[0]!r}; give them other names, as NAME=WORK_DIR.')
    if unknown := sorted(set(bounds) - set(count)):
        raise ConfigError(f'--bound {unknown[0]!r} is not the name of a run; use one of {", ".join(count)}.')


def _introduction(work_dirs: Sequence[WorkDir]) -> list[str]:
    """Write the paragraph below the title, if the user gives none."""
    names = ', '.join(f'{one.name} (`{one.folder}`)' for one in work_dirs)
    return [f'Runs: {names}.'] if names else ['']


def _curves(options: ReportOptions, work_dirs: Sequence[WorkDir]) -> dict[str, Any]:
    """Draw work directories in shared charts, and every ``[NAME=]FILE`` under its own heading."""
    logged = {one.name: one.load_scalars(options.identities) for one in work_dirs if one.scalars}
    curves: dict[str, Scalars | dict[str, Scalars]] = {'Work directories': logged} if logged else {}
    stages: dict[str, list[str]] = {}
    for entry in options.scalars:
        name, separator, path = entry.partition('=')
        stages.setdefault(name if separator else 'Training', []).append(path if separator else entry)
    return curves | {
        name: read_scalars(*paths, identities=options.identities) for name, paths in stages.items()
    }


def _differences(work_dirs: Sequence[WorkDir]) -> dict[str, dict[str, Any]]:
    """Map each run to the settings in which it differs from the first one; runs without a config are skipped."""
    if len(work_dirs) < 2:
        return {}
    configs = {one.name: one.load_config() for one in work_dirs}
    configs = {name: config for name, config in configs.items() if config is not None}
    reference = next(iter(configs.values()), None)
    return {
        name: {
            key: values
            for key, values in config_difference(reference, config).items()
            if key not in _EXECUTION
        }
        for name, config in configs.items()
    }


def _retrieval(
    options: ReportOptions, work_dirs: Sequence[WorkDir], runs: Sequence[ReportRun]
) -> tuple[RetrievalGallery | None, list[str]]:
    """Build retrieval lists with their pictures.

    Returns:
        The lists or None, and remarks on why there are none if the work directories suggest lists.
    """
    shown = [
        run
        for run in runs
        if run.features is not None and not run.upper_bound and (run.features.pid >= 0).any()
    ]
    if not shown:
        return None, []
    if options.config is not None:
        config = load_config(options.config, dict(options.config_options))
        return _gallery(options, config, options.config, shown), []
    path = next((one.config for one in work_dirs if one.features and one.config), None)
    if path is None:
        return None, []
    try:
        return _gallery(options, load_config(path, of_finished_run=True), str(path), shown), []
    except DscreidError as error:  # the lists were not requested, and the data may be on another machine
        return None, [f'There are no retrieval lists: {error}']


def _gallery(
    options: ReportOptions, config: Config, path: str, runs: Sequence[ReportRun]
) -> RetrievalGallery:
    """Build retrieval lists of runs on a config's test set."""
    protocol = options.protocol or protocol_of(config)
    if protocol is None:
        raise ConfigError(f'{path} has no protocol in test_evaluator; name one with --protocol.')
    dataset = build_test_dataset(config)
    for run in runs:
        check_features_belong(dataset, run)
    examples = retrieval_examples(
        runs, protocol, count=options.queries, topk=options.ranks, seed=options.seed
    )
    pictures = TrackletPictures(dataset, options.frames)
    for example in examples:  # read now, to find missing frames before the page is written
        for index in (example.index, *(hit.index for _, hits in example.lists for hit in hits)):
            pictures(index)
    return RetrievalGallery(examples, pictures)
