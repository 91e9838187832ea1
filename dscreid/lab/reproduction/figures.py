"""The paper's Figures 3 to 5, made from finished runs."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dscreid.apis.config import load_config
from dscreid.apis.report import examples_of
from dscreid.apis.run_folder import FEATURES_FILE
from dscreid.errors import ConfigError
from dscreid.evaluation import load_features
from dscreid.lab.reproduction.experiments import Experiment, Row
from dscreid.lab.reproduction.jobs import CARD_FILE, read_record
from dscreid.lab.reproduction.planning import ConfigReader
from dscreid.lab.reproduction.presets import Place, environment
from dscreid.lab.reproduction.summary import Summary, SummaryRow
from dscreid.visualization import ReportRun, RetrievalGallery, TrackletPictures, distance_density
from dscreid.visualization.densities import densities_html
from dscreid.visualization.page import page_html, paragraphs_html
from dscreid.visualization.retrieval import retrieval_html

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: (metric, label, marker, offset as a fraction of the sweep's width, so that all error bars stay visible)
_LINES = (
    ('rgb2ir/mAP', 'RGB→IR', 'o', -0.012),
    ('ir2rgb/mAP', 'IR→RGB', 's', 0),
    ('mean/mAP', 'mean', 'x', 0.012),
)


def figure_page(place: Place, experiment: Experiment, rows: Sequence[Row], direction: str, seed: int) -> str:
    """Return the page of a figure for one direction and seed; raise a DscreidError if a file or run is missing."""
    reader = ConfigReader(place)
    runs = []
    for row in rows:
        folder = place.group(direction, seed) / reader.run_name(row, direction)
        if card := read_record(folder / CARD_FILE):
            runs.append(ReportRun(row.name, card['metrics'], load_features(folder / FEATURES_FILE)))
    if not runs:
        raise ConfigError(
            f'no run of {experiment.name} for {direction}, seed {seed}, has finished in {place.folder}; start '
            f'them with: dscreid reproduce run {experiment.name} --data {place.preset.name} --seeds {seed} '
            f'--direction {direction}'
        )
    data = 'Synthetic data, no real person' if place.preset.synthetic else 'Real data'
    notes = [f'{data}: `{place.preset.name}`, {direction}, seed {seed}.']
    if missing := [row.name for row in rows if row.name not in {run.name for run in runs}]:
        notes.append(f'Not run yet: {", ".join(missing)}.')
    if experiment.kind == 'retrieval':
        with environment(place.environment(direction, seed)):
            examples, dataset = examples_of(load_config(reader.path_of(rows[0].method, direction)), runs)
        body = 'Retrieval lists', retrieval_html(RetrievalGallery(examples, TrackletPictures(dataset)))
    else:
        densities = [distance_density(run.name, run.features) for run in runs]
        body = 'Distances', densities_html([density for density in densities if density is not None])
    return page_html(experiment.heading, paragraphs_html(notes), [body])


def curves_svg(summary: Summary) -> str:
    """Plot mAP against each swept parameter, with the standard deviation over seeds, as a standalone SVG.

    Rows whose names start with the same word form one sweep. Equal summaries give identical bytes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    sweeps: dict[str, dict[float, SummaryRow]] = {}
    for row in summary.rows:
        if row.row.x is not None:
            sweeps.setdefault(row.row.name.partition(' ')[0], {})[row.row.x] = row
    with matplotlib.rc_context({'svg.hashsalt': summary.title, 'font.size': 9}):
        figure = Figure(figsize=(4.2 * len(sweeps), 3.2))
        panels = figure.subplots(1, len(sweeps), squeeze=False, sharey=True)[0]
        # alpha first, as in the paper
        for panel, (name, sweep) in zip(panels, sorted(sweeps.items(), reverse=True), strict=True):
            _plot(panel, sweep)
            panel.set_xlabel({'alpha': 'α'}.get(name, name))
            panel.grid(alpha=0.3)
        panels[0].set_ylabel('mAP, percent ± standard deviation')
        panels[0].legend(fontsize=8)
        figure.suptitle(summary.title, fontsize=8)
        figure.tight_layout()
        stream = io.StringIO()
        figure.savefig(stream, format='svg', metadata={'Date': None})
    return stream.getvalue()


def _plot(panel: 'Axes', sweep: Mapping[float, SummaryRow]) -> None:
    """Plot the metrics of one sweep: value of the parameter → row."""
    width = max(sweep) - min(sweep)
    for key, label, marker, offset in _LINES:
        points = [(x, figure) for x, row in sorted(sweep.items()) if (figure := row.figure(key)) is not None]
        if points:
            x = [x + offset * width for x, _ in points]
            means = [100 * figure.mean for _, figure in points]
            deviations = [100 * (figure.deviation or 0) for _, figure in points]
            panel.errorbar(x, means, deviations, label=label, marker=marker, ms=4, capsize=2, elinewidth=0.8)
