"""torch.compile sees the encoder and each loss as one graph, without a break, and changes nothing."""

import pytest
import torch
from torch import nn

from dscreid.models.backbones import FrameAverage, SpatioTemporalPrompting
from dscreid.models.losses import (
    cluster_contrastive_loss,
    neighbor_contrastive_loss,
    neighbor_mask,
    soft_cluster_contrastive_loss,
    supervised_contrastive_loss,
    weighted_regularized_triplet,
)
from dscreid.models.losses.functional import OUTLIER

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('fresh_compiler')]
TOWER = dict(
    type='CLIPVisionTransformer', image_size=(16, 8), patch_size=8, width=16, layers=3, heads=2, activation='gelu'
)
NUM, DIM, CLUSTERS, ROWS = 6, 5, 3, 8


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def one_graph(function):
    """Traced as for a GPU, but run without generated code; a break raises."""
    return torch.compile(function, fullgraph=True, backend='eager')


@pytest.mark.parametrize(
    'encoder',
    [lambda: SpatioTemporalPrompting(TOWER, num_frames=3, start_layer=1, num_heads=2), lambda: FrameAverage(TOWER)],
    ids=['prompting', 'average'],
)
def test_the_encoder_is_one_graph(encoder):
    torch.manual_seed(0)
    model = encoder().train()
    frames = torch.rand(2, 3, 3, 16, 8)
    outcomes = []
    for run in (model, one_graph(model)):
        model.zero_grad()
        static, dynamic = run(frames)
        (static * 2 + dynamic).square().sum().backward()
        outcomes.append([static, dynamic, *(p.grad for p in model.parameters() if p.grad is not None)])
    assert len(outcomes[0]) > 10
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other)


GENERATOR = torch.Generator().manual_seed(0)
CENTERS, BANK = (nn.functional.normalize(torch.randn(n, DIM, generator=GENERATOR), dim=1) for n in (CLUSTERS, ROWS))
LABELS = torch.tensor([0, 1, 2, OUTLIER, 0, 1])
TARGETS, WEIGHTS = torch.rand(NUM, CLUSTERS, generator=GENERATOR).softmax(1), torch.rand(NUM, generator=GENERATOR)
LOSSES = {
    'cluster': lambda x: cluster_contrastive_loss(x, CENTERS, LABELS),
    'groups': lambda x: cluster_contrastive_loss(x, CENTERS, LABELS, groups=torch.tensor([0, 0, 1])),
    'soft': lambda x: soft_cluster_contrastive_loss(x, CENTERS, TARGETS, WEIGHTS),
    'neighbors': lambda x: neighbor_contrastive_loss(x, BANK, neighbor_mask(x, x, BANK, BANK, 0.5)),
    'triplet': lambda x: weighted_regularized_triplet(x, torch.tensor([0, 0, 1, 1, 2, 2])),
    'contrast': lambda x: supervised_contrastive_loss(x, torch.tensor([0, 0, 1, 1, 2, 3])),
}


@pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES)
def test_a_loss_is_one_graph(loss):
    inputs = torch.randn(NUM, DIM, generator=torch.Generator().manual_seed(1))
    outcomes = []
    for run in (loss, one_graph(loss)):
        anchors = inputs.clone().requires_grad_()
        value = run(anchors)
        value.backward()
        outcomes.append((value, anchors.grad))
    assert outcomes[0][0] > 0
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other)
