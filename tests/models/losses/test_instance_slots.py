import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dscreid.models.losses.instance_slots import InstanceSlots, instance_slot_loss
from dscreid.structures import TrackletFeatures


def test_the_loss_takes_the_hardest_instance_of_each_cluster():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    slots = F.normalize(torch.randn(4, 3, 5, generator=generator, dtype=torch.float64), dim=2)
    labels = torch.tensor([0, 2, -1, 1, 1, 0])
    terms = []
    for row, label in enumerate(labels.tolist()):
        if label < 0:
            continue
        query = features[row] / features[row].norm()
        logits = []
        for cluster in range(3):
            found = [(query @ slots[slot, cluster]).item() for slot in range(4)]
            logits.append((min(found) if cluster == label else max(found)) / 0.1)
        terms.append(np.log(np.exp(logits).sum()) - logits[label])
    loss = instance_slot_loss(features, slots, labels, 0.1)
    assert loss.item() == pytest.approx(np.mean(terms))
    loss.backward()
    assert (features.grad[2] == 0).all()
    assert features.grad.abs().sum() > 0


def test_a_batch_of_outliers_gives_a_differentiable_zero():
    features = torch.randn(2, 5, requires_grad=True)
    loss = instance_slot_loss(features, torch.randn(4, 3, 5), torch.tensor([-1, -1]))
    loss.backward()
    assert loss == 0


def test_instances_are_members_of_their_cluster():
    static = torch.arange(1, 7.0)[:, None] * torch.tensor([[1.0, 0.0]]) + torch.tensor([[0.0, 1.0]])
    labels = np.array([0, 1, 1, -1, 0, 1])
    slots = InstanceSlots(16)
    slots.reset(TrackletFeatures(static, 2 * static), labels, np.random.default_rng(0))
    assert slots.static.shape == (16, 2, 2)
    unit = F.normalize(static, dim=1)
    for cluster in (0, 1):
        nearest = (slots.static[:, cluster] @ unit.T).argmax(1).numpy()
        assert set(nearest.tolist()) == set(np.flatnonzero(labels == cluster).tolist())
    torch.testing.assert_close(slots.dynamic, slots.static)
    assert slots.state_dict() == {}
