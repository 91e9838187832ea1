"""Resizing of positions against a loop that follows the definition of bilinear sampling."""

import math

import pytest
import torch

from dscreid.models.backbones import resize_positional_embedding


def bilinear_oracle(grid, height, width):
    """``align_corners=False``: pixel centers at half-integers, clamped at the border, two taps a side."""
    h, w, dim = grid.shape
    result = torch.zeros(height, width, dim, dtype=grid.dtype)
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * h / height - 0.5, 0.0)
            x = max((j + 0.5) * w / width - 0.5, 0.0)
            top, left = min(math.floor(y), h - 1), min(math.floor(x), w - 1)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = y - top, x - left
            result[i, j] = (1 - a) * ((1 - b) * grid[top, left] + b * grid[top, right]) + a * (
                (1 - b) * grid[bottom, left] + b * grid[bottom, right]
            )
    return result


@pytest.mark.parametrize(('source', 'target'), [((14, 14), (18, 9)), ((4, 4), (8, 3)), ((8, 4), (2, 2))])
def test_against_definition(source, target):
    embedding = torch.randn(1 + source[0] * source[1], 5)
    before = embedding.clone()
    resized = resize_positional_embedding(embedding, source, target)
    wanted = bilinear_oracle(embedding[1:].reshape(*source, 5), *target).flatten(0, 1)
    torch.testing.assert_close(resized[1:], wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(resized[0], embedding[0])
    assert torch.equal(embedding, before)


def test_same_grid_is_copied_bit_by_bit():
    embedding = torch.randn(7, 3).half()
    resized = resize_positional_embedding(embedding, (2, 3), [2, 3])
    assert torch.equal(resized, embedding)
    assert resized.data_ptr() != embedding.data_ptr()


def test_wrong_number_of_rows():
    with pytest.raises(ValueError, match=r'grid .* needs 1 \+ h \* w positions'):
        resize_positional_embedding(torch.zeros(6, 3), (2, 2), (4, 4))
