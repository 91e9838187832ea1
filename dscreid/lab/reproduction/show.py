"""Print and write tables and figures of finished runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.curves import curves_svg
from dscreid.lab.reproduction.experiments import EXPERIMENTS, Experiment, choose_rows, find_experiment
from dscreid.lab.reproduction.pages import figure_page
from dscreid.lab.reproduction.place import Place
from dscreid.lab.reproduction.presets import DataPreset
from dscreid.lab.reproduction.summary import Summary, seeds_of, summarise
from dscreid.lab.reproduction.table_formats import to_csv, to_html, to_markdown
from dscreid.utils.shipped import shipped_configs
from dscreid.visualization.page import write_text_atomically


@dataclass(frozen=True)
class ShowOptions:
    """What to show.

    Attributes:
        experiment: Name of a table or figure.
        place: Where the runs are stored.
        directions: Adaptation directions. Empty for the paper's directions.
        seeds: Seeds. None for all seeds that were run.
        rows: Names or methods of the rows to show. Empty for all rows.
    """

    experiment: str
    place: Place
    directions: Sequence[str] = ()
    seeds: Sequence[int] | None = None
    rows: Sequence[str] = ()


def show_experiment(options: ShowOptions) -> tuple[str, list[Path]]:
    """Write an experiment's files and return its table as Markdown together with the paths of the files.

    Raises:
        DscreidError: If a name is unknown or no run has finished.
    """
    experiment = find_experiment(options.experiment)
    rows = choose_rows(experiment, options.rows)
    directions = options.directions or experiment.directions
    summaries = summarise(options.place, experiment, rows, directions, options.seeds)
    if not any(summary.has_results for summary in summaries):
        raise ConfigError(
            f'no run of {experiment.name} has finished in {options.place.folder}; start them with: dscreid reproduce '
            f'run {experiment.name} --data {options.place.preset.name}'
        )
    folder = options.place.folder / 'tables'
    files = {f'{experiment.name}.md': to_markdown(summaries), f'{experiment.name}.csv': to_csv(summaries)}
    files[f'{experiment.name}.html'] = to_html(summaries, experiment.heading)
    files |= _figure_files(experiment, options, directions, summaries)
    for name, text in files.items():
        write_text_atomically(folder / name, text)
    return files[f'{experiment.name}.md'], [folder / name for name in files]


def list_experiments(preset: DataPreset, configs: Path | None = None) -> str:
    """List all tables and figures with their rows, and mark rows whose config is missing."""
    configs = configs or shipped_configs()
    lines = []
    for experiment in EXPERIMENTS.values():
        lines.append(f'{experiment.name}: {experiment.title} ({", ".join(experiment.directions)})')
        for row in experiment.rows:
            found = preset.config_path(configs, row.method, experiment.directions[0])
            name = 'config missing' if found is None else str(found.relative_to(configs))
            # show a setting that a row changes in several parts only once
            settings = {f'{key.rpartition(".")[2]}={value}': None for key, value in row.overrides.items()}
            lines.append(f'    {row.name:<40} {name}' + (f' ({", ".join(settings)})' if settings else ''))
    return '\n'.join(lines)


def _figure_files(
    experiment: Experiment, options: ShowOptions, directions: Sequence[str], summaries: Sequence[Summary]
) -> dict[str, str]:
    """Return the additional files of a figure."""
    if experiment.kind == 'curves':
        names = [*directions, 'both'][: len(summaries)]
        shown = [
            (name, summary) for name, summary in zip(names, summaries, strict=True) if summary.has_results
        ]
        return {f'{experiment.name}_{name}.svg': curves_svg(summary) for name, summary in shown}
    if experiment.kind == 'table':
        return {}
    pages = {}
    rows = choose_rows(experiment, options.rows)
    for direction, summary in zip(directions, summaries, strict=False):
        seeds = options.seeds or seeds_of(options.place, direction)
        # only one seed: other seeds have other people, which says nothing about the methods
        if summary.has_results:
            page = figure_page(options.place, experiment, rows, direction, seeds[0])
            pages[f'{experiment.name}_{direction}.html'] = page
    return pages
