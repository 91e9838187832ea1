"""Tables 1 to 6 of the paper (DSC) as data; ``paper_tables.csv`` holds percentages, as printed there."""

import csv
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class PaperResult:
    """One row of one of the paper's tables: Rank-1 and mAP in percent for both kinds of queries.

    ``unsupervised`` rows used no identity label of the target domain.
    """

    method: str
    rgb2ir: tuple[float, float]
    ir2rgb: tuple[float, float]
    unsupervised: bool = True

    @property
    def metrics(self) -> dict[str, float]:
        """The row with the names and range [0, 1] of a run's metrics, including the means of both directions."""
        pairs = {'rgb2ir': self.rgb2ir, 'ir2rgb': self.ir2rgb}
        flat = {f'{direction}/Rank-1': pair[0] / 100 for direction, pair in pairs.items()}
        flat |= {f'{direction}/mAP': pair[1] / 100 for direction, pair in pairs.items()}
        # rounded to one decimal of a percentage, as the printed figures; halves are rounded up
        means = (round(5 * sum(pair) + 1e-6) / 1000 for pair in zip(self.rgb2ir, self.ir2rgb, strict=True))
        return flat | dict(zip(('mean/Rank-1', 'mean/mAP'), means, strict=True))


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One of the paper's tables; ``target`` is the protocol of its dataset, ``'bupt_campus'`` or ``'hitsz_vcm'``."""

    number: int
    title: str
    target: str
    rows: tuple[PaperResult, ...]


def _read_tables() -> tuple[PaperTable, ...]:
    rows: dict[int, list[PaperResult]] = {}
    with Path(__file__).with_suffix('.csv').open(encoding='utf-8', newline='') as file:
        for number, method, *figures, supervised in list(csv.reader(file))[1:]:
            forth1, forth, back1, back = map(float, figures)
            rows.setdefault(int(number), []).append(PaperResult(method, (forth1, forth), (back1, back), not supervised))
    return tuple(
        PaperTable(number, title, target, tuple(rows[number])) for number, (title, target) in enumerate(_TITLES, 1)
    )


PAPER_TABLES = _read_tables()


def paper_table(number: int) -> PaperTable:
    """Return a results table of the paper, 1 to 6; raise a ValueError for another number."""
    if number not in range(1, len(PAPER_TABLES) + 1):
        raise ValueError(f'the paper has results tables 1 to {len(PAPER_TABLES)}, not {number}')
    return PAPER_TABLES[number - 1]


def paper_reference(target: str) -> PaperTable:
    """Return the table with which a run on a real dataset is compared; raise a ValueError if there is none."""
    known = {table.target: table for table in PAPER_TABLES[:2]}
    if target not in known:
        raise ValueError(f'the paper reports results on {sorted(known)}, not on {target!r}')
    return known[target]
