"""What hooks left in the checkpoint of a real adaptation, damaged: refused by name, or shown to do no harm."""

import copy

import pytest
import torch
from tiny_runs import write_tiny_configs

from dscreid.apis.build import build_runner
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.source_weights import check_resumable, unwrap_model
from dscreid.engine.training_state import training_state_fault
from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import load_checkpoint, load_weights

pytestmark = pytest.mark.usefixtures('one_thread')
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


def part(content, *names):
    for name in names:
        content = content[name]
    return content


def set_to(value, *names):
    return lambda content: part(content, *names[:-1]).__setitem__(names[-1], value)


def drop(*names):
    return lambda content: part(content, *names[:-1]).pop(names[-1])


def shorten(*names):
    return lambda content: set_to(part(content, *names)[:-1], *names)(content)


def as_float(*names):
    return lambda content: set_to(part(content, *names).double(), *names)(content)


def in_halves(change):
    """Change both halves of the visible cluster centers."""

    def damage(content):
        features = content['cluster_centers']['features']
        features['rgb'] = tuple(change(half) for half in features['rgb'])

    return damage


OWN = ('cluster_labels', 'own', 'rgb')
DAMAGES = {
    'labels of another type': (set_to([1], 'cluster_labels'), 'it cannot be read'),
    'labels that are a number': (set_to(0, 'cluster_labels'), 'it cannot be read'),
    'labels that are empty': (set_to({}, 'cluster_labels'), 'it cannot be read'),
    'labels of one modality': (drop('cluster_labels', 'own', 'ir'), 'it cannot be read'),
    'labels without groups': (drop('cluster_labels', 'groups'), 'it cannot be read'),
    'labels as a list': (set_to([0, 1], *OWN), 'it cannot be read'),
    'a label missing': (shorten(*OWN), r'\d+ labels for \d+ rgb tracklets'),
    'labels as floats': (as_float(*OWN), 'it cannot be read .*int64'),
    'labels below -1': (lambda c: part(c, *OWN).fill_(-2), 'it cannot be read .*>= -1'),
    'a group missing': (shorten('cluster_labels', 'groups', 'ir'), 'it cannot be read .*ir groups for clusters'),
    'no centres': (drop('cluster_centers'), 'the cluster centers that the next epoch reads are missing'),
    'centres of another type': (set_to('x', 'cluster_centers'), 'it cannot be read'),
    'centres that are empty': (set_to({}, 'cluster_centers'), 'it cannot be read'),
    'centres of infrared alone': (drop('cluster_centers', 'features', 'rgb'), 'it cannot be read'),
    'one half of the centres': (
        lambda c: set_to(part(c, 'cluster_centers', 'features', 'rgb')[:1], 'cluster_centers', 'features', 'rgb')(c),
        'it cannot be read',
    ),
    'a centre missing': (in_halves(lambda half: half[:-1]), r'\d+ groups for \d+ rgb cluster centers'),
    'no centre': (in_halves(lambda half: half[:0]), r'rgb cluster centers of shape \(0, 32\)'),
    'narrow centres': (in_halves(lambda half: half[:, :5]), r'rgb cluster centers of shape .*, not \(C, 32\)'),
    'centres that are NaN': (in_halves(lambda half: half * float('nan')), 'rgb cluster centers that are not finite'),
    'centres as numbers': (in_halves(lambda half: half.long()), 'rgb cluster centers that are not finite'),
}  # fmt: skip


@pytest.fixture
def content(begun):
    return copy.deepcopy(load_checkpoint(begun / 'epoch_1.pth'))


def test_it_is_all_there_and_sound(runner, content):
    assert {'cluster_labels', 'cluster_centers'} <= content.keys()
    assert content['cluster_labels']['groups'] is not None
    assert training_state_fault(runner, content) is None


@pytest.mark.parametrize('name', DAMAGES)
def test_what_is_damaged_is_named(runner, content, name):
    damage, message = DAMAGES[name]
    damage(content)
    fault = training_state_fault(runner, content)
    with pytest.raises(CheckpointError, match=f'^state of hooks: {message}'):
        raise CheckpointError(fault or 'nothing was found')


def test_memories_are_in_no_checkpoint(runner, content, begun, tmp_path):
    """They are made anew; some that were put into one are refused."""
    assert not any('memor' in name for name in content['state_dict'])
    content['state_dict']['memories.clusters.rgb.static'] = torch.zeros(2, 32)
    torch.save(content, tmp_path / 'more.pth')
    with pytest.raises(CheckpointError, match='unexpected memories'):
        check_resumable(unwrap_model(runner.model), tmp_path / 'more.pth')


def damaged(folder, *damages):
    content = load_checkpoint(folder / 'epoch_1.pth')
    for damage in damages:
        damage(content)
    torch.save(content, folder / 'epoch_1.pth')


@pytest.mark.slow
def test_a_run_goes_on_before_what_is_damaged_and_without_what_is_not_needed(adaptation, begun, caplog):
    """Centres are read: the epoch is repeated. Labels to keep and to compare with are not: it trains on the same."""
    untouched = (begun / 'epoch_1.pth').read_bytes()
    weights = []
    for damages in ((), (drop('cluster_labels'),), (drop('cluster_centers'),)):
        (begun / 'epoch_1.pth').write_bytes(untouched)
        (begun / 'last_checkpoint').write_text('epoch_1.pth')
        damaged(begun, *damages)
        weights.append(load_weights(adaptation(begun, resume=True)[1]()))
        (begun / 'finished.json').unlink()
    repeated = load_checkpoint(begun / 'epoch_1.pth')
    assert 'cluster_centers' in repeated
    (begun / 'epoch_1.pth').write_bytes(untouched)
    for other in weights[1:]:
        assert all(torch.equal(value, other[name]) for name, value in weights[0].items())
