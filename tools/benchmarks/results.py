"""Results of the benchmark tools: how times grow, and tables as Markdown and JSON."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import markdown_table, print_table, write_results


def add_out_argument(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option ``--out`` of :func:`publish`, by default ``work_dirs/benchmarks/NAME``."""
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/benchmarks') / name,
        help='OUT.json and OUT.md (default: %(default)s)',
    )


def fitted_exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Compute the least-squares slope of log seconds over log size: 1 for linear time, 2 for quadratic time.

    Args:
        sizes: At least two different ones.
        seconds: Time for each size, positive.
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), deg=1)[0])


class Table(NamedTuple):
    """One table of a benchmark.

    Attributes:
        title: What was measured.
        columns: Column names.
        rows: Cells, one per column.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def publish(out: Path, tables: Sequence[Table], notes: Sequence[str], data: dict[str, Any]) -> None:
    """Print tables and write them with their data.

    Args:
        out: Where to write, without suffix: ``OUT.json`` and ``OUT.md``.
        tables: At least one.
        notes: Sentences below the last table.
        data: Additional content of the JSON file, which also describes the machine.
    """
    texts = {}
    for table in tables:
        print_table(*table)
        texts[table.title] = markdown_table(table.columns, table.rows)
    print('\n'.join(notes))
    texts[tables[-1].title] = '\n\n'.join([texts[tables[-1].title], *notes])
    write_results(out.parent, out.name, data, texts)
    print(f'written: {out}.json, {out}.md')
