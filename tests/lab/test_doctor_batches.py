"""Dry batches that do not fit, take long, or go wrong."""

from types import SimpleNamespace

import pytest
import torch

from dscreid.lab.dataset_checks import Severity
from dscreid.lab.doctor import batches, memory
from dscreid.lab.doctor.batches import Step, fill_identity_memories, small_part, try_step
from dscreid.models.reid import SupervisedReID
from dscreid.utils.out_of_memory import is_out_of_memory

CPU = torch.device('cpu')


def batch_of(*modalities):
    return {
        'inputs': [torch.full((1000,), float(n)) for n in range(len(modalities))],
        'data_samples': [SimpleNamespace(modality=modality) for modality in modalities],
    }


def recording_step(batch, **settings):
    """A step that allocates 40 kB a tracklet, and the sizes of the batches that it saw."""
    sizes = []

    def run(part):
        sizes.append(len(part['inputs']))
        torch.stack(part['inputs']).repeat(1, 10)

    return Step('training step', batch, 0.5, run, **settings), sizes


@pytest.mark.parametrize(
    ('modalities', 'rows'),
    [(('rgb', 'rgb', 'ir', 'ir'), [0, 2]), (('ir', 'rgb'), [0, 1]), (('ir',) * 5, [0, 1]), (('ir',), [0])],
)
def test_a_small_part_has_both_modalities(modalities, rows):
    part = small_part(batch_of(*modalities))
    assert [int(tensor[0]) for tensor in part['inputs']] == rows
    assert [sample.modality for sample in part['data_samples']] == [modalities[row] for row in rows]


def test_a_batch_that_does_not_fit_fails_within_its_limit(monkeypatch):
    monkeypatch.setattr(memory, 'free_memory', lambda: 456 * 2**20)
    step, sizes = recording_step(batch_of('rgb', 'ir'), optimizer=2**30)
    with pytest.raises(RuntimeError) as error:
        try_step(step, CPU, 'x')
    assert is_out_of_memory(error.value)
    assert sizes == []


def test_a_batch_that_fits_is_computed():
    step, sizes = recording_step(batch_of(*['rgb', 'ir'] * 8))
    finding, measure = try_step(step, CPU, 'x')
    assert sizes == [2, 2, 16, 16]
    assert finding.severity is Severity.OK
    assert (measure.tracklets, measure.load_seconds) == (16, 0.5)


def test_a_long_batch_is_scaled(monkeypatch):
    monkeypatch.setattr(batches, '_LONG_SECONDS', 0.0)
    step, sizes = recording_step(batch_of(*['rgb', 'ir'] * 8))
    finding, _ = try_step(step, CPU, 'x')
    assert set(sizes) == {2}
    assert (finding.severity, 'forecast from 2 of them' in finding.message) == (Severity.OK, True)


class Colors(torch.nn.Module):
    """An encoder whose features are the mean colors."""

    embed_dim = 3

    def forward(self, inputs):
        return inputs.mean((1, 3, 4)), inputs.mean((1, 3, 4))


def test_heads_with_a_memory_can_be_tried_before_training():
    heads = dict(memory=dict(type='IdentityMemoryHead', part='static'))
    losses = dict(memory=dict(type='IdentityLoss', part='memory_head'))
    model = SupervisedReID(Colors(), num_classes=4, heads=heads, losses=losses, data_preprocessor={})
    fill_identity_memories(model)
    memory = model.memory_head.checked_memory()
    assert memory.shape == (4, 3)
    assert memory.std() > 0.1
