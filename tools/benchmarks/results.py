"""What benchmark tools leave behind: how times grow, and their tables as Markdown and JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import markdown_table, print_table, write_results


def add_out_argument(parser: argparse.ArgumentParser, name: str) -> None:
    """The option ``--out`` of :func:`publish`, by default ``work_dirs/benchmarks/NAME``."""
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/benchmarks') / name,
        help='OUT.json and OUT.md (default: %(default)s)',
    )


def fitted_exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Least-squares slope of log seconds over log size: 1 where time is linear, 2 where it is quadratic.

    Args:
        sizes: At least two different ones.
        seconds: Time of each, positive.
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), deg=1)[0])


class Table(NamedTuple):
    """What one table of a benchmark shows.

    Attributes:
        title: What was measured.
        columns: Heads.
        rows: Cells, as many as there are heads.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def publish(out: Path, tables: Sequence[Table], notes: Sequence[str], data: dict[str, Any]) -> None:
    """Print tables and write them beside their data.

    Args:
        out: Where to write, without suffix: ``OUT.json`` and ``OUT.md``.
        tables: At least one.
        notes: Sentences below the last table.
        data: What the JSON file holds beside the machine.
    """
    texts = {}
    for table in tables:
        print_table(*table)
        texts[table.title] = markdown_table(table.columns, table.rows)
    print('\n'.join(notes))
    texts[tables[-1].title] = '\n\n'.join([texts[tables[-1].title], *notes])
    write_results(out.parent, out.name, data, texts)
    print(f'written: {out}.json, {out}.md')
