"""Tables of a page as plain data; ``templates/parts.html`` turns them into HTML."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Attributes:
        text: What it says.
        strong: Whether it is the best of its column.
        small: A remark below it, such as the gain over the first row.
        tone: ``'up'``, ``'down'`` or ``''``: the color of the remark.
    """

    text: str
    strong: bool = False
    small: str = ''
    tone: str = ''


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        name: Its heading.
        cells: Its cells, one per column; none for a row that is a heading of the rows below it.
        remark: Added to the heading in parentheses.
        kind: ``'bound'``, ``'paper'`` or ``''``: how it is printed.
    """

    name: str
    cells: Sequence[Cell] = ()
    remark: str = ''
    kind: str = ''


@dataclass(frozen=True)
class Table:
    """A table with a heading per row and one or two rows of column headings.

    Attributes:
        label: What it shows, for readers who cannot see it.
        corner: Heading of the column of row headings.
        columns: (group, name) per column; the group is empty if there are no groups.
        rows: Its rows.
        texts: Whether cells are texts that may wrap, not figures.
    """

    label: str
    corner: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[TableRow]
    texts: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """(group, number of its columns) from left to right; empty if no column has a group."""
        runs = [(name, len(list(run))) for name, run in itertools.groupby(group for group, _ in self.columns)]
        return runs if any(name for name, _ in runs) else []

    @property
    def edges(self) -> set[int]:
        """Positions of the columns that begin a group."""
        ends = itertools.accumulate(length for _, length in self.groups)
        return {0, *ends} if self.groups else set()
