"""What lies in a run's folder, and whether another run may begin there."""

import shutil

import pytest
import torch

from dscreid.apis.run_folder import (
    check_kept,
    check_unused,
    files_of_run,
    remove_files,
    remove_run_folder,
    results_of,
)
from dscreid.errors import ConfigError

OTHERS = [
    '.env',
    'epoch_3.pth.bak',
    'my_epoch_3.pth',
    'notes.json',
    'tiny_dsc.py',
    '20260101_120000/notes.txt',
    '20260101_120000/vis_data/mine.png',
    'paper/20260101_120000.log',
]


def save(path, run='a'):
    torch.save(dict(state_dict={}, meta={} if run is None else dict(run=run)), path)


@pytest.fixture
def folder(tmp_path):
    """A finished run, started twice, among files of others."""
    own = ['last_checkpoint', 'finished.json', 'metrics.json', 'features.safetensors', 'criteria.json']
    own += ['20260102_130000.py']  # the config of a test that was started without a file
    own += [f'{start}/{start}.log' for start in ('20260101_120000', '20260102_120000')]
    own += ['20260101_120000/vis_data/scalars.json', '20260102_120000/vis_data/events.out.tfevents.1.host.0']
    for name in [*own, *OTHERS]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ('epoch_0', 'epoch_12', 'best_silhouette_epoch_3'):
        save(tmp_path / f'{name}.pth')
    return tmp_path


def test_what_a_run_wrote_is_removed_and_nothing_else(folder):
    assert len(results_of(folder)) == 7
    remove_files(files_of_run(folder))
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())
    assert left == sorted(OTHERS)
    assert not (folder / '20260102_120000').exists()
    check_unused(folder, resume=False, overwrite=False)


def test_a_used_folder_is_refused_with_the_ways_out(folder):
    message = r'holds a run \(last_checkpoint, finished\.json, metrics\.json, …\); .*--resume.*--work-dir.*--overwrite'
    with pytest.raises(ConfigError, match=message):
        check_unused(folder, resume=False, overwrite=False)
    check_unused(folder, resume=True, overwrite=False)
    check_unused(folder, resume=False, overwrite=True)


@pytest.mark.parametrize('names', [[], ['notes.txt', '20260101_120000'], ['criteria.json', '.lock']])
def test_a_folder_without_results_is_free(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    check_unused(tmp_path, resume=False, overwrite=False)
    check_unused(tmp_path / 'missing', resume=False, overwrite=False)


def test_a_run_that_was_killed_at_its_start_begins_again(tmp_path):
    save(tmp_path / 'epoch_0.pth')
    for resume in (False, True):
        check_unused(tmp_path, resume=resume, overwrite=False)


def test_results_without_a_pointer_are_not_resumed(tmp_path):
    save(tmp_path / 'epoch_3.pth')
    with pytest.raises(ConfigError, match=r'no checkpoint to continue from.*--overwrite'):
        check_unused(tmp_path, resume=True, overwrite=False)


@pytest.mark.parametrize('name', ['epoch_0.pth', 'epoch_7.pth'])
@pytest.mark.parametrize('content', ['no run', 'no checkpoint'])
def test_a_checkpoint_of_another_program_is_not_replaced(tmp_path, name, content):
    if content == 'no run':
        save(tmp_path / name, run=None)
    else:
        (tmp_path / name).write_text('mine')
    with pytest.raises(ConfigError, match=rf'{name}: is not a complete checkpoint of this package.*move it'):
        check_unused(tmp_path, resume=False, overwrite=True)


def test_a_folder_goes_only_if_nothing_else_is_in_it(folder):
    for name in OTHERS:
        before = sorted(folder.rglob('*'))
        with pytest.raises(ConfigError, match=r'was not written by dscreid; move it'):
            remove_run_folder(folder, ('run_card.json',))
        assert sorted(folder.rglob('*')) == before
        (folder / name).unlink()
    (folder / 'run_card.json').touch()
    (folder / '.dscreid.lock').touch()
    (folder / '.epoch_3.pth.dscreid-partial-abcdefgh.pth').touch()
    remove_run_folder(folder, ('run_card.json',))
    assert not folder.exists()


def test_source_weights_in_the_replaced_run_are_refused(folder):
    link = folder.parent / f'{folder.name}_link.pth'
    link.symlink_to(folder / 'epoch_12.pth')
    for source in (folder / 'epoch_12.pth', link):
        with pytest.raises(ConfigError, match='--overwrite would remove these weights'):
            check_kept(source, folder)
    check_kept(folder / 'my_epoch_3.pth', folder)


def test_a_real_run_and_its_evaluation_leave_only_known_files(tiny_experiment, tmp_path):
    for source, config in (
        (tiny_experiment.work_dir, 'tiny_dsc.py'),
        (tiny_experiment.source_dir, 'tiny_source.py'),
    ):
        copy = tmp_path / source.name
        shutil.copytree(source, copy)
        remove_run_folder(copy, (config,))
        assert not copy.exists()
