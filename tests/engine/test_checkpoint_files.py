"""Which checkpoint a run continues from when files are missing or damaged."""

import pytest
import torch

from dscreid.engine.checkpoint_files import POINTER, check_whole, last_checkpoint, resumable_checkpoint, write_pointer
from dscreid.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    """A run with checkpoints 0 to 3, of which a later number is a leftover of another run."""
    for epoch in range(4):
        save(tmp_path, epoch, 'ours')
    save(tmp_path, 9, 'theirs')
    write_pointer(tmp_path, '/elsewhere/epoch_3.pth')
    return tmp_path


def save(folder, epoch, run):
    content = dict(state_dict=dict(weight=torch.full((1000,), float(epoch))), meta=dict(epoch=epoch, run=run))
    torch.save(content, folder / f'epoch_{epoch}.pth')


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_before_the_first(tmp_path):
    assert last_checkpoint(tmp_path) is None
    assert resumable_checkpoint(tmp_path) is None
    save(tmp_path, 0, 'ours')  # written, but not yet named
    assert resumable_checkpoint(tmp_path) is None


def test_the_pointer_is_followed_by_name(folder):
    assert last_checkpoint(folder) == resumable_checkpoint(folder) == folder / 'epoch_3.pth'


def test_a_pointer_without_its_checkpoint(folder):
    (folder / 'epoch_3.pth').unlink()
    with pytest.raises(CheckpointError, match=r'names epoch_3\.pth, which is missing'):
        last_checkpoint(folder)
    for content in (b'\n', b'..', b'epoch_3\x00.pth', b'a\nb', b'\xff'):
        (folder / POINTER).write_bytes(content)
        with pytest.raises(CheckpointError, match='last_checkpoint: does not name a file'):
            resumable_checkpoint(folder)


@pytest.mark.parametrize('damage', [lambda path: path.unlink(), cut, flip_a_bit], ids=['gone', 'cut', 'bit'])
def test_the_newest_whole_one_takes_its_place(folder, damage, monkeypatch):
    said = []
    monkeypatch.setattr(
        'dscreid.engine.checkpoint_files.print_log', lambda message, **options: said.append((message, options))
    )
    damage(folder / 'epoch_3.pth')
    assert resumable_checkpoint(folder) == folder / 'epoch_2.pth'
    damage(folder / 'epoch_2.pth')
    assert resumable_checkpoint(folder) == folder / 'epoch_1.pth'
    message, options = said[-1]
    assert message.startswith(f'{folder}/epoch_3.pth: ')
    assert message.endswith('Continuing from epoch_1.pth instead')
    assert options['level'] == 30


def test_another_runs_checkpoints_are_not_taken(folder):
    save(folder, 2, 'theirs')
    (folder / 'epoch_3.pth').unlink()
    assert resumable_checkpoint(folder) == folder / 'epoch_1.pth'
    save(folder, 0, 'theirs')  # now epoch_0.pth does not tell which run it is
    assert resumable_checkpoint(folder) == folder / 'epoch_2.pth'
    (folder / 'epoch_0.pth').unlink()
    with pytest.raises(CheckpointError, match='No earlier checkpoint of the same run is intact: write the name'):
        resumable_checkpoint(folder)


def test_a_later_one_is_never_taken(folder):
    write_pointer(folder, 'epoch_1.pth')
    cut(folder / 'epoch_1.pth')
    assert resumable_checkpoint(folder) == folder / 'epoch_0.pth'


def test_torch_does_not_see_a_flipped_bit(folder):
    """When this fails, torch compares checksums itself, and check_whole need not."""
    flip_a_bit(folder / 'epoch_3.pth')
    torch.load(folder / 'epoch_3.pth', weights_only=True)
    with pytest.raises(CheckpointError, match=r'checksum of .* is wrong'):
        check_whole(folder / 'epoch_3.pth')
