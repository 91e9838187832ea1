"""The paper's tables and figures as data: which rows they have and which config each row is."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dscreid.errors import ConfigError
from dscreid.utils.signatures import closest

_NONE: Mapping[str, Any] = MappingProxyType({})
#: Ways to rank the features of a finished run once more, see ``views.py``.
VIEWS = ('raw', 'static', 'dynamic')
_DSLU = 'default_hooks.cluster.labelers.1'


@dataclass(frozen=True)
class Row:
    """One row of a table, or one point of a curve.

    Attributes:
        name: As the table prints it.
        method: Which config, by the name that a :class:`DataPreset` finds its file by, such as ``'dsc'``.
        overrides: Settings by dotted key that differ from the config. Those that the config has anyway do not count,
            so that a sweep's point at the default is the config's own run.
        tag: What the folder of a run with overrides is called after the config's name.
        paper: Name of the row in the paper's table, or None where the paper has none.
        view: One of ``VIEWS``: no run of its own, the features of ``method``'s run ranked another way.
        untrained: Evaluate the pre-trained tower as it is, before any source stage.
        x: Abscissa of a point of a curve.
    """

    name: str
    method: str
    overrides: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    tag: str = ''
    paper: str | None = None
    view: str | None = None
    untrained: bool = False
    x: float | None = None


@dataclass(frozen=True)
class Experiment:
    """One of the paper's tables or figures, or a comparison of this package's own.

    Attributes:
        name: Name on the command line.
        title: What it compares.
        rows: Its rows in the paper's order.
        directions: Adaptation directions of the paper, run where none is asked for.
        table: Number of the paper's table with the same rows, or None.
        kind: ``'table'``, ``'curves'`` (rows with ``x``), ``'retrieval'`` or ``'densities'``.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    directions: tuple[str, ...] = ('hitsz2bupt',)
    table: int | None = None
    kind: str = 'table'

    @property
    def heading(self) -> str:
        """The title with the paper's name of the table or figure, as ``Table 3: ...``."""
        name = re.sub(r'^(table|figure)(?=\d)', lambda word: f'{word[0].capitalize()} ', self.name)
        return f'{name}: {self.title}'


# ---- rows that several tables share: the same method, so the same run ----
_CD = Row('CD', 'cd', paper='CD')
_DSC = Row('DSC', 'dsc', paper='DSC')


def _methods(suffix: str = '') -> tuple[Row, ...]:
    """The unsupervised rows of Tables 1 and 2, and B+Clu, from which the comparison methods start."""
    return (
        _CD,
        Row('B+Clu', f'bclu{suffix}'),
        *(Row(name, f'{name.lower()}{suffix}', paper=name) for name in ('ADCA', 'PGM', 'GUR', 'NG')),
        _DSC,
    )


def _weights() -> tuple[Row, ...]:
    """Table 6: (dynamic, static) weights of the fused similarity (11)."""
    pairs = (('1', '0'), ('0.9', '0.1'), ('0.8', '0.2'), ('0.7', '0.3'), ('0.6', '0.4'), ('1', '1'))
    return tuple(
        Row(
            f'({dynamic}, {static})',
            'dsc',
            {
                f'{_DSLU}.intra.dynamic_weight': float(dynamic),
                f'{_DSLU}.intra.static_weight': float(static),
            },
            tag=f'weights_{dynamic}_{static}',
            paper=f'({dynamic}, {static})',
        )
        for dynamic, static in pairs
    )


def _alphas(values: Iterable[float] = (0.6, 0.7, 0.8, 0.9, 0.95)) -> tuple[Row, ...]:
    """Figure 4: the share of the largest similarity that makes a neighbour, in all pairs of modalities."""
    keys = [f'model.neighbor_losses.{number}.alpha' for number in (0, 1)]
    return tuple(
        Row(f'alpha {value:g}', 'dsc', dict.fromkeys(keys, value), tag=f'alpha_{value:g}', x=value)
        for value in values
    )


def _votes(values: Iterable[int] = (5, 10, 15, 20, 30)) -> tuple[Row, ...]:
    """Figure 4: neighbours that vote in the unification of labels."""
    key = f'{_DSLU}.inter.topk'
    return tuple(
        Row(f'K {value}', 'dsc', {key: value}, tag=f'topk_{value}', x=float(value)) for value in values
    )


