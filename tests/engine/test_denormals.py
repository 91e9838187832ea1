"""Denormal numbers are zero inside of the block, and only there."""

import pytest
import torch

from dscreid.engine.denormals import denormals_as_zero

TINY = 1e-39  # below the smallest normal number of float32, 1.18e-38


@pytest.fixture
def processor():
    if not torch.set_flush_denormal(False):
        pytest.skip('this processor cannot treat denormal numbers as zero')


def product():
    return float(torch.tensor(TINY) * 1.0)


def test_they_are_zero_only_in_the_block(processor):
    assert product() == pytest.approx(TINY, rel=1e-3)
    with denormals_as_zero():
        assert product() == 0
        assert float(torch.tensor(2e-38) * 1.0) == pytest.approx(2e-38)
    assert product() > 0


def test_what_was_set_before_returns(processor):
    with denormals_as_zero():
        with denormals_as_zero():
            pass
        assert product() == 0
    assert product() > 0


def test_it_returns_after_an_error_too(processor):
    with pytest.raises(ValueError, match='inside'), denormals_as_zero():
        raise ValueError('inside')
    assert product() > 0
