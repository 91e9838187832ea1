"""Features that tracklets are ranked by."""

import torch

from dscreid.structures import RANKINGS, ranking_feature


def test_parts_are_scaled_and_joined_in_order():
    parts = {'neck_static': torch.tensor([[3.0, 4.0]]), 'neck_dynamic': torch.tensor([[0.0, 2.0]])}
    torch.testing.assert_close(ranking_feature('neck_both', parts), torch.tensor([[0.6, 0.8, 0.0, 1.0]]))
    torch.testing.assert_close(ranking_feature('neck_dynamic', parts), torch.tensor([[0.0, 1.0]]))
    raw = {'static': torch.tensor([[3.0, 4.0]]), 'dynamic': torch.tensor([[0.0, 2.0]])}
    assert ranking_feature('vld', raw).tolist() == [[3.0, 4.0, 0.0, 2.0]]


def test_views_are_averaged_after_scaling_and_scaled_again():
    plain, mirrored = {'static': torch.tensor([[2.0, 0.0]])}, {'static': torch.tensor([[0.0, 9.0]])}
    expected = torch.tensor([[0.5, 0.5]]) ** 0.5
    torch.testing.assert_close(ranking_feature('raw_static', plain, mirrored), expected)


def test_an_empty_batch():
    parts = {name: torch.empty(0, 3) for name in ('static', 'dynamic', 'neck_static', 'neck_dynamic')}
    widths = {name: ranking_feature(name, parts).shape for name in RANKINGS}
    assert widths == {name: (0, 3 * len(ranking.parts)) for name, ranking in RANKINGS.items()}
