"""Training curves from the JSON lines that MMEngine writes to ``vis_data/scalars.json``, and their charts."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dscreid.errors import CheckpointError
from dscreid.utils.records import is_number
from dscreid.visualization.figures import COLORS, Card, Rule, Series, format_number, line_chart, styled
from dscreid.visualization.results import direction_name

#: Largest value that is drawn (float32 maximum); beyond 1e300, the float64 arithmetic of charts overflows.
LARGEST = float(np.finfo(np.float32).max)
#: Regular expression of the terms of the total ``loss``.
LOSS_TERM = r'loss_.*|.*\.[^.]*loss[^.]*'
#: Regular expression of the keys that change within an epoch.
_ITERATION_KEYS = f'{LOSS_TERM}|loss|lr|grad_norm|time|data_time|memory'
_MODALITY_LABELS = {'rgb': 'visible', 'ir': 'infrared'}


class Scalars(NamedTuple):
    """Logged values of one run."""

    #: Key → (x float64 (n,) ascending, y float64 (n,), NaN where NaN or an infinite value was logged). x is in
    #: iterations for losses and learning rates, otherwise in epochs.
    series: Mapping[str, tuple[np.ndarray, np.ndarray]]
    identities: int | None = None  #: true number of identities in the training split, if known


class _Figure(NamedTuple):
    """Settings of one figure; ``keys`` is a regular expression of the keys that it shows."""

    title: str
    keys: str
    caption: str = ''
    x_label: str = 'epoch'
    from_zero: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    factor: float = 1.0


_SHARE: dict[str, Any] = dict(bounds=(0, 1))
_INDEX: dict[str, Any] = dict(bounds=(-1, 1))
_PERCENT: dict[str, Any] = dict(bounds=(0, 100), factor=100)
_FIGURES = (
    _Figure('Total loss', 'loss', 'Sum of all terms.', 'iteration', from_zero=True),
    _Figure('Loss terms', LOSS_TERM, 'Weights are already applied.', 'iteration', from_zero=True),
    _Figure('Learning rate', 'lr', '', 'iteration', from_zero=True),
    _Figure('Clusters', 'labels/(rgb|ir)_clusters', 'Pseudo identities found.', from_zero=True),
    _Figure('Labeled share', 'labels/(rgb|ir)_labelled',
            'Share of the training tracklets that have a pseudo label.', **_SHARE),
    _Figure('Adjusted Rand index', 'labels/(rgb|ir)_ari', 'Agreement of pseudo labels and true identities: '
            '1 is perfect, 0 is chance. Never used for training.', **_INDEX),
    _Figure('Mutual information and purity', 'labels/(rgb|ir)_(nmi|purity)', 'Normalized mutual information with '
            'the true identities, and share of the majority identity.', **_SHARE),
    _Figure('Cross-modal accuracy', 'labels/cross_modal_accuracy',
            'How often a visible pseudo label names the infrared cluster of the same person.', **_SHARE),
    _Figure('Label-free criteria', 'criteria/.*(?<!_rgb)(?<!_ir)',
            'Quality of the weights, estimated without labels; higher is better.', **_INDEX),
    _Figure('Validation mAP', '.*/mAP', 'Percent.', **_PERCENT),
    _Figure('Validation Rank-1', '.*/Rank-1', 'Percent.', **_PERCENT),
)  # fmt: skip


def read_scalars(*paths: str | Path, identities: int | None = None) -> Scalars:
    """Read a run's ``scalars.json`` files in the order of writing; the last value of a repeated step counts.

    Raises CheckpointError if a file is missing or a line is not a JSON object.
    """
    records = [record for path in paths for record in _read_lines(Path(path))]
    return make_scalars(records, identities=identities)


def make_scalars(records: Sequence[Mapping[str, Any]], identities: int | None = None) -> Scalars:
    """Sort logged records, one per step, into series. Text values are ignored.

    If ``identities`` is None, it is taken from ``labels/rgb_identities`` or ``labels/ir_identities`` if logged.
    """
    points: dict[str, dict[float, float]] = {}
    for record in records:
        for key, value in record.items():
            at = _position(key, record)
            if key not in ('step', 'iter', 'epoch') and at is not None and is_number(value):
                points.setdefault(key, {})[at] = float(value) if abs(value) <= LARGEST else math.nan
    series = {key: (np.array(sorted(y)), np.array([y[at] for at in sorted(y)])) for key, y in points.items()}
    if identities is None:
        logged = [points.get(f'labels/{modality}_identities', {}).values() for modality in ('rgb', 'ir')]
        identities = max((int(value) for values in logged for value in values if math.isfinite(value)), default=None)
    return Scalars(series, identities)


def _read_lines(path: Path) -> list[dict]:
    records: list[dict] = []
    place = str(path)
    try:
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            place = f'{path}:{number}'
            records.append(json.loads(line) if line.strip() else {})
            if not isinstance(records[-1], dict):
                raise ValueError('no JSON object')
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise CheckpointError(f'{place} cannot be read ({reason}); name a complete scalars.json of a run.') from error
    return records


def _position(key: str, record: Mapping[str, Any]) -> float | None:
    within_epoch = re.fullmatch(_ITERATION_KEYS, key, re.DOTALL)
    order = ('iter', 'step', 'epoch') if within_epoch else ('epoch', 'step', 'iter')
    places = (record.get(name) for name in order)
    return next((float(place) for place in places if is_number(place) and abs(place) <= LARGEST), None)


def curve_cards(runs: Mapping[str, Scalars]) -> list[Card]:
    """Make all figures for which a run, by its name, has logged values; unknown keys are left out.

    For one run, related series share a chart; for several runs, each series has its own chart with one line per run.
    """
    cards = []
    logged = {key for scalars in runs.values() for key in scalars.series}
    numbers = {scalars.identities for scalars in runs.values()}
    identities = numbers.pop() if len(numbers) == 1 else None
    for figure in _FIGURES:
        keys = sorted((key for key in logged if re.fullmatch(figure.keys, key, re.DOTALL)), key=_rgb_first)
        if len(runs) == 1 and keys:
            (scalars,) = runs.values()
            lines = [Series(_label(key), *scalars.series[key], **_style(at)) for at, key in enumerate(keys)]
            cards.append(_card(figure, figure.title, lines, identities))
        for key in keys if len(runs) > 1 else ():
            title = figure.title if len(keys) == 1 else f'{figure.title}: {_label(key)}'
            named = [(name, one.series[key], at) for at, (name, one) in enumerate(runs.items()) if key in one.series]
            lines = [Series(name, *points, **_style(at)) for name, points, at in named]
            cards.append(_card(figure, title, lines, identities))
    return cards


@styled()
def curve_panels(runs: Mapping[str, Scalars], keys: Sequence[str]) -> Figure | None:
    """Draw a panel per logged key with one line per run; None if no run has logged any of them."""
    drawn = [key for key in keys if any(key in one.series for one in runs.values())]
    if not drawn:
        return None
    picture = Figure(figsize=(3.3 * len(drawn), 3.2), layout='constrained')
    panels = picture.subplots(1, len(drawn), squeeze=False)[0]
    for axes, key in zip(panels, drawn, strict=True):
        settings = next(figure for figure in _FIGURES if re.fullmatch(figure.keys, key))
        for at, (name, one) in enumerate(runs.items()):
            x, y = one.series.get(key, (np.empty(0), np.empty(0)))
            style = _style(at)
            axes.plot(
                x, settings.factor * y, marker='o', markersize=4, color=style['color'], ls=style['style'], label=name
            )
        modality = f', {_label(key)}' if key.startswith(('labels/rgb', 'labels/ir')) else ''
        axes.set_title(settings.title + modality, fontsize=11)
        axes.set_xlabel(settings.x_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[['right', 'top']].set_visible(False)
        axes.grid(True, axis='y')
    handles, names = panels[0].get_legend_handles_labels()
    picture.legend(handles, names, loc='outside lower center', ncols=3, frameon=False)
    return picture


def _card(figure: _Figure, title: str, lines: Sequence[Series], identities: int | None) -> Card:
    captions = [figure.caption] if figure.caption else []
    drawn, ends = [], []
    for line in (line._replace(y=figure.factor * line.y) for line in lines):
        finite = line.y[np.isfinite(line.y)]
        if left_out := len(line.y) - len(finite):
            captions.append(f'{line.name}: {left_out} of {len(line.y)} values are NaN or infinite and left out.')
        if len(finite):
            drawn.append(line)
            ends.append(f'{line.name} from {format_number(finite[0])} to {format_number(finite[-1])}')
    if not drawn:
        return Card(title, captions=captions)
    rules = []
    if figure.title == 'Clusters' and identities is not None:
        rules.append(Rule(f'true identities ({identities})', identities))
    chart = line_chart(drawn, x_label=figure.x_label, rules=rules, from_zero=figure.from_zero, bounds=figure.bounds)
    return Card(title, chart, f'{title} by {figure.x_label}: {"; ".join(ends)}', [*drawn, *rules], captions)


def _rgb_first(key: str) -> tuple[int, str]:
    return 0 if 'rgb2ir' in key or 'rgb_' in key else 1 if 'ir2rgb' in key or 'ir_' in key else 2, key


def _style(position: int) -> dict[str, Any]:
    return dict(color=COLORS[position % len(COLORS)], style=('solid', 'dashed')[position // len(COLORS) % 2])


def _label(key: str) -> str:
    head, _, tail = key.partition('/')
    modality, _, what = tail.partition('_')
    if head == 'labels' and modality in _MODALITY_LABELS:
        return _MODALITY_LABELS[modality] + {'nmi': ', NMI', 'purity': ', purity'}.get(what, '')
    if head in ('labels', 'criteria'):
        return tail.replace('_', ' ')
    if tail in ('mAP', 'Rank-1'):
        return direction_name(head)
    return key.removeprefix('loss_').replace('_', ' ') if key.startswith('loss_') else key
