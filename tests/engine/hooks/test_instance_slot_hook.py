"""What the hook of the averaged encoder refuses before training."""

from types import SimpleNamespace

import pytest

from dscreid.engine.hooks import ClusterHook, InstanceSlotHook
from dscreid.errors import ConfigError

CLUSTERER = ClusterHook(pipeline=[], labelers=[dict(type='ClusterLabeler')])


def runner_of(joint, model, hooks=(CLUSTERER,), epoch=0):
    loader = SimpleNamespace(sampler=SimpleNamespace(joint=joint))
    loop = SimpleNamespace(dataloader=loader)
    return SimpleNamespace(model=model, train_loop=loop, hooks=list(hooks), iter=2 * epoch, epoch=epoch)


class Model:
    started = 0

    def reset_slots(self):
        raise AssertionError

    def start_average(self):
        self.started += 1


@pytest.mark.parametrize(('epoch', 'started'), [(0, 1), (2, 0)])
def test_the_average_starts_with_the_run_and_not_when_it_resumes(epoch, started):
    runner = runner_of(True, Model(), epoch=epoch)
    InstanceSlotHook().before_train(runner)
    assert runner.model.started == started


@pytest.mark.parametrize(('runner', 'fault'), [
    (runner_of(True, SimpleNamespace()), 'needs HierarchicalReID as the model, and a ClusterHook'),
    (runner_of(True, Model(), hooks=()), 'needs HierarchicalReID as the model, and a ClusterHook'),
    (runner_of(False, Model()), r"needs sampler=dict\(type='PseudoLabelSampler', joint=True, ...\)"),
])  # fmt: skip
def test_parts_that_do_not_belong_together(runner, fault):
    with pytest.raises(ConfigError, match=f'InstanceSlotHook: {fault}'):
        InstanceSlotHook().before_train(runner)


def test_a_skipped_epoch_keeps_the_instances():
    CLUSTERER.last = None
    InstanceSlotHook().before_train_epoch(runner_of(True, Model()))
