"""The paper's tables and figures as data: their rows and the config of each row."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dscreid.errors import ConfigError
from dscreid.utils.build_errors import closest

T = TypeVar('T')
#: Name of all tables and figures of the paper together.
ALL = 'all'
_DSLU, _DSLU_FIRST = 'default_hooks.cluster.labelers.1', 'default_hooks.cluster.labelers.0'


@dataclass(frozen=True)
class Row:
    """One row of a table, or one point of a curve."""

    name: str  # name printed in the table; a row of the paper's table has the paper's name
    method: str  # name by which a DataPreset finds the config file, such as 'dsc'
    # settings by dotted key; if all equal the config's, the row reuses the config's own run
    overrides: Mapping[str, Any] = field(default_factory=dict)
    tag: str = ''  # suffix of the run's folder name if the row has overrides
    untrained: bool = False  # evaluate the pre-trained tower without any training
    x: float | None = None  # x value of a point of a curve
    supervised: bool = False  # trained on the identity labels of the target


@dataclass(frozen=True)
class Experiment:
    """One of the paper's tables or figures, or an additional comparison of this package."""

    name: str  # name on the command line
    title: str  # what it compares
    rows: tuple[Row, ...]  # its rows in the paper's order
    directions: tuple[str, ...] = ('hitsz2bupt',)  # adaptation directions of the paper, used if none are requested
    kind: str = 'table'  # 'table', 'curves' (rows with x), 'retrieval' or 'densities'
    quotes: int | None = None  # table of the paper, of which rows that cannot be run are quoted in a note
    tuning: bool = False  # whether it chooses settings, so that its worlds can support no claim
    chooses: bool = False  # whether its rows are settings among which label-free criteria choose
    short_schedules: bool = False  # whether its number of epochs is meant for the short schedules of rendered worlds

    @property
    def table(self) -> int | None:
        """Number of the paper's table with the same rows. None if there is none."""
        return int(self.name.removeprefix('table')) if re.fullmatch(r'table\d', self.name) else None

    @property
    def is_published(self) -> bool:
        """Whether it is one of the paper's tables or figures."""
        return re.fullmatch(r'(table|figure)\d', self.name) is not None

    @property
    def heading(self) -> str:
        """The title after the paper's name of the table or figure, such as ``Table 3: ...``."""
        name = re.sub(r'^(table|figure)(?=\d)', lambda word: f'{word[0].capitalize()} ', self.name)
        return f'{name}: {self.title}'


def _rows(methods: Mapping[str, str], supervised: bool = False) -> tuple[Row, ...]:
    """Make rows from their names and methods."""
    return tuple(Row(name, method, supervised=supervised) for name, method in methods.items())


#: Unsupervised methods: B+Clu, from which others start, those of the paper's tables, and further ones.
_METHODS = {
    'B+Clu': 'bclu',
    **{name: name.lower() for name in ('ADCA', 'PGM', 'GUR', 'NG', 'RPNR', 'PCLHD')},
    "HIL's labels": 'hil_labels',
}


def _methods(suffix: str = '') -> tuple[Row, ...]:
    return _rows({name: f'{method}{suffix}' for name, method in _METHODS.items()})


def _weights(dynamic: float, static: float) -> Row:
    """Row of Table 6: weights of the fused similarity (11)."""
    overrides = {f'{_DSLU}.intra.dynamic_weight': dynamic, f'{_DSLU}.intra.static_weight': static}
    return Row(f'({dynamic:g}, {static:g})', 'dsc', overrides, f'weights_{dynamic:g}_{static:g}')


def _sweep(name: str, tag: str, values: Sequence[float], *keys: str) -> tuple[Row, ...]:
    """Points of a curve of Figure 4, each with one value of all keys."""
    return tuple(
        Row(f'{name} {value:g}', 'dsc', dict.fromkeys(keys, value), f'{tag}_{value:g}', x=float(value))
        for value in values
    )


