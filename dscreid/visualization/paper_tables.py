"""Tables 1 to 6 of the paper (DSC) as data; ``paper_tables.csv`` holds percentages, as printed there."""

import csv
from pathlib import Path
from typing import NamedTuple

#: Footnote to show together with figures of these tables.
PAPER_FOOTNOTE = (
    "The paper's figures are shown as printed. For most supervised methods (not for DEEN) its two directions are "
    'exchanged: the original publications give as IR→RGB what the paper prints under RGB→IR. Whether the unsupervised '
    'rows are exchanged too is unknown, so compare the means of both directions first.'
)
_TITLES = (
    ('Comparison on BUPTCampus', 'bupt_campus'),
    ('Comparison on HITSZ-VCM', 'hitsz_vcm'),
    ('Components', 'bupt_campus'),
    ('Inside DSJL, with DSLU', 'bupt_campus'),
    ('Inside DSLU, with DSJL', 'bupt_campus'),
    ('Weights (dynamic, static) of the fused similarity (11)', 'bupt_campus'),
)


class PaperResult(NamedTuple):
    """One row of one of the paper's tables: Rank-1 and mAP in percent for both kinds of queries."""

    method: str
    rgb2ir: tuple[float, float]
    ir2rgb: tuple[float, float]
    unsupervised: bool = True  #: whether the method used no identity label of the target domain

    @property
    def metrics(self) -> dict[str, float]:
        """The row with the names and range [0, 1] of a run's metrics, including the means of both directions."""
        # means are rounded to one decimal of a percentage, as the printed figures; halves are rounded up
        means = (round(5 * sum(pair) + 1e-6) / 1000 for pair in zip(self.rgb2ir, self.ir2rgb, strict=True))
        printed = (value / 100 for pair in zip(self.rgb2ir, self.ir2rgb, strict=True) for value in pair)
        keys = [f'{name}/{measure}' for measure in ('Rank-1', 'mAP') for name in ('rgb2ir', 'ir2rgb')]
        return dict(zip([*keys, 'mean/Rank-1', 'mean/mAP'], [*printed, *means], strict=True))


class PaperTable(NamedTuple):
    """One of the paper's tables; ``target`` is the protocol of its dataset, ``'bupt_campus'`` or ``'hitsz_vcm'``."""

    number: int
    title: str
    target: str
    rows: list[PaperResult]

    @property
    def heading(self) -> str:
        """Number and title."""
        return f'The paper, Table {self.number}: {self.title}'


def _read_tables() -> tuple[PaperTable, ...]:
    tables = tuple(PaperTable(number, *title, rows=[]) for number, title in enumerate(_TITLES, 1))
    with Path(__file__).with_suffix('.csv').open(encoding='utf-8', newline='') as file:
        for number, method, *figures, supervised in list(csv.reader(file))[1:]:
            forth1, forth, back1, back = map(float, figures)
            result = PaperResult(method, (forth1, forth), (back1, back), not supervised)
            tables[int(number) - 1].rows.append(result)
    return tables


PAPER_TABLES = _read_tables()


def paper_table(number: int) -> PaperTable:
    """Return a results table of the paper, 1 to 6."""
    return PAPER_TABLES[number - 1]


def paper_reference(target: str) -> PaperTable:
    """Return the table with which a run on ``'bupt_campus'`` or ``'hitsz_vcm'`` is compared."""
    return {table.target: table for table in PAPER_TABLES[:2]}[target]
