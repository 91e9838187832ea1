"""What is claimed of the methods, and whether runs agree. A claim holds if a weighted sum of mAP is positive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dscreid.lab.reproduction.experiments import EXPERIMENTS, Row
from dscreid.lab.reproduction.gains import Gain, World
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.summary import by_world, cards_by_seed, find_reference
from dscreid.visualization import paper_table

#: Stands for the best result without adaptation among the runs, and for CD among the paper's figures.
WITHOUT = 'without adaptation'
#: The paper's names of its row without adaptation.
_PAPER_BASELINES = ('CD', 'baseline')
_CLUSTERING, _WITH_DSJL, _WITH_DSLU = '+ clustering', '+ clustering + DSJL', '+ clustering + DSLU'
_DSC = '+ clustering + DSJL + DSLU'
_PLUS, _BOUND = 'DSC plus (ours)', 'true labels (bound)'
_TONES, _TONES_ALONE = 'DSC plus with infrared tones (ours)', 'infrared tones alone, no training'
_DSC_TONES, _BOUND_TONES = 'DSC with infrared tones (ours)', 'true labels with infrared tones (bound)'
_CLUSTERING_LONGER, _DSC_LONGER = 'B+Clu, ten epochs', 'DSC, ten epochs'


class Term(NamedTuple):
    """One result of a claim: a row of its table or ``WITHOUT``, how it counts, and what ranks (None: as configured)."""

    row: str
    weight: float
    ranking: str | None = None


@dataclass(frozen=True)
class Claim:
    """A claim holds if the weighted sum of its terms' mean mAP is positive; it needs a positive sum of its premise."""

    text: str
    experiments: tuple[str, ...]  # names of the experiments with these rows
    terms: tuple[Term, ...]
    premise: tuple[Term, ...] = ()  # without a positive sum of these terms too, the claim means nothing


class Judgment(NamedTuple):
    """What runs say of a claim."""

    claim: Claim
    gain: Gain | None  #: the weighted sum in each world; None if no world has all terms
    #: the weighted sum of the paper's figures in [0, 1] by the number of their table; empty if it prints none
    paper: Mapping[int, float]
    premise: Gain | None = None  #: the sum of the premise, if the claim has one

    @property
    def verdict(self) -> str:
        """``'agrees'`` or ``'disagrees'`` if the 95 % interval excludes zero, else ``'cannot be told'``."""
        if self.gain is None:
            return 'not run'
        premise = self.premise is not None and self.premise.is_certain and self.premise.mean > 0
        if not self.gain.is_certain or (self.claim.premise and not premise):
            return 'cannot be told'
        return 'agrees' if self.gain.mean > 0 else 'disagrees'


def _better(text: str, experiments: tuple[str, ...], better: str, worse: str) -> Claim:
    return Claim(text, experiments, (Term(better, 1), Term(worse, -1)))


def _three_quarters(text: str, row: str, bound: str) -> Claim:
    return Claim(
        text,
        ('beyond',),
        (Term(row, 1), Term(bound, -0.75), Term(WITHOUT, -0.25)),
        premise=(Term(bound, 1), Term(WITHOUT, -1)),
    )


