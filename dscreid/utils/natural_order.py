"""Order of names that contain numbers."""

import re


def natural_key(text: str) -> list[str | int]:
    """Sort key that orders numbers in names by value: ``frame_2`` before ``frame_10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', text)]
