"""Files are replaced as wholes, and reach the disk before they get their name."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from dscreid.errors import ConfigError
from dscreid.utils import files
from dscreid.utils.files import (
    cache_folder,
    check_outputs,
    check_replaceable,
    locked,
    only_process_in,
    remove_partial_files,
    replacing,
)


def test_only_leftovers_of_killed_writers_are_removed(tmp_path):
    # entered and never left, as when the process dies
    names = ('a.pth', 'b.json', 'last_checkpoint', 'two.dots.pth', '.env')
    blocks = [replacing(tmp_path / name) for name in names]
    left = [block.__enter__() for block in blocks]
    kept = [
        tmp_path / name
        for name in (
            '.dscreid.lock', '.lock', '.hidden', '.a.b', 'epoch_3.pth', '.epoch_3.pth.abcdefgh.json',
            # hidden files of others whose names end like those of mkstemp
            '.env.20251128', '.bashrc.backup_1', '.epoch_3.pth.abcdefgh.pth',
            '.epoch_3.pth.dscreid-partial-abc.pth', 'epoch_3.pth.dscreid-partial-abcdefgh.pth',
        )
    ]  # fmt: skip
    for path in kept:
        path.touch()
    (tmp_path / '.folder.dscreid-partial-abcdefgh').mkdir()
    assert sorted(remove_partial_files(tmp_path)) == sorted(left)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / '.folder.dscreid-partial-abcdefgh'])


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append((os.readlink(f'/proc/self/fd/{descriptor}'), (tmp_path / 'a.txt').exists()))

    monkeypatch.setattr(files.os, 'fsync', fsync)
    with replacing(tmp_path / 'a.txt') as temporary:
        temporary.write_text('x')
    assert synced == [(str(temporary), False), (str(tmp_path), True)]


def test_a_folder_is_free_after_the_block(tmp_path):
    with only_process_in(tmp_path / 'new'):
        assert f'process {os.getpid()} on ' in (tmp_path / 'new' / '.dscreid.lock').read_text()
    with only_process_in(tmp_path / 'new'):
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda message, **options: said.append(message))

    def lockf(file, flags):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(files.fcntl, 'lockf', lockf)
    with only_process_in(tmp_path):
        pass
    assert said == [
        f'{tmp_path / ".dscreid.lock"}: cannot be locked (No locks available), so other processes are not kept out'
    ]


def test_a_second_process_waits_for_the_lock(tmp_path):
    lock, order = tmp_path / 'folder' / 'x.lock', tmp_path / 'order'
    code = (
        'import sys; from dscreid.utils.files import locked\n'
        'with locked(sys.argv[1]): open(sys.argv[2], "a").write("second")'
    )
    with locked(lock):
        second = subprocess.Popen([sys.executable, '-c', code, str(lock), str(order)])
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(3)
        order.write_text('first ')
    assert second.wait(60) == 0
    assert order.read_text() == 'first second'


def test_what_cannot_be_replaced_is_found_before_the_work(tmp_path):
    check_replaceable(tmp_path / 'new' / 'a.json')
    assert [path.name for path in tmp_path.iterdir()] == ['new']
    for use in (check_replaceable, lambda path: replacing(path).__enter__()):
        with pytest.raises(IsADirectoryError) as error:
            use(tmp_path / 'new')
        assert error.value.filename == str(tmp_path / 'new')
    (tmp_path / 'file').touch()
    with pytest.raises((FileExistsError, NotADirectoryError)):
        check_replaceable(tmp_path / 'file' / 'a.json')


def test_a_lock_file_of_another_program_is_left_alone(tmp_path):
    (tmp_path / '.lock').write_text('mine')
    with only_process_in(tmp_path):
        pass
    assert (tmp_path / '.lock').read_text() == 'mine'


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link').symlink_to('/dev/full')
    for path in (tmp_path / 'pipe', tmp_path / 'link', Path('/dev/full')):
        with pytest.raises(ConfigError, match='is a device or pipe, which cannot be replaced; name a file'):
            check_replaceable(path)
    assert Path('/dev/full').is_char_device()
    assert (tmp_path / 'link').is_symlink()


def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / 'usual').touch()
    with replacing(tmp_path / 'a.safetensors') as temporary:
        save_file({'a': np.zeros(1)}, temporary)
    assert (tmp_path / 'a.safetensors').stat().st_mode == (tmp_path / 'usual').stat().st_mode


def test_the_file_behind_a_link_is_replaced(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'link.json').symlink_to(tmp_path / 'disk' / 'file.json')
    with replacing(tmp_path / 'link.json') as temporary:
        temporary.write_text('new')
    assert (tmp_path / 'link.json').is_symlink()
    assert (tmp_path / 'disk' / 'file.json').read_text() == 'new'


def test_outputs_are_not_inputs_and_not_each_other(tmp_path):
    (tmp_path / 'in.pth').touch()
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'in.pth')
    check_outputs([tmp_path / 'a.json', None, tmp_path / 'b.json'], [tmp_path / 'in.pth', None])
    with pytest.raises(ConfigError, match=r'link\.pth: cannot be written, it is read by the same command'):
        check_outputs([tmp_path / 'link.pth'], [tmp_path / 'in.pth'])
    with pytest.raises(ConfigError, match=r'a\.json: cannot be written, it is named for two outputs'):
        check_outputs([tmp_path / 'a.json', tmp_path / 'sub' / '..' / 'a.json'])


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, 'access', lambda path, mode: False)
    with pytest.raises(PermissionError) as error:
        check_replaceable(tmp_path / 'a.json')
    assert error.value.filename == str(tmp_path / 'a.json')


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    """And a full disk is one to safetensors too."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        for write in (
            lambda path: path.write_bytes(bytes(5000)),
            lambda path: save_file({'a': np.zeros(5000)}, path),
        ):
            with (
                pytest.raises(OSError, match='too large') as error,
                replacing(tmp_path / 'a.bin') as temporary,
            ):
                write(temporary)
            assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(tmp_path / 'a.bin'))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('folder', ['file', 'file/run', 'n' * 300, '/proc/nothing/run'])
def test_a_work_directory_that_cannot_be(tmp_path, folder):
    (tmp_path / 'file').touch()
    with (
        pytest.raises(ConfigError, match=r'cannot be created or written to \(.*\); choose another --work-dir'),
        only_process_in(tmp_path / folder),
    ):
        pass


def test_cache_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'a' / 'b'))
    assert cache_folder() == tmp_path / 'a' / 'b'
    assert list(cache_folder().iterdir()) == []


def test_cache_folder_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('DSCREID_CACHE', str(tmp_path / 'file' / 'cache'))
    with pytest.raises(ConfigError, match=r'cannot be written \(Not a directory\); set DSCREID_CACHE'):
        cache_folder()
