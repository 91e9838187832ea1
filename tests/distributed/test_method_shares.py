"""Two iterations of every method in several processes against one process that has the whole batches."""

import pytest
import torch
from mmengine.dist import get_dist_info
from mmengine.model import MMDistributedDataParallel

from dscreid.apis.config import load_config
from dscreid.datasets.samplers.batch_plan_sampler import rank_share
from dscreid.lab.acceptance.plan import method_names, tiny_options
from dscreid.lab.acceptance.trial import make_trial

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures('one_thread')]
#: Steps follow the gradients themselves; Adam would divide rounding errors of gradients that are 0 by their size.
PLAIN = {
    'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=2e-3),
    'optim_wrapper.clip_grad': None,
}
METHODS = [name for name in method_names() if 'resnet50' not in name]


def two_iterations(name):
    """Losses of this process, and the change of all weights, statistics and memories, by epoch that has its own."""
    rank, world_size = get_dist_info()
    trial = make_trial(load_config(name, tiny_options(name) | PLAIN), 'cpu', per_modality=48)
    model, found = trial.model, []
    several = MMDistributedDataParallel(model, broadcast_buffers=False) if world_size > 1 else model
    for epoch in trial.epochs():
        trial.begin_epoch(epoch)
        before = state(model)
        losses = []
        for seed in range(2):
            batch = trial.batch(seed)
            visible = torch.tensor([sample.modality == 'rgb' for sample in batch['data_samples']]).numpy()
            rows = rank_share(visible, rank, world_size)
            share = {key: [values[row] for row in rows] for key, values in batch.items()}
            losses.append(several.train_step(share, trial.optim_wrapper))
            if trial.hook is not None:
                model.update_memories()
        change = {key: value - before[key] for key, value in state(model).items() if value.is_floating_point()}
        found.append(([{key: value.item() for key, value in one.items()} for one in losses], change))
    return found


def state(model):
    return {key: value.detach().clone() for key, value in [*model.named_parameters(), *model.named_buffers()]}


@pytest.fixture(scope='module')
def alone():
    return {}


@pytest.mark.parametrize('name', METHODS)
def test_shares_learn_what_one_process_learns(ranks, name, alone):
    if name not in alone:
        alone[name] = two_iterations(name)
    results = ranks.run(two_iterations, name)
    for result in results:
        assert len(result) == len(alone[name])
        for (losses, change), (expected_losses, expected) in zip(result, alone[name], strict=True):
            for one, other in zip(losses, expected_losses, strict=True):
                assert one == pytest.approx(other, rel=3e-5, abs=1e-4)
            assert change.keys() == expected.keys()
            for key, value in expected.items():
                torch.testing.assert_close(change[key], value, rtol=1e-3, atol=3e-5, msg=key)
            assert max(value.abs().max() for key, value in expected.items() if 'backbone' in key) > 3e-4
