"""Parts of a run of several processes against one process that has all."""

import copy

import pytest
import torch
from mmengine.dist import get_dist_info
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from dscreid.distributed import from_main_process, gather_objects
from dscreid.distributed.global_batch import gather_batch
from dscreid.engine.hooks.training_guard_hook import disagreements
from dscreid.errors import LabelingError
from dscreid.models.backbones.synchronized_norm import SynchronizedBatchNorm2d
from dscreid.models.losses import weighted_regularized_triplet
from dscreid.structures import ReIDDataSample

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


class TinyModel(nn.Module):
    """Layers on both sides of the gathering, losses that compare samples, and a mean over some of them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.encoder = nn.Linear(5, 6)
        self.neck, self.head = nn.BatchNorm1d(3), nn.Linear(3, 4)

    def forward(self, inputs, samples):
        static, dynamic = self.encoder(inputs).chunk(2, dim=1)
        # two versions of each sample, and a part that is not flat
        parts = {'static': torch.cat([static, -static]), 'map': dynamic[..., None].repeat(1, 1, 2)}
        parts, samples = gather_batch(parts, samples)
        static, dynamic = parts['static'][: len(samples)], parts['map'][..., 1]
        assert torch.equal(parts['static'][len(samples) :], -static)
        labels = torch.tensor([sample.label for sample in samples])
        order = [(sample.position, sample.index, sample.modality) for sample in samples]
        loss = cross_entropy(self.head(self.neck(static)), labels, ignore_index=0)
        return loss + weighted_regularized_triplet(dynamic, labels), order


def batch(rank=0, world_size=1):
    """Two views of eight tracklets, or a rank's share of both, the visible ones in two views."""
    inputs = torch.randn(16, 5, generator=torch.Generator().manual_seed(1))
    labels = [0, 1, 2, 3, 0, 1, 1, 0]
    rows = [(view, place) for view in range(2) for place in range(8) if view == 0 or place < 4]
    rows = [row for row in rows if row[1] % world_size == rank]
    samples = [
        ReIDDataSample(
            metainfo=dict(
                index=70 - place, modality='rgb' if place < 4 else 'ir', position=40 + place, label=labels[place]
            )
        )
        for _, place in rows
    ]
    return inputs[[8 * view + place for view, place in rows]], samples


def gradients_of_a_share():
    model = DistributedDataParallel(TinyModel())
    loss, order = model(*batch(*get_dist_info()))
    loss.backward()
    state = {name: value.clone() for name, value in model.module.named_buffers()}
    return loss.item(), order, {n: p.grad.clone() for n, p in model.module.named_parameters()}, state


@pytest.mark.slow
def test_shares_give_loss_order_gradients_and_statistics_of_the_global_batch(ranks):
    model = TinyModel()
    loss, order = model(*batch())
    loss.backward()
    for its_loss, its_order, gradients, state in ranks.run(gradients_of_a_share):
        assert its_order == order
        assert its_loss == pytest.approx(loss.item(), abs=1e-6)
        for name, value in model.named_parameters():
            torch.testing.assert_close(gradients[name], value.grad, rtol=0, atol=1e-6, msg=name)
        for name, value in model.named_buffers():
            torch.testing.assert_close(state[name], value)


def images():
    maps = torch.randn(12, 3, 4, 2, generator=torch.Generator().manual_seed(5)) * 0.5 + 7
    return maps, torch.randn(12, 3, 4, 2, generator=torch.Generator().manual_seed(6))


def fresh_norm():
    norm = SynchronizedBatchNorm2d(3)
    nn.init.uniform_(norm.weight, generator=torch.Generator().manual_seed(7))
    return norm


def normalize_a_share():
    rank, world_size = get_dist_info()
    norm = fresh_norm()
    # the shares differ in size
    rows = slice(0, 3) if rank == 0 else slice(3 + (rank - 1) * 9 // (world_size - 1), 3 + rank * 9 // (world_size - 1))
    maps, weights = (part[rows] for part in images())
    maps.requires_grad_()
    result = norm(maps)
    (result.square() * weights).sum().backward()
    return result.detach(), maps.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var


def test_batch_normalisation_is_that_of_all_processes(ranks):
    norm, plain = fresh_norm(), nn.BatchNorm2d(3)
    plain.load_state_dict(norm.state_dict())
    maps, weights = images()
    maps.requires_grad_()
    result = plain(maps)
    (result.square() * weights).sum().backward()
    shares = ranks.run(normalize_a_share)
    torch.testing.assert_close(torch.cat([share[0] for share in shares]), result.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.cat([share[1] for share in shares]), maps.grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(sum(share[2] for share in shares), plain.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(share[3] for share in shares), plain.bias.grad, rtol=1e-4, atol=1e-4)
    for share in shares:
        torch.testing.assert_close(share[4], plain.running_mean)
        torch.testing.assert_close(share[5], plain.running_var)
    alone = copy.deepcopy(norm)
    assert torch.equal(alone(maps), nn.BatchNorm2d.forward(norm, maps))


def exchange():
    rank, _ = get_dist_info()
    seen = [gather_objects(('from', rank)), from_main_process(lambda: f'only {rank}')]

    def fail():
        raise LabelingError(f'of {rank}')

    try:
        from_main_process(fail)
    except LabelingError as error:
        seen.append(str(error))
    return seen


def test_objects_and_errors_reach_all(ranks):
    world_size = len(ranks.processes)
    expected = [[('from', rank) for rank in range(world_size)], 'only 0', 'of 0']
    assert ranks.run(exchange) == [expected] * world_size


def compare(spoilt):
    rank, _ = get_dist_info()
    tensors = {'same': torch.ones(3), 'close': torch.full((2,), 5 + rank * 1e-6), 'empty': torch.empty(0)}
    if spoilt and rank == 1:
        tensors |= {'same': torch.tensor([1.0, 1.0, 1.1]), 'more': torch.ones(1), 'nan': torch.tensor([torch.nan])}
    return disagreements(tensors, 1e-4)


def test_processes_whose_models_differ_are_found(ranks):
    assert not any(ranks.run(compare, False))
    assert all(names == ['more', 'nan', 'same'] for names in ranks.run(compare, True))
