"""Hand-made datasets, and what their readers log."""

import pytest


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """Everything that a dataset logs."""
    messages: list[str] = []
    monkeypatch.setattr(
        'dscreid.datasets.tracklet_dataset.print_log', lambda message, **kwargs: messages.append(message)
    )
    return messages
