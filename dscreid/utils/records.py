"""The small JSON files that runs write."""

import json
import math
from pathlib import Path
from typing import Any, TypeGuard

from dscreid.errors import CheckpointError
from dscreid.utils.files import replacing


def read_json_object(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """Read a JSON object from a file; its values are not checked.

    Raises:
        CheckpointError: If the file cannot be read or does not contain a JSON object. The message says ``what`` it
            should contain, such as ``'record of a finished stage'``, and how to fix it.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be read ({error.strerror}); {remedy}') from None
    except (ValueError, RecursionError):  # not UTF-8, not JSON, an endless number, nested too deep
        raise CheckpointError(f'{path}: is not a {what} (no JSON); {remedy}') from None
    if not isinstance(content, dict):
        raise CheckpointError(f'{path}: is not a {what} (no JSON object); {remedy}')
    return content


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically: a reader sees either the old or the new content."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def is_number(value: object) -> TypeGuard[float]:
    """Check if a JSON value is a number that a float can hold."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023


def is_finite_number(value: object) -> bool:
    """Check if a JSON value is a finite number."""
    return is_number(value) and math.isfinite(value)


def file_beside(record: Path, name: object) -> Path | None:
    """Return the file that a record names by its last component, in the record's own folder; None if not a name."""
    if not isinstance(name, str):
        return None
    last = Path(name.strip()).name
    # control characters in a name would break one-line messages
    return None if last in ('', '..') or not last.isprintable() else record.parent / last