#: The paper's claims, in the order of its tables, and some of ours.
CLAIMS = (
    *(
        _better(f'DSC is better than {name}', ('table1', 'table2'), 'DSC', name)
        for name in (WITHOUT, 'ADCA', 'PGM', 'GUR', 'NG')
    ),
    Claim(
        'clustering alone gives less than half of the gain of DSC',
        ('table3',),
        (Term(_DSC, 1), Term(_CLUSTERING, -2), Term(WITHOUT, 1)),
        premise=(Term(_DSC, 1), Term(WITHOUT, -1)),
    ),
    _better('unification (DSLU) improves on clustering', ('table3',), _WITH_DSLU, _CLUSTERING),
    _better('DSJL improves on clustering', ('table3',), _WITH_DSJL, _CLUSTERING),
    _better('DSJL improves on clustering with unification', ('table3',), _DSC, _WITH_DSLU),
    _better('both parts of DSJL are better than the inter-modal one', ('table4',), 'both', 'inter-modal only'),
    _better('both parts of DSJL are better than the intra-modal one', ('table4',), 'both', 'intra-modal only'),
    _better('inter-modal unification is what gains', ('table5',), 'inter-modal unification only', 'neither'),
    _better('intra-modal correction adds to it', ('table5',), 'both', 'inter-modal unification only'),
    _better('both halves find better neighbors than the dynamic one', ('table6',), '(1, 1)', '(1, 0)'),
    Claim(
        'both halves of DSC rank better than its static half',
        ('table3',),
        (Term(_DSC, 1, 'neck_both'), Term(_DSC, -1, 'neck_static')),
    ),
    _better('after ten epochs, DSC is better than without adaptation', ('longer',), _DSC_LONGER, WITHOUT),
    Claim(
        'after ten epochs, clustering alone gives less than half of the gain of DSC',
        ('longer',),
        (Term(_DSC_LONGER, 1), Term(_CLUSTERING_LONGER, -2), Term(WITHOUT, 1)),
        premise=(Term(_DSC_LONGER, 1), Term(WITHOUT, -1)),
    ),
    *(
        _better(f'DSC plus (ours) is better than {name}', ('beyond',), _PLUS, name)
        for name in (WITHOUT, 'DSC', 'ADCA', 'NG')
    ),
    _three_quarters('DSC plus (ours) gains at least three quarters of what true labels gain', _PLUS, _BOUND),
    *(
        _better(f'DSC plus with infrared tones (ours) is better than {name}', ('beyond',), _TONES, name)
        for name in (WITHOUT, 'DSC', 'ADCA', 'NG', _PLUS, _TONES_ALONE, _BOUND)
    ),
    _three_quarters(
        'DSC plus with infrared tones (ours) gains at least three quarters of what true labels with them gain',
        _TONES,
        _BOUND_TONES,
    ),
    _better('DSC with infrared tones (ours) is better than DSC', ('beyond',), _DSC_TONES, 'DSC'),
    _better('infrared tones are better than nothing even without training', ('beyond',), _TONES_ALONE, WITHOUT),
)


def judge_claims(
    place: Place, directions: Sequence[str], seeds: Sequence[int] | None = None, claims: Sequence[Claim] = CLAIMS
) -> list[Judgment]:
    """Judge claims by the finished runs of some directions and seeds (None: all seeds), world by world."""
    reference = find_reference(place, directions, seeds)
    without = {} if reference is None else dict(reference.values)

    def values(claim: Claim, term: Term) -> dict[World, float]:
        if term.row == WITHOUT:
            return without
        row = find_row(claim, term)
        return by_world({each: cards_by_seed(place, row, each, seeds) for each in directions}, term.ranking)

    def total(claim: Claim, terms: Sequence[Term]) -> Gain | None:
        return weighted_sum([(term.weight, values(claim, term)) for term in terms]) if terms else None

    return [
        Judgment(claim, total(claim, claim.terms), paper_sums(claim), total(claim, claim.premise)) for claim in claims
    ]


def weighted_sum(terms: Sequence[tuple[float, Mapping[World, float]]]) -> Gain | None:
    """Add weighted results in each world that has all of them. None if there is no such world."""
    shared = sorted(set.intersection(*(set(values) for _, values in terms)))
    sums = tuple(sum(weight * values[world] for weight, values in terms) for world in shared)
    return Gain(sums) if sums else None


def paper_sums(claim: Claim) -> dict[int, float]:
    """Return a claim's weighted sum of the paper's mean mAP in [0, 1], by table; {} where it prints no such figure."""
    sums = {}
    for number in filter(None, (EXPERIMENTS[name].table for name in claim.experiments)):
        printed = {row.method: row.metrics['mean/mAP'] for row in paper_table(number).rows}
        baseline = next((name for name in _PAPER_BASELINES if name in printed), '')
        names = [baseline if term.row == WITHOUT else term.row for term in claim.terms]
        if not any(term.ranking for term in claim.terms) and all(name in printed for name in names):
            sums[number] = sum(term.weight * printed[name] for term, name in zip(claim.terms, names, strict=True))
    return sums


def find_row(claim: Claim, term: Term) -> Row:
    """Return the row that a term names."""
    return next(row for name in claim.experiments for row in EXPERIMENTS[name].rows if row.name == term.row)


def claims_markdown(judgments: Sequence[Judgment]) -> str:
    """Format judgments as a Markdown table."""
    lines = ['| claim | here | difference in mAP | in the paper |', '| --- | --- | ---: | ---: |']
    for one in judgments:
        paper = ', '.join(f'{100 * value:+.1f} (Table {number})' for number, value in one.paper.items())
        lines.append(f'| {one.claim.text} | {one.verdict} | {one.gain or "–"} | {paper or "–"} |')
    return '\n'.join(lines)
