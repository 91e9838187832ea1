"""Tables 1 to 6 of the paper as data, for comparison with runs on the real datasets.

"Dynamic-Static Collaboration for Unsupervised Domain Adaptive Video-Based Visible-Infrared Person
Re-Identification" (DSC). All figures are percentages, as printed there.
"""

from dataclasses import dataclass

#: Footnote to show together with figures of these tables.
PAPER_FOOTNOTE = (
    "The paper's figures are shown as printed. For most supervised methods (not for DEEN) its two directions are "
    'exchanged: the original publications give as IR→RGB what the paper prints under RGB→IR. Whether the unsupervised '
    'rows are exchanged too is unknown, so compare the means of both directions first.'
)


@dataclass(frozen=True, slots=True)
class PaperResult:
    """One row of one of the paper's tables.

    Attributes:
        method: Name of the row.
        rgb2ir: Rank-1 and mAP in percent with visible queries.
        ir2rgb: Rank-1 and mAP in percent with infrared queries.
        unsupervised: Whether the row used no identity label of the target domain.
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
    """One of the paper's tables.

    Attributes:
        number: Number in the paper.
        title: Short description of the comparison.
        target: Protocol name of the target dataset, ``'bupt_campus'`` or ``'hitsz_vcm'``.
        rows: Rows in the order of the paper.
    """

    number: int
    title: str
    target: str
    rows: tuple[PaperResult, ...]


def _rows(*figures: tuple[str, float, float, float, float], supervised: int = 0) -> tuple[PaperResult, ...]:
    """Make rows from (method, RGB→IR Rank-1, mAP, IR→RGB Rank-1, mAP); the first ``supervised`` rows used labels."""
    return tuple(
        PaperResult(method, (forth1, forth), (back1, back), unsupervised=position >= supervised)
        for position, (method, forth1, forth, back1, back) in enumerate(figures)
    )


PAPER_TABLES: tuple[PaperTable, ...] = (
    PaperTable(
        1,
        'Comparison on BUPTCampus',
        'bupt_campus',
        _rows(
            ('DDAG', 40.4, 40.4, 46.3, 43.1),
            ('LbA', 32.1, 32.9, 39.1, 37.1),
            ('CAJ', 40.5, 41.5, 45.0, 43.6),
            ('AGW', 36.4, 37.4, 43.7, 41.1),
            ('MMN', 40.9, 41.7, 43.7, 42.8),
            ('DART', 52.4, 49.1, 53.3, 50.5),
            ('DEEN', 53.7, 50.4, 49.8, 48.6),
            ('CLIP-ReID', 49.0, 50.4, 51.0, 49.8),
            ('TF-CLIP', 49.4, 51.9, 52.5, 51.8),
            ('MITML', 49.1, 47.5, 50.2, 46.3),
            ('CD', 25.2, 26.8, 19.2, 19.9),
            ('ADCA', 29.6, 29.1, 27.6, 27.8),
            ('PGM', 32.2, 30.9, 29.5, 30.1),
            ('GUR', 17.0, 17.7, 12.9, 14.4),
            ('NG', 27.4, 25.0, 26.1, 25.4),
            ('DSC', 41.8, 40.1, 41.4, 40.1),
            supervised=10,
        ),
    ),
    PaperTable(
        2,
        'Comparison on HITSZ-VCM',
        'hitsz_vcm',
        _rows(
            ('MITML', 63.7, 45.3, 64.5, 47.7),
            ('IBAN', 65.0, 48.8, 69.6, 51.0),
            ('SADSTRM', 65.3, 49.5, 67.7, 51.8),
            ('SAADG', 69.2, 53.8, 73.1, 56.1),
            ('CST', 69.4, 51.2, 72.6, 53.0),
            ('AuxNet', 51.1, 46.0, 54.6, 48.7),
            ('CD', 40.1, 26.6, 42.8, 24.8),
            ('ADCA', 35.7, 23.8, 33.0, 23.2),
            ('PGM', 36.8, 23.9, 33.6, 23.4),
            ('GUR', 9.9, 5.9, 8.9, 5.6),
            ('NG', 24.5, 12.0, 22.8, 11.9),
            ('DSC', 63.8, 50.9, 64.3, 49.3),
            supervised=6,
        ),
    ),
    PaperTable(
        3,
        'Components',
        'bupt_campus',
        _rows(
            ('baseline', 25.2, 26.8, 19.1, 19.8),
            ('+ clustering', 25.3, 27.5, 25.4, 25.7),
            ('+ clustering + DSJL', 26.5, 27.7, 26.6, 27.1),
            ('+ clustering + DSLU', 38.8, 39.3, 39.2, 38.1),
            ('+ clustering + DSJL + DSLU', 41.8, 40.0, 41.3, 40.1),
        ),
    ),
    PaperTable(
        4,
        'Inside DSJL, with DSLU',
        'bupt_campus',
        _rows(
            ('neither', 38.8, 39.3, 39.2, 38.1),
            ('inter-modal only', 38.2, 38.0, 36.5, 37.4),
            ('intra-modal only', 39.4, 37.3, 37.9, 37.7),
            ('both', 41.8, 40.0, 41.3, 40.1),
        ),
    ),
    PaperTable(
        5,
        'Inside DSLU, with DSJL',
        'bupt_campus',
        _rows(
            ('neither', 26.5, 27.7, 26.6, 27.1),
            ('inter-modal unification only', 35.7, 35.5, 37.5, 36.7),
            ('intra-modal correction only', 27.9, 29.4, 25.2, 25.8),
            ('both', 41.8, 40.0, 41.3, 40.1),
        ),
    ),
    PaperTable(
        6,
        'Weights (dynamic, static) of the fused similarity (11)',
        'bupt_campus',
        _rows(
            ('(1, 0)', 36.5, 35.9, 38.3, 38.0),
            ('(0.9, 0.1)', 38.4, 37.3, 39.6, 38.0),
            ('(0.8, 0.2)', 36.3, 35.9, 39.8, 38.8),
            ('(0.7, 0.3)', 39.6, 38.6, 39.0, 37.9),
            ('(0.6, 0.4)', 37.5, 37.3, 39.0, 37.9),
            ('(1, 1)', 41.8, 40.0, 41.3, 40.1),
        ),
    ),
)


def paper_table(number: int) -> PaperTable:
    """Return a results table of the paper.

    Args:
        number: Number of the table, 1 to 6.

    Raises:
        ValueError: If the paper has no results table with this number.
    """
    for table in PAPER_TABLES:
        if table.number == number:
            return table
    raise ValueError(f'the paper has results tables 1 to {len(PAPER_TABLES)}, not {number}')


def paper_reference(target: str) -> PaperTable:
    """Return the table with which a run on a target dataset is compared: Table 1 or Table 2.

    Args:
        target: ``'bupt_campus'`` or ``'hitsz_vcm'``, the *real* dataset. Do not compare results on synthetic data with
            those of the paper.

    Raises:
        ValueError: If the paper reports no results on this dataset.
    """
    for table in PAPER_TABLES[:2]:
        if table.target == target:
            return table
    known = ', '.join(repr(table.target) for table in PAPER_TABLES[:2])
    raise ValueError(f'the paper reports results on {known}, not on {target!r}')
