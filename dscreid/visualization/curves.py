"""Curves of a training run, from the JSON lines that MMEngine writes to ``vis_data/scalars.json``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_finite_number
from dscreid.visualization.svg_chart import Rule, Series, format_number, legend, line_chart

IDENTITY_KEYS = ('labels/rgb_identities', 'labels/ir_identities')
RGB_COLOUR, IR_COLOUR, MEAN_COLOUR = 0, 1, 2


@dataclass(frozen=True)
class Scalars:
    """Logged values of one run.

    Attributes:
        series: key → (x float64 (n,) ascending, y float64 (n,) finite). Losses and learning rates count
            iterations, everything else counts epochs (or whatever ``step`` counts).
        identities: True number of identities in the training split, None if unknown.
    """

    series: Mapping[str, tuple[np.ndarray, np.ndarray]]
    identities: int | None = None


@dataclass(frozen=True)
class _Figure:
    """Which series one figure shows."""

    title: str
    caption: str
    select: Callable[[str], bool]
    x_label: str = 'epoch'
    from_zero: bool = False

    @property
    def by_epoch(self) -> bool:
        """Whether the values are few enough for a table."""
        return self.x_label == 'epoch'


def read_scalars(*paths: str | Path, identities: int | None = None) -> Scalars:
    """Read one or several ``scalars.json`` files; of repeated steps (a resumed run) the last one counts.

    Args:
        paths: Files in the order in which they were written.
        identities: True number of identities in the training split; when None, it is taken from the logged
            ``labels/rgb_identities`` or ``labels/ir_identities`` if they are there.

    Raises:
        CheckpointError: If a file is missing or a line is no JSON object.
    """
    records = [record for path in paths for record in _read_lines(Path(path))]
    return make_scalars(records, identities=identities)


def make_scalars(records: Sequence[Mapping[str, object]], identities: int | None = None) -> Scalars:
    """Sort logged records into series; values that are no finite numbers are passed over.

    Args:
        records: One mapping per logged step, as MMEngine writes them.
        identities: See :func:`read_scalars`.
    """
    points: dict[str, dict[float, float]] = {}
    for record in records:
        for key, value in record.items():
            at = _position(key, record)
            if key not in ('step', 'iter', 'epoch') and at is not None and _is_number(value):
                points.setdefault(key, {})[at] = float(value)
    series = {
        key: (np.array(sorted(values)), np.array([values[at] for at in sorted(values)]))
        for key, values in points.items()
    }
    logged = [series[key][1].max() for key in IDENTITY_KEYS if key in series]
    if identities is None and logged:
        identities = int(max(logged))
    return Scalars(series, identities)


def curves_html(scalars: Scalars) -> str:
    """All figures for which the run has logged something, or a sentence when it has logged nothing.

    Losses and learning rate over iterations; clusters, labelled share and agreement with the true identities
    (diagnostics that training never sees), and validation results over epochs. Unknown keys are left out.
    """
    figures = [_figure_html(figure, scalars) for figure in _FIGURES]
    figures = [figure for figure in figures if figure]
    if not figures:
        return '<p class="empty">Nothing was logged, so there are no curves.</p>'
    return '<div class="grid">\n' + '\n'.join(figures) + '\n</div>'


def _read_lines(path: Path) -> list[dict]:
    """The JSON objects of one file, one per line."""
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise CheckpointError(
            f'{path} cannot be read ({error.strerror or error}); name a scalars.json of a run.'
        ) from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f'{path} is no text file; name a scalars.json of a run.') from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise CheckpointError(
                f'{path}:{number} is no JSON object; name the scalars.json that training wrote, whole.'
            )
        records.append(record)
    return records


def _is_number(value: object) -> bool:
    """Whether a logged value can be drawn."""
    return is_finite_number(value)


def _position(key: str, record: Mapping[str, object]) -> float | None:
    """Where a value lies on its x axis: iterations for losses and rates, epochs where they are known."""
    order = ('iter', 'step', 'epoch') if _is_iteration_key(key) else ('epoch', 'step', 'iter')
    return next((float(record[name]) for name in order if _is_number(record.get(name))), None)


def _is_iteration_key(key: str) -> bool:
    """Whether a key changes within an epoch."""
    return _is_loss_term(key) or key in ('loss', 'lr', 'grad_norm', 'time', 'data_time', 'memory')


def _is_loss_term(key: str) -> bool:
    """Whether a key is one of the terms that sum up to ``loss``."""
    return key.startswith('loss_') or ('.' in key and 'loss' in key.rpartition('.')[2])


def _one_of(*names: str) -> Callable[[str], bool]:
    """A selector of exactly these keys."""
    return lambda key: key in names


_FIGURES = (
    _Figure('Total loss', 'Sum of all terms.', _one_of('loss'), 'iteration', from_zero=True),
    _Figure('Loss terms', 'Weights already applied.', _is_loss_term, 'iteration', from_zero=True),
    _Figure('Learning rate', '', _one_of('lr'), 'iteration', from_zero=True),
    _Figure(
        'Clusters',
        'Pseudo identities found.',
        _one_of('labels/rgb_clusters', 'labels/ir_clusters'),
        from_zero=True,
    ),
    _Figure(
        'Labelled share',
        'Share of the training tracklets that got a pseudo label.',
        _one_of('labels/rgb_labelled', 'labels/ir_labelled'),
    ),
    _Figure(
        'Adjusted Rand index',
        'Agreement of pseudo labels and true identities; 1 is perfect, 0 is chance. Never used for training.',
        _one_of('labels/rgb_ari', 'labels/ir_ari'),
    ),
    _Figure(
        'Mutual information and purity',
        'Normalised mutual information with the true identities, and share of the majority identity.',
        _one_of('labels/rgb_nmi', 'labels/ir_nmi', 'labels/rgb_purity', 'labels/ir_purity'),
    ),
    _Figure(
        'Cross-modal accuracy',
        'How often a visible pseudo label names the infrared cluster of the same person.',
        _one_of('labels/cross_modal_accuracy'),
    ),
    _Figure(
        'Label-free criteria',
        'What can be said of the weights without labels; the higher the better.',
        lambda key: key.startswith('criteria/') and not key.endswith(('_rgb', '_ir')),
    ),
    _Figure('Validation mAP', 'Percent.', lambda key: key.endswith('/mAP')),
    _Figure('Validation Rank-1', 'Percent.', lambda key: key.endswith('/Rank-1')),
)


def _figure_html(figure: _Figure, scalars: Scalars) -> str:
    """One figure with title, legend, chart, caption and (per epoch) its values as a table; '' when empty."""
    keys = sorted((key for key in scalars.series if figure.select(key)), key=_rgb_first)
    if not keys:
        return ''
    in_percent = figure.title.startswith('Validation')
    lines = []
    for position, key in enumerate(keys):
        x, y = scalars.series[key]
        style = _style(key, position)
        lines.append(Series(_label(key), x, 100 * y if in_percent else y, **style))
    rules = []
    if figure.title == 'Clusters' and scalars.identities is not None:
        rules.append(Rule(f'true identities ({scalars.identities})', y=scalars.identities))
    description = f'{figure.title} by {figure.x_label}: {"; ".join(_summary(line) for line in lines)}'
    chart = line_chart(
        lines, description=description, x_label=figure.x_label, rules=rules, from_zero=figure.from_zero
    )
    table = _values_html(lines, figure.x_label) if figure.by_epoch else ''
    caption = f'<figcaption>{escape(figure.caption)}</figcaption>' if figure.caption else ''
    return (
        f'<figure class="card"><h4>{escape(figure.title)}</h4>{legend(lines, rules)}\n{chart}\n'
        f'{caption}{table}</figure>'
    )


def _rgb_first(key: str) -> tuple[int, str]:
    """Order of series: visible, infrared, the rest."""
    order = 0 if 'rgb2ir' in key or 'rgb_' in key else 1 if 'ir2rgb' in key or 'ir_' in key else 2
    return order, key


def _style(key: str, position: int) -> dict:
    """Colour and dash: one colour per modality throughout the report, purity and mean dashed."""
    if key.startswith('labels/') or key.endswith(('/mAP', '/Rank-1')):
        colour = {0: RGB_COLOUR, 1: IR_COLOUR}.get(_rgb_first(key)[0], MEAN_COLOUR)
        colour = {'rgb2rgb': 3, 'ir2ir': 4}.get(key.partition('/')[0], colour)
        return {'colour': colour, 'dashed': key.endswith('_purity') or key.startswith('mean/')}
    return {'colour': position % 8, 'dashed': position >= 8}


def _label(key: str) -> str:
    """A key as the legend names it."""
    head, _, tail = key.partition('/')
    if head == 'labels':
        modality, _, what = tail.partition('_')
        if modality in ('rgb', 'ir'):
            name = {'rgb': 'visible', 'ir': 'infrared'}[modality]
            return (
                f'{name}, {what.upper()}'
                if what == 'nmi'
                else f'{name}, {what}'
                if what == 'purity'
                else name
            )
    if head in ('labels', 'criteria'):
        return tail.replace('_', ' ')
    if tail in ('mAP', 'Rank-1'):
        return {'rgb2ir': 'RGB→IR', 'ir2rgb': 'IR→RGB'}.get(head, head)
    return key.removeprefix('loss_').replace('_', ' ') if key.startswith('loss_') else key


def _summary(line: Series) -> str:
    """First and last value of a line in words."""
    return f'{line.name} from {format_number(line.y[0])} to {format_number(line.y[-1])}'


def _values_html(lines: Sequence[Series], x_label: str) -> str:
    """The figure's values as a table that can be unfolded."""
    positions = sorted({float(at) for line in lines for at in line.x})
    lookup = [dict(zip(line.x.tolist(), line.y.tolist(), strict=True)) for line in lines]
    head = ''.join(f'<th scope="col">{escape(line.name)}</th>' for line in lines)
    rows = ''.join(
        f'<tr><th scope="row">{format_number(at)}</th>'
        + ''.join(f'<td>{format_number(values[at]) if at in values else "–"}</td>' for values in lookup)
        + '</tr>'
        for at in positions
    )
    return (
        '<details><summary>Values</summary><table>'
        f'<thead><tr><th scope="col">{escape(x_label)}</th>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table></details>'
    )
