"""Read tables of numbers and rows with named columns from text files."""

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscreid.errors import DatasetError, MissingFileError

Matrix = npt.NDArray[np.float64]
_EMPTY = 'contains no box; correct the path, or remove this video from the list'


def whole_numbers(path: Path, values: Matrix, what: str) -> npt.NDArray[np.int64]:
    """Convert to int64; an error names the first value that is not a whole number."""
    bad = np.flatnonzero(~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)))
    if len(bad):
        raise DatasetError(f'{path}: {what} {values[bad[0]]} of box {bad[0] + 1} is not a whole number')
    return values.astype(np.int64)


def read_numbers(path: Path, may_be_empty: bool = False) -> Matrix:
    """Read a table of numbers, separated by commas or spaces, without a header; float64 (N, columns)."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.replace(',', ' ').split()])
        except ValueError:
            raise DatasetError(f'{path}:{number}: not a line of numbers ({line.strip()[:40]!r})') from None
        if len(rows[-1]) != len(rows[0]):
            raise DatasetError(f'{path}:{number}: {len(rows[-1])} values, but {len(rows[0])} in the first line')
    if not rows and not may_be_empty:
        raise DatasetError(f'{path}: {_EMPTY}')
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def csv_header(path: Path) -> list[str] | None:
    """Return the column names of a CSV file, or None if its first line is numbers."""
    words = [word.strip() for word in next(csv.reader(read_text(path).lstrip().splitlines()[:1]), [])]
    return words if any(re.search('[A-Za-z]', word) and not _is_number(word) for word in words) else None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV file, or of a JSON list, as dicts. Without a header, columns are named '1', '2', ...."""
    if path.suffix.lower() == '.json':
        rows = read_json(path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DatasetError(f'{path}: not a list of boxes; check how it was written')
    else:
        names, lines, _ = read_csv(path)
        rows = [dict(zip(names, line, strict=False)) for line in lines]
    if not rows:
        raise DatasetError(f'{path}: {_EMPTY}')
    return rows


def read_csv(path: Path) -> tuple[list[str], list[list[str]], bool]:
    """Read a CSV file: column names ('1', '2', ... without a header), rows of cells, and whether there is a header."""
    header = csv_header(path)
    lines = [line for line in csv.reader(io.StringIO(read_text(path)), skipinitialspace=True) if any(line)]
    if header is not None:
        return header, lines[1:], True
    return [str(number) for number in range(1, len(lines[0]) + 1)] if lines else [], lines, False


def number_in(where: str, row: Mapping[str, Any], name: str, empty: float | None = None) -> float:
    """Read a number from a named column; ``empty`` stands for an empty cell, which is an error if None."""
    value = row.get(name)
    if value is None or str(value).strip().lower() in ('', 'none', 'nan'):
        if empty is not None and name in row:
            return empty
        raise DatasetError(f'{where}: no value in column {name!r}; name the columns with --columns')
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DatasetError(f'{where}: {value!r} in column {name!r} is not a number') from None


def read_text(path: Path) -> str:
    """Read a UTF-8 text file. Raises DatasetError if it is missing or not text."""
    try:
        return path.read_text(encoding='utf-8-sig')
    except FileNotFoundError:
        raise MissingFileError(f'{path}: the file is missing; correct its path') from None
    except UnicodeDecodeError as error:
        raise DatasetError(
            f'{path}: not a UTF-8 text file (byte {error.start}); correct the path, or save it as UTF-8'
        ) from None
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror}); check its permissions') from None


def read_json(path: Path) -> Any:
    """Read a JSON file; raises DatasetError if it is missing or malformed."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'{path}: not valid JSON ({error}); is it complete?') from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
