"""What benchmark tools leave behind: how times grow, and their table as Markdown and JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def publish(
    out: Path, title: str, columns: list[str], rows: list[list[str]], notes: list[str], data: dict[str, Any]
) -> None:
    """Print a table and write it beside its data.

    Args:
        out: Where to write, without suffix: ``OUT.json`` and ``OUT.md``.
        title: What was measured.
        columns: Heads.
        rows: Cells.
        notes: Sentences below the table.
        data: What the JSON file holds beside the machine.
    """
    print_table(title, columns, rows)
    print('\n'.join(notes))
    write_results(out.parent, out.name, data, {title: '\n\n'.join([markdown_table(columns, rows), *notes])})
    print(f'written: {out}.json, {out}.md')