_TABLES = (
    Experiment('table1', 'Unsupervised methods', _methods(), table=1),
    Experiment('table2', 'Unsupervised methods', _methods(), ('bupt2hitsz',), table=2),
    Experiment(
        'table3',
        'Components of DSC',
        (
            Row('baseline (CD)', 'cd', paper='baseline'),
            Row('+ clustering (B+Clu)', 'bclu', paper='+ clustering'),
            Row('+ clustering + DSJL', 'without_dslu', paper='+ clustering + DSJL'),
            Row('+ clustering + DSLU', 'without_dsjl', paper='+ clustering + DSLU'),
            Row('+ clustering + DSJL + DSLU (DSC)', 'dsc', paper='+ clustering + DSJL + DSLU'),
        ),
        table=3,
    ),
    Experiment(
        'table4',
        'Inside DSJL, with DSLU',
        (
            Row('neither', 'without_dsjl', paper='neither'),
            Row('inter-modal only', 'dsjl_inter', paper='inter-modal only'),
            Row('intra-modal only', 'dsjl_intra', paper='intra-modal only'),
            Row('both (DSC)', 'dsc', paper='both'),
        ),
        table=4,
    ),
    Experiment(
        'table5',
        'Inside DSLU, with DSJL',
        (
            Row('neither', 'without_dslu', paper='neither'),
            Row('inter-modal unification only', 'dslu_inter', paper='inter-modal unification only'),
            Row('intra-modal correction only', 'dslu_intra', paper='intra-modal correction only'),
            Row('both (DSC)', 'dsc', paper='both'),
        ),
        table=5,
    ),
    Experiment('table6', 'Weights (dynamic, static) of the fused similarity (11)', _weights(), table=6),
)
_FIGURES = (
    Experiment('figure3', 'Retrieval lists of CD and DSC', (_CD, _DSC), kind='retrieval'),
    Experiment('figure4', 'mAP against alpha and K', (*_alphas(), *_votes()), kind='curves'),
    Experiment(
        'figure5',
        'Distances within and between identities',
        (
            Row('CLIP (pre-trained tower)', 'cd', tag='untrained', untrained=True),
            _CD,
            Row('baseline (B+Clu)', 'bclu'),
            _DSC,
        ),
        kind='densities',
    ),
)
_OWN = (
    Experiment(
        'variants',
        'Other readings and options of the methods (no table of the paper)',
        (
            Row('GUR with camera phases', 'gur_cameras'),
            Row('NG, optimal transport (reconstruction)', 'ng_transport'),
            Row("DSC, SDCL's schedule", 'sdcl_schedule'),
            Row('DSC, one vote suffices (the paper)', 'dsc', {f'{_DSLU}.inter.min_votes': 1}, tag='one_vote'),
            Row('DSC, strict votes first', 'agreement'),
            _DSC,
        ),
        ('bupt2hitsz', 'hitsz2bupt'),
    ),
    Experiment(
        'stages',
        'With as much training for all: second stages after B+Clu (no table of the paper)',
        (
            Row('B+Clu', 'bclu'),
            Row('B+Clu, second stage', 'bclu_second_stage'),
            *(Row(f'{name}, second stage', name.lower()) for name in ('ADCA', 'PGM', 'NG')),
            Row('DSC, second stage', 'dsc_second_stage'),
        ),
        ('bupt2hitsz', 'hitsz2bupt'),
    ),
    Experiment(
        'resnet50',
        'Unsupervised methods on ResNet-50 (no table of the paper)',
        tuple(row for row in _methods('_resnet50') if row.method.endswith('_resnet50')),
        ('bupt2hitsz', 'hitsz2bupt'),
    ),
    Experiment(
        'retrieval',
        'Which features are ranked, from the features of finished runs (no table of the paper)',
        tuple(
            Row(f'{row.name}, {view or "as tested"}', row.method, tag=view or '', view=view)
            for row in (_CD, _DSC)
            for view in (None, *VIEWS)
        ),
        ('bupt2hitsz', 'hitsz2bupt'),
    ),
)
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for experiment in (*_TABLES, *_FIGURES, *_OWN)
}


def find_experiment(name: str) -> Experiment:
    """The table or figure of that name.

    Raises:
        ConfigError: There is none; the message names the known ones and the closest.
    """
    key = name.lower().replace(' ', '')
    if key not in EXPERIMENTS:
        raise ConfigError(
            f"no table or figure '{name}'{closest(key, list(EXPERIMENTS))} (known are {', '.join(EXPERIMENTS)})"
        )
    return EXPERIMENTS[key]


def choose_rows(experiment: Experiment, names: Sequence[str] | None) -> tuple[Row, ...]:
    """The rows of the given names or methods, in the experiment's order; all rows for None.

    Raises:
        ConfigError: A name fits no row; the message names the known ones and the closest.
    """
    if not names:
        return experiment.rows
    wanted = {name.lower() for name in names}
    known = {word.lower() for row in experiment.rows for word in _words(row)}
    for name in names:
        if name.lower() not in known:
            raise ConfigError(_no_row_message(experiment, name))
    return tuple(row for row in experiment.rows if wanted & {word.lower() for word in _words(row)})


def _words(row: Row) -> tuple[str, ...]:
    """What a row is called on the command line."""
    # a method that several rows of a sweep share names none of them
    return (row.name, row.tag or row.method)


def _no_row_message(experiment: Experiment, name: str) -> str:
    lowered: dict[str, str] = {}
    for row in experiment.rows:
        for word in _words(row):
            lowered.setdefault(word.lower(), word)
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    hint = f"; did you mean '{lowered[near[0]]}'?" if near else ''
    return f"{experiment.name} has no row '{name}'{hint} (known are {', '.join(map(repr, lowered.values()))})"