_BOTH = ('bupt2hitsz', 'hitsz2bupt')
#: Rows of the paper's tables that have no config, because neither code nor enough details are public.
NOT_REPRODUCIBLE = ('SADSTRM', 'CST')
#: Rows of the paper's Tables 1 and 2 that have a config, and VLD, from whose model the unsupervised ones start.
_CLIP_METHODS = _rows({'CLIP-ReID': 'clip_reid', 'TF-CLIP': 'tf_clip'}, supervised=True)
_IMAGE_METHODS = _rows(
    {name: name.lower() for name in ('DDAG', 'LbA', 'CAJ', 'AGW', 'MMN', 'DART', 'DEEN')}, supervised=True
)
_MITML, _SAADG, _AUXNET = _rows({'MITML': 'mitml', 'SAADG': 'saadg', 'AuxNet': 'auxnet'}, supervised=True)
_IBAN = _rows({'IBAN': 'iban'}, supervised=True)
_VLD = _rows({'VLD': 'vld'}, supervised=True)
_PLUS = Row('DSC plus (ours)', 'dsc_plus')
_TONES = Row('DSC plus with infrared tones (ours)', 'dsc_tones')
_BOUND = Row('true labels (bound)', 'true_labels', supervised=True)
_WITH_TONES = {
    'model.data_preprocessor.tones': {},
    'model.data_preprocessor.augmentation.visible_views': ('plain', 'infrared_tones'),
}
_DSC_TONES = Row('DSC with infrared tones (ours)', 'dsc', _WITH_TONES, 'with_tones')
_BOUND_TONES = Row('true labels with infrared tones (bound)', 'true_labels', _WITH_TONES, 'with_tones', supervised=True)
#: What infrared tones gain by themselves: they are learned from the first labels, and the weights stay as they are.
_TONES_ALONE = Row(
    'infrared tones alone, no training',
    'dsc_tones',
    {'optim_wrapper.optimizer.lr': 1e-12, 'train_cfg.max_epochs': 1, 'train_dataloader.sampler.iterations': 1},
    'tones_alone',
)
_CD, _ADABN, _DSC = _rows({'CD': 'cd', 'CD, necks of the target (AdaBN)': 'adabn', 'DSC': 'dsc'})
_ALPHA_KEYS = 'model.neighbor_losses.0.alpha', 'model.neighbor_losses.1.alpha'
_ALPHAS = _sweep('alpha', 'alpha', (0.6, 0.7, 0.8, 0.9, 0.95), *_ALPHA_KEYS)
_VOTES = _sweep('K', 'topk', (5, 10, 15, 20, 30), f'{_DSLU}.inter.topk')
_COMPONENTS = {
    'baseline': 'cd',
    'baseline, necks of the target (AdaBN)': 'adabn',
    '+ clustering': 'bclu',
    '+ clustering + DSJL': 'without_dslu',
    '+ clustering + DSLU': 'without_dsjl',
    '+ clustering + DSJL + DSLU': 'dsc',
}
_DSJL = {
    'neither': 'without_dsjl', 'inter-modal only': 'dsjl_inter', 'intra-modal only': 'dsjl_intra', 'both': 'dsc',
}  # fmt: skip
_DSLU_PARTS = {
    'neither': 'without_dslu',
    'inter-modal unification only': 'dslu_inter',
    'intra-modal correction only': 'dslu_intra',
    'both': 'dsc',
}
_WEIGHTS = ((1.0, 0.0), (0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0.6, 0.4), (1.0, 1.0))
_VARIANTS = (
    *_rows({
        'GUR with camera phases': 'gur_cameras',
        'NG, optimal transport (reconstruction)': 'ng_transport',
        "DSC, SDCL's schedule": 'sdcl_schedule',
        'DSC, strict votes first': 'agreement',
    }),
    Row('DSC, one vote suffices (the paper)', 'dsc', {f'{_DSLU}.inter.min_votes': 1}, tag='one_vote'),
    _DSC,
)  # fmt: skip
_LOSSES = 'model.neighbor_losses.0', 'model.neighbor_losses.1'


def _detail(name: str, tag: str, **settings: Any) -> Row:
    """Row with settings of both neighbor losses, or, with dots written as two underscores, of other parts."""
    keys: dict[str, Any] = {}
    for key, value in settings.items():
        keys |= {key.replace('__', '.'): value} if '__' in key else {f'{loss}.{key}': value for loss in _LOSSES}
    return Row(name, 'dsc', keys, tag)


