"""Hand-made datasets, and what their readers log."""

from pathlib import Path

import pytest


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """Everything that a dataset logs."""
    messages: list[str] = []
    monkeypatch.setattr(
        'dscreid.datasets.tracklet_dataset.print_log', lambda message, **kwargs: messages.append(message)
    )
    return messages


@pytest.fixture
def edit_line():
    """Function that replaces one line (1-based) of a text file."""

    def edit(path: Path, number: int, text: str) -> None:
        lines = path.read_text().splitlines()
        lines[number - 1] = text
        path.write_text('\n'.join(lines) + '\n')

    return edit
