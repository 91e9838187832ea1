import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dscreid.engine.hooks import RandomStateHook, random_state_hook


@pytest.fixture
def numbers():
    """Function that gives an epoch's first numbers of all three generators."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002

    def draw(seed, epoch):
        RandomStateHook().before_train_epoch(SimpleNamespace(seed=seed, epoch=epoch))
        return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002

    yield draw
    random.setstate(kept[0])
    np.random.set_state(kept[1])  # noqa: NPY002
    torch.set_rng_state(kept[2])


def test_an_epoch_has_its_own_numbers(numbers, monkeypatch):
    first = numbers(1, 0)
    torch.rand(5)
    assert numbers(1, 0) == first  # whatever was drawn before
    for other in (numbers(1, 1), numbers(2, 0), numbers(None, 1)):
        assert not set(other) & set(first)
    monkeypatch.setattr(random_state_hook, 'get_rank', lambda: 1)
    assert not set(numbers(1, 0)) & set(first)
