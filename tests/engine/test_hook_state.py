"""What hooks left in the checkpoint of a real adaptation, damaged: refused in one sentence."""

import copy

import pytest
import torch
from tiny_runs import write_tiny_configs

from dscreid.apis.build import build_runner
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.source_weights import check_resumable, unwrap_model
from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import load_checkpoint, load_weights

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
#: The second epoch reads the cluster centers and groups that the first leaves; labels are kept for a failure.
CENTERS = """
model['neighbor_losses'] = []
settings = dict(k1=4, k2=1, eps=0.6, min_samples=2)
default_hooks['cluster'].update(
    labelers=[dict(cycle=[dict(type='CameraLabeler', **settings), dict(type='ProxyAffinityLabeler', **settings)])],
    on_failure='keep',
)
default_hooks['selection'] = dict(type='SelectionHook')
"""


@pytest.fixture(scope='module')
def adaptation(tiny_runs, tiny_experiment, tmp_path_factory):
    """Function that trains some epochs of it in a folder; its config."""
    folder = tmp_path_factory.mktemp('configs')
    _, path = write_tiny_configs(folder, tiny_runs.bupt, tiny_runs.hitsz, CENTERS)

    def run(work_dir, epochs=2, resume=False):
        config = load_config(path, {'train_cfg.max_epochs': epochs})
        config.work_dir = str(work_dir)
        fit_to_machine(config)
        return config, lambda: train_stage(config, resume, tiny_experiment.source_checkpoint)

    return run


@pytest.fixture(scope='module')
def begun(adaptation, tmp_path_factory):
    """Folder of one that was interrupted after its first epoch."""
    folder = tmp_path_factory.mktemp('begun')
    torch.set_num_threads(1)
    adaptation(folder, epochs=1)[1]()
    (folder / 'finished.json').unlink()
    return folder


@pytest.fixture(scope='module')
def runner(adaptation, begun, tmp_path_factory):
    config, _ = adaptation(tmp_path_factory.mktemp('resumed'))
    return build_runner(config, begun / 'epoch_1.pth', None)


DAMAGES = {
    'labels of another type': (lambda c: c.update(cluster_labels=[1]), 'training state cannot be read'),
    'labels of one modality': (lambda c: c['cluster_labels']['own'].pop('ir'), 'training state cannot be read'),
    'no centers': (lambda c: c.pop('cluster_centers'), 'the cluster centers that the next epoch reads are missing'),
    'no groups': (lambda c: c['optimizer'].update(param_groups=[]), 'training state cannot be read'),
}


@pytest.fixture
def content(begun):
    return copy.deepcopy(load_checkpoint(begun / 'epoch_1.pth'))


def test_it_is_all_there(content):
    assert {'cluster_labels', 'cluster_centers'} <= content.keys()
    assert content['cluster_labels']['groups'] is not None


@pytest.mark.parametrize('name', DAMAGES)
def test_a_state_that_cannot_be_resumed_is_one_sentence(runner, content, name, tmp_path):
    damage, message = DAMAGES[name]
    damage(content)
    torch.save(content, tmp_path / 'damaged.pth')
    with pytest.raises(CheckpointError, match=rf'damaged\.pth: .*{message}'):
        runner.resume(str(tmp_path / 'damaged.pth'))


def test_memories_are_in_no_checkpoint(runner, content, begun, tmp_path):
    """They are made anew; some that were put into one are refused."""
    assert not any('memor' in name for name in content['state_dict'])
    content['state_dict']['memories.clusters.rgb.static'] = torch.zeros(2, 32)
    torch.save(content, tmp_path / 'more.pth')
    with pytest.raises(CheckpointError, match='unexpected memories'):
        check_resumable(unwrap_model(runner.model), tmp_path / 'more.pth')


@pytest.mark.slow
def test_labels_to_keep_are_not_needed_to_go_on(adaptation, begun):
    untouched = (begun / 'epoch_1.pth').read_bytes()
    weights = []
    for is_damaged in (False, True):
        (begun / 'epoch_1.pth').write_bytes(untouched)
        (begun / 'last_checkpoint').write_text('epoch_1.pth')
        if is_damaged:
            content = load_checkpoint(begun / 'epoch_1.pth')
            del content['cluster_labels']
            torch.save(content, begun / 'epoch_1.pth')
        weights.append(load_weights(adaptation(begun, resume=True)[1]()))
        (begun / 'finished.json').unlink()
    (begun / 'epoch_1.pth').write_bytes(untouched)
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
