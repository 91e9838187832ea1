"""Random and exchanged styles against plain loops."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.style import StylePolicy, apply_styles, draw_styles, style_partners, swap_style

SEEDS = list(range(200))


def values(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_infrared_tracklets_keep_equal_channels():
    visible = np.arange(200) % 2 == 0
    factors, order = draw_styles(SEEDS, [0] * 200, visible, StylePolicy(0.5, 1.5))
    assert (factors >= 0.5).all()
    assert (factors <= 1.5).all()
    assert factors.mean() == pytest.approx(1, abs=0.05)
    assert (np.ptp(factors[~visible], axis=1) == 0).all()
    assert (np.ptp(factors[visible], axis=1) > 0).all()
    assert (order[~visible] == [0, 1, 2]).all()
    assert len({tuple(row) for row in order[visible]}) == 6
    assert (np.sort(order, axis=1) == [0, 1, 2]).all()


def test_draws_depend_on_seed_and_view_alone():
    one = np.array([True])
    first = draw_styles([5], [1], one, StylePolicy())
    again = draw_styles([4, 5], [1, 1], np.array([True, True]), StylePolicy())
    other = draw_styles([5], [0], one, StylePolicy())
    assert (first[0][0] == again[0][1]).all()
    assert (first[0] != other[0]).all()


def test_channels_are_permuted_then_scaled():
    frames, order = values(0, 2, 3, 3, 4, 2), torch.tensor([[2, 0, 1], [0, 1, 2]])
    factors = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    styled = apply_styles(frames, factors, order)
    for row in range(2):
        for channel in range(3):
            expected = frames[row, :, order[row, channel]] * factors[row, channel]
            torch.testing.assert_close(styled[row, :, channel], expected)


def test_swapped_maps_have_the_partners_statistics():
    maps, partners = values(0, 3, 2, 4, 5, 3).double(), torch.tensor([1, 2, 2])
    styled = swap_style(maps, partners, eps=0.0)
    for statistic in (torch.mean, lambda part, dim: part.std(dim, unbiased=False)):
        torch.testing.assert_close(statistic(styled, dim=(3, 4)), statistic(maps, dim=(3, 4))[partners])
    torch.testing.assert_close(styled[2], maps[2])
    small = values(1, 2, 1, 2, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda part: swap_style(part, torch.tensor([1, 0])), small)


@pytest.mark.parametrize('across', [False, True])
def test_partners_are_of_the_right_modality(across):
    names = ['rgb', 'ir', 'rgb', 'ir', 'ir']
    for _ in range(10):
        for row, partner in enumerate(style_partners(names, across).tolist()):
            assert partner != row
            assert (names[row] != names[partner]) == across
    assert style_partners(['rgb'], across).tolist() == [0]


@pytest.mark.parametrize('values', [(-0.1, 1.0), (1.5, 0.5), (0.5, float('inf'))])
def test_bad_ranges_are_named(values):
    with pytest.raises(ConfigError, match='style: needs 0 <= low <= high'):
        StylePolicy(*values)
