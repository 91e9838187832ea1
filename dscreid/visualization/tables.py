"""Tables of a page as plain data; ``templates/parts.html`` renders them as HTML."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A cell; ``strong`` marks the best value of a column, ``small`` is a remark with ``tone`` 'up', 'down' or ''."""

    text: str
    strong: bool = False
    small: str = ''
    tone: str = ''


@dataclass(frozen=True)
class TableRow:
    """A row with a remark after its name and style 'bound', 'paper' or ''; without cells, a heading of those below."""

    name: str
    cells: Sequence[Cell] = ()
    remark: str = ''
    kind: str = ''


@dataclass(frozen=True)
class Table:
    """A table with row headings and one or two rows of column headings.

    Attributes:
        label: Text alternative for readers who cannot see the table.
        corner: Heading of the column of row headings.
        columns: (group, name) per column; the group is empty if there are no groups.
        texts: Whether cells contain text that may wrap instead of numbers.
    """

    label: str
    corner: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[TableRow]
    texts: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Pairs of (group, number of columns) from left to right; empty if no column has a group."""
        runs = [(name, len(list(run))) for name, run in itertools.groupby(group for group, _ in self.columns)]
        return runs if any(name for name, _ in runs) else []

    @property
    def edges(self) -> set[int]:
        """Positions where a group begins or ends."""
        ends = itertools.accumulate(length for _, length in self.groups)
        return {0, *ends} if self.groups else set()
