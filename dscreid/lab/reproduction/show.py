"""Print and write tables and figures of finished runs."""

from collections.abc import Sequence
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.lab.reproduction.experiments import EXPERIMENTS, choose_rows, find_experiment
from dscreid.lab.reproduction.figures import curves_svg, figure_page
from dscreid.lab.reproduction.presets import DataPreset, Place
from dscreid.lab.reproduction.summary import BOTH, seeds_of, summarize
from dscreid.lab.reproduction.table_formats import to_csv, to_html, to_markdown
from dscreid.utils.shipped import shipped_configs
from dscreid.visualization.page import write_text_atomically


def show_experiment(
    name: str,
    place: Place,
    directions: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    rows: Sequence[str] = (),
) -> tuple[str, list[Path]]:
    """Write an experiment's files and return its table as Markdown together with the paths of the files.

    Args:
        name: Name of a table or figure.
        place: Where the runs are stored.
        directions: Adaptation directions. Empty for the paper's directions.
        seeds: Seeds. None for all seeds that were run.
        rows: Names or methods of the rows to show. Empty for all rows.

    Raises:
        DscreidError: If a name is unknown or no run has finished.
    """
    experiment = find_experiment(name)
    chosen = choose_rows(experiment, rows)
    directions, name = directions or experiment.directions, experiment.name
    summaries = summarize(place, experiment, chosen, directions, seeds)
    if not any(summary.has_results for summary in summaries):
        raise ConfigError(
            f'no run of {name} has finished in {place.folder}; start them with: dscreid reproduce run {name} '
            f'--data {place.preset.name}'
        )
    files = {f'{name}.md': to_markdown(summaries), f'{name}.csv': to_csv(summaries)}
    files[f'{name}.html'] = to_html(summaries, experiment.heading)
    for direction, summary in zip([*directions, BOTH], summaries, strict=False):
        if not summary.has_results:
            continue
        if experiment.kind == 'curves':
            where = 'both' if direction == BOTH else direction
            files[f'{name}_{where}.svg'] = curves_svg(summary)
        elif experiment.kind != 'table' and direction != BOTH:
            # only one seed: other seeds have other people, which says nothing about the methods
            seed = (seeds or seeds_of(place, direction))[0]
            files[f'{name}_{direction}.html'] = figure_page(place, experiment, chosen, direction, seed)
    folder = place.folder / 'tables'
    for file_name, text in files.items():
        write_text_atomically(folder / file_name, text)
    return files[f'{name}.md'], [folder / file_name for file_name in files]


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
