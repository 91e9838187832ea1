"""Reading of the small JSON files that runs leave behind."""

import json
import math
from pathlib import Path
from typing import Any

from dscreid.errors import CheckpointError


def read_json_object(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        path: The file.
        what: What it should be, for the message, such as ``'record of a finished stage'``.
        remedy: What to do otherwise.

    Returns:
        The decoded object; its values are for the caller to check.

    Raises:
        CheckpointError: The file cannot be read, or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be read ({error.strerror}); {remedy}') from None
    except (ValueError, RecursionError):  # no UTF-8, no JSON, an endless number, nested too deep
        raise CheckpointError(f'{path}: is no {what} (no JSON); {remedy}') from None
    if not isinstance(content, dict):
        raise CheckpointError(f'{path}: is no {what} (no JSON object); {remedy}')
    return content


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return isinstance(value, float) or abs(value) < 2**1023


def is_finite_number(value: object) -> bool:
    """Whether a JSON value is a number, and neither infinite nor NaN."""
    return is_number(value) and math.isfinite(value)


def file_beside(record: Path, name: object) -> Path | None:
    """The file in a record's own folder that a record names, by its last component; None where that is no name."""
    if not isinstance(name, str):
        return None
    last = Path(name.strip()).name
    # a name of control characters would break the one-line messages that hold it
    return None if last in ('', '..') or not last.isprintable() else record.parent / last