_UNIFY = 'default_hooks__cluster__labelers__1'
_DETAILS = (
    _DSC,
    _detail('neighbors: the sample itself is no neighbor', 'no_self', include_self=False),
    _detail('negatives: without the own cluster', 'no_own', own_cluster_negatives=False),
    _detail('both', 'no_self_no_own', include_self=False, own_cluster_negatives=False),
    _detail('neighbor losses: weight 0.1 throughout', 'weight_0.1', weight=0.1),
    _detail('cluster memory: momentum 0.2', 'momentum_0.2', model__memories__cluster__momentum=0.2),
    _detail('cluster memory: momentum 0.9', 'momentum_0.9', model__memories__cluster__momentum=0.9),
    Row('unification: from the first epoch', 'dslu_from_start'),
    _detail(
        'unification: K = 5, one vote',
        'topk_5_one_vote',
        **{f'{_UNIFY}__inter__topk': 5, f'{_UNIFY}__inter__min_votes': 1},
    ),
    _detail('unification: votes pooled by cluster', 'pooled', **{f'{_UNIFY}__pooled': {'min_share': 0.0}}),
    _detail('unification: whitened features', 'whitened', **{f'{_UNIFY}__whitening': {'shrinkage': 0.1}}),
    _PLUS,
    Row(
        'DSC plus, several clusters may have one label',
        'dsc_plus',
        {f'{_DSLU_FIRST}.pooled.one_to_one': False},
        'not_one_to_one',
    ),
    Row(
        'DSC plus, clusters without a partner are negatives',
        'dsc_plus',
        {'model.memories.unpaired_negatives': True},
        'unpaired_negatives',
    ),
    _BOUND,
)
_STAGES = {
    'B+Clu': 'bclu',
    'B+Clu, second stage': 'bclu_second_stage',
    **{f'{name}, second stage': name.lower() for name in ('ADCA', 'PGM', 'NG', 'RPNR', 'PCLHD')},
    'DSC, second stage': 'dsc_second_stage',
}
_TEN_EPOCHS = tuple(
    Row(f'{name}, ten epochs', method, {'train_cfg.max_epochs': 10}, 'ten_epochs', supervised=supervised)
    for name, method, supervised in (
        ('B+Clu', 'bclu', False),
        ('B+Clu + DSLU', 'without_dsjl', False),
        ('DSC', 'dsc', False),
        ('DSC plus (ours)', 'dsc_plus', False),
        ('true labels (bound)', 'true_labels', True),
    )
)
#: Each epoch is judged by criteria and by test labels; the row's result is that of the epoch with the best criterion.
_JUDGED = {'train_cfg.val_interval': 1, 'default_hooks.selection.criterion': 'cycle_consistency'}


def _clustering(key: str, value: float) -> Row:
    """Row with one setting of DSC's clustering; those that are not fixed are chosen to suit it."""
    keys = f'{_DSLU_FIRST}.{key}', f'{_DSLU}.clustering.{key}'
    return Row(f'{key} = {value:g}', 'dsc', _JUDGED | dict.fromkeys(keys, value), f'{key}_{value:g}')


