"""What ReIDRunner adds to MMEngine's: checkpoints that are whole, say what they are, and run no code."""

import copy

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.runner import Runner
from tiny_runner import make_durable_runner

from dscreid.engine.runner import ReIDRunner, keep_fused
from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import load_checkpoint


def names(folder):
    """Files but for the config that MMEngine writes down."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py')


def test_checkpoints_say_what_they_are_and_a_resumed_run_keeps_its_name(tmp_path):
    runner = make_durable_runner(tmp_path, ReIDRunner)
    runner.train()
    meta = load_checkpoint(tmp_path / 'epoch_2.pth')['meta']
    assert meta['run'] == runner.run
    assert meta['architecture'] == {'backbone.heads': 2}
    assert names(tmp_path) == ['epoch_2.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_2.pth')
    resumed = make_durable_runner(tmp_path, ReIDRunner, load_from=str(tmp_path / 'epoch_2.pth'), resume=True)
    assert resumed.run != runner.run
    resumed.load_or_resume()
    assert resumed.run == runner.run


def test_default_hooks_that_are_none_are_left_out(tmp_path):
    runner = make_durable_runner(tmp_path, ReIDRunner)
    before = len(runner.hooks)
    runner.register_default_hooks({'guard': None, 'timer': None, 'cluster': None})
    added = {type(hook).__name__ for hook in runner.hooks}
    assert len(runner.hooks) == before + 5
    assert 'CheckpointHook' in added


def test_the_only_good_checkpoint_survives_a_full_disk(tmp_path, monkeypatch):
    """With max_keep_ckpts=1 MMEngine's own hook has removed it by then."""
    runner = make_durable_runner(tmp_path, ReIDRunner)
    put, calls = LocalBackend.put, []

    def full(self, content, path):
        calls.append(path)
        if len(calls) == 2:
            put(self, content[: len(content) // 2], path)
            raise OSError(28, 'No space left on device', str(path))
        put(self, content, path)

    monkeypatch.setattr(LocalBackend, 'put', full)
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth: cannot be written \(No space left on device\)'):
        runner.train()
    assert names(tmp_path) == ['epoch_1.pth', 'last_checkpoint']
    assert load_checkpoint(tmp_path / 'epoch_1.pth')['meta']['epoch'] == 1


@pytest.mark.parametrize('kind', [Runner, ReIDRunner])
def test_resuming_runs_no_program_of_the_checkpoint(tmp_path, kind):
    """The case of MMEngine's own runner shows what is kept out."""
    make_durable_runner(tmp_path, ReIDRunner).train()
    content = load_checkpoint(tmp_path / 'epoch_2.pth')
    content['meta']['config'] = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    torch.save(content, tmp_path / 'evil.pth')
    runner = make_durable_runner(tmp_path / 'new', kind, load_from=str(tmp_path / 'evil.pth'), resume=True)
    runner.build_train_loop(runner.train_loop)
    runner.load_or_resume()
    assert (tmp_path / 'ran').exists() is (kind is Runner)


@pytest.mark.parametrize(('before', 'after'), [(None, True), (True, None)])
def test_a_resumed_optimiser_steps_as_this_machine_does(before, after):
    def adam(fused):
        weight = torch.nn.Parameter(torch.ones(3))
        return weight, torch.optim.Adam([weight], lr=0.1, fused=fused)

    def step(weight, optimizer):
        weight.grad = torch.tensor([1.0, 2.0, 3.0])
        optimizer.step()

    weight, optimizer = adam(before)
    step(weight, optimizer)
    resumed, other = adam(after)
    resumed.data.copy_(weight.data)
    state = copy.deepcopy(optimizer.state_dict())
    keep_fused(other, state)
    other.load_state_dict(state)
    assert other.param_groups[0]['fused'] is after
    step(weight, optimizer)
    step(resumed, other)
    torch.testing.assert_close(resumed, weight)
