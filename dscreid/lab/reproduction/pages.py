"""Pages of the paper's Figures 3 and 5, made from the features of finished runs."""

from collections.abc import Sequence

from dscreid.apis.config import load_config
from dscreid.errors import ConfigError
from dscreid.evaluation import load_features
from dscreid.lab.reproduction.config_reader import ConfigReader
from dscreid.lab.reproduction.experiments import Experiment, Row
from dscreid.lab.reproduction.jobs import FEATURES_FILE
from dscreid.lab.reproduction.place import Place
from dscreid.lab.reproduction.presets import environment
from dscreid.lab.reproduction.records import CARD_FILE, read_record
from dscreid.visualization import (
    ReportRun,
    RetrievalGallery,
    TrackletPictures,
    build_test_dataset,
    check_features_belong,
    distance_density,
    protocol_of,
    retrieval_examples,
)
from dscreid.visualization.densities import densities_html
from dscreid.visualization.page import page_html, paragraphs_html
from dscreid.visualization.retrieval import retrieval_html


def figure_page(place: Place, experiment: Experiment, rows: Sequence[Row], direction: str, seed: int) -> str:
    """Return the page of a figure for one direction and seed.

    Raises:
        ConfigError: If no row has a finished run.
        DscreidError: If features are damaged or pictures are missing.
    """
    runs = _finished_runs(place, rows, direction, seed)
    if not runs:
        raise ConfigError(
            f'no run of {experiment.name} for {direction}, seed {seed}, has finished in {place.folder}; start '
            f'them with: dscreid reproduce run {experiment.name} --data {place.preset.name} --seeds {seed} '
            f'--direction {direction}'
        )
    data = 'Synthetic data, no real person' if place.preset.synthetic else 'Real data'
    missing = [row.name for row in rows if row.name not in {run.name for run in runs}]
    notes = [f'{data}: `{place.preset.name}`, {direction}, seed {seed}.']
    notes += [f'Not run yet: {", ".join(missing)}.'] if missing else []
    body = _BODIES[experiment.kind](place, rows, runs, direction, seed)
    return page_html(experiment.heading, paragraphs_html(notes), [body])


def _finished_runs(place: Place, rows: Sequence[Row], direction: str, seed: int) -> list[ReportRun]:
    reader, runs = ConfigReader(place), []
    for row in rows:
        folder = place.group(direction, seed) / reader.run_name(row, direction)
        card = read_record(folder / CARD_FILE)
        if card is not None:
            runs.append(ReportRun(row.name, card['metrics'], load_features(folder / FEATURES_FILE)))
    return runs


def _retrieval(
    place: Place, rows: Sequence[Row], runs: Sequence[ReportRun], direction: str, seed: int
) -> tuple[str, str]:
    """Figure 3: the top ranks of some queries in each run."""
    path = ConfigReader(place).path_of(rows[0].method, direction)
    with environment(place.environment(direction, seed)):
        config = load_config(path)
        dataset = build_test_dataset(config)
    for run in runs:
        check_features_belong(dataset, run)
    examples = retrieval_examples(runs, protocol_of(config))
    return 'Retrieval lists', retrieval_html(RetrievalGallery(examples, TrackletPictures(dataset)))


def _densities(
    place: Place, rows: Sequence[Row], runs: Sequence[ReportRun], direction: str, seed: int
) -> tuple[str, str]:
    """Figure 5: cosine distances between visible and infrared tracklets in each run."""
    densities = [distance_density(run.name, run.features) for run in runs]
    return 'Distances', densities_html([density for density in densities if density is not None])


_BODIES = {'retrieval': _retrieval, 'densities': _densities}