_CHOICES = (
    Row('settings chosen without labels', 'dsc', _JUDGED, 'chosen'),
    _clustering('k1', 6),
    _clustering('k1', 24),
    _clustering('eps', 0.45),
    _clustering('eps', 0.65),
    Row('neighbor losses: weight 0', 'without_dsjl', _JUDGED, 'weight_0'),
    Row(
        'neighbor losses: weight 0.5',
        'dsc',
        _JUDGED | dict.fromkeys((f'{loss}.unified_weight' for loss in _LOSSES), 0.5),
        'weight_0.5',
    ),
)
_UNTRAINED = Row('CLIP (pre-trained tower)', 'cd', tag='untrained', untrained=True)
_ALL = (
    Experiment(
        'table1',
        'Comparison with and without labels of the target',
        (*_IMAGE_METHODS, *_CLIP_METHODS, _MITML, *_VLD, _CD, _ADABN, *_methods(), _DSC),
    ),
    Experiment(
        'table2',
        'Comparison with and without labels of the target',
        (_MITML, *_IBAN, _SAADG, _AUXNET, *_VLD, _CD, _ADABN, *_methods(), _DSC),
        ('bupt2hitsz',),
    ),
    Experiment('table3', 'Components of DSC', _rows(_COMPONENTS)),
    Experiment('table4', 'Inside DSJL, with DSLU', _rows(_DSJL)),
    Experiment('table5', 'Inside DSLU, with DSJL', _rows(_DSLU_PARTS)),
    Experiment(
        'table6', 'Weights (dynamic, static) of the fused similarity (11)', tuple(_weights(*pair) for pair in _WEIGHTS)
    ),
    Experiment('figure3', 'Retrieval lists of CD and DSC', (_CD, _DSC), kind='retrieval'),
    Experiment('figure4', 'mAP against alpha and K', (*_ALPHAS, *_VOTES), kind='curves'),
    Experiment(
        'figure5',
        'Distances within and between identities',
        (_UNTRAINED, _CD, Row('baseline (B+Clu)', 'bclu'), _DSC),
        kind='densities',
    ),
    Experiment(
        'methods',
        'All methods, with and without labels of the target (no table of the paper)',
        (*_IMAGE_METHODS, *_CLIP_METHODS, _MITML, *_IBAN, _SAADG, _AUXNET, *_VLD, _CD, _ADABN, *_methods(), _DSC),
        _BOTH,
        quotes=2,
    ),
    Experiment(
        'beyond',
        'Our variant, and what true labels would gain (no table of the paper)',
        (_CD, _ADABN, *_methods(), _DSC, _PLUS, _TONES_ALONE, _DSC_TONES, _TONES, _BOUND, _BOUND_TONES),
        _BOTH,
    ),
    Experiment(
        'variants', 'Other readings and options of the methods (no table of the paper)', _VARIANTS, _BOTH, tuning=True
    ),
    Experiment(
        'details', 'Details that the paper leaves open (no table of the paper)', _DETAILS, ('bupt2hitsz',), tuning=True
    ),
    Experiment(
        'choices',
        'Settings and epochs chosen without labels (no table of the paper)',
        _CHOICES,
        ('bupt2hitsz',),
        chooses=True,
    ),
    Experiment(
        'stages', 'As much training for all: second stages after B+Clu (no table of the paper)', _rows(_STAGES), _BOTH
    ),
    Experiment(
        'longer',
        'Ten epochs instead of the four of rendered worlds (no table of the paper)',
        (_CD, _ADABN, *_TEN_EPOCHS),
        _BOTH,
        short_schedules=True,
    ),
    Experiment('resnet50', 'Unsupervised methods on ResNet-50 (no table of the paper)', _methods('_resnet50'), _BOTH),
)
EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in _ALL}


def find(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return the entry with a name, or raise a ConfigError that lists the known names."""
    if name not in known:
        names = ', '.join(repr(word) if ' ' in word else word for word in known)
        raise ConfigError(f"no {kind} '{name}'{closest(name, known)} (known are {names})")
    return known[name]


def find_experiments(name: str) -> tuple[Experiment, ...]:
    """Return the table or figure with this name, or all of the paper for ``ALL``, or raise a ConfigError."""
    if name.lower() != ALL:
        return (find_experiment(name),)
    return tuple(one for one in EXPERIMENTS.values() if one.is_published)


def find_experiment(name: str) -> Experiment:
    """Return the table or figure with this name, or raise a ConfigError that lists the known names."""
    return find('table or figure', name.lower().replace(' ', ''), EXPERIMENTS)


def choose_rows(experiment: Experiment, names: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows with the given names or methods, or all; raise a ConfigError if a name matches no row."""
    # a method shared by several rows, as in a sweep, is only a name for the one without other settings
    counts = Counter(row.method for row in experiment.rows)
    words = [
        {row.name.lower(), (row.tag or row.method).lower(), *([row.method.lower()] if counts[row.method] == 1 else [])}
        for row in experiment.rows
    ]
    known = {word: word for pair in words for word in sorted(pair)}
    wanted = {find(f'row of {experiment.name} named', name.lower(), known) for name in names}
    return tuple(row for row, pair in zip(experiment.rows, words, strict=True) if wanted & pair or not wanted)
