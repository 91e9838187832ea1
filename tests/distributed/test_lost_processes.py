"""A process that ends before its time ends the others, wherever they are; long waits alone do not."""

import multiprocessing
import os
import signal
import socket
import time
from datetime import timedelta

import pytest
import torch
from rank_pool import launcher_variables, rank_variables

from dscreid.apis.command_line import run_command
from dscreid.distributed import from_main_process, process_group, watch
from dscreid.errors import ConfigError

WORLD_SIZE = 3
#: Patience with a slow machine; the processes themselves end within seconds, or would take an hour.
SECONDS = 240


def end_by_signal(number):
    os.kill(os.getpid(), number)
    time.sleep(3600)


def fail():
    raise ConfigError('the disk of this machine is missing')


def cluster_for_hours():
    if os.environ['RANK'] == '1':
        return how_it_ends()
    return from_main_process(lambda: time.sleep(3600))


def train_for_hours():
    if os.environ['RANK'] == '1':
        how_it_ends()
    torch.distributed.all_reduce(torch.ones(1))


def wait_longer_than_torch_does():
    return from_main_process(lambda: time.sleep(4))


how_it_ends = None


def work(task, ending, environment, log):
    """What a tool does."""
    global how_it_ends
    how_it_ends = ending and (lambda: ending[0](*ending[1:]))
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # torch's own half an hour, in short
    torch.distributed.distributed_c10d.default_pg_timeout = timedelta(seconds=2)

    def command():
        with process_group('pytorch'):
            task()

    run_command(command)


def outcome(tmp_path, task, *ending):
    """Exit codes and last lines of the processes."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['kill_bench'])
    environment, processes = launcher_variables(WORLD_SIZE), []
    logs = [tmp_path / f'{rank}.log' for rank in range(WORLD_SIZE)]
    for rank, log in enumerate(logs):
        arguments = (task, ending, environment | rank_variables(rank), log)
        processes.append(context.Process(target=work, args=arguments))
        processes[-1].start()
    limit = time.monotonic() + SECONDS
    for process in processes:
        process.join(max(0.0, limit - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes, [(log.read_text().splitlines() or [''])[-1] for log in logs]


@pytest.mark.slow
@pytest.mark.parametrize('task', [cluster_for_hours, train_for_hours])
def test_a_killed_process_ends_the_others_with_a_message(tmp_path, task):
    codes, lines = outcome(tmp_path, task, end_by_signal, signal.SIGKILL)
    assert codes == [1, -signal.SIGKILL, 1]
    for rank in (0, 2):
        assert lines[rank].startswith('error: process 1 of 3 (process id ')
        assert 'was killed' in lines[rank]
        assert '--resume' in lines[rank]


@pytest.mark.slow
def test_a_process_with_an_error_of_its_own_ends_the_others(tmp_path):
    codes, lines = outcome(tmp_path, cluster_for_hours, fail)
    assert codes == [1, 2, 1]
    assert lines[1] == 'error: the disk of this machine is missing'
    assert all('ended with an error' in lines[rank] for rank in (0, 2))


@pytest.mark.slow
def test_a_terminated_process_ends_the_others(tmp_path):
    codes, lines = outcome(tmp_path, cluster_for_hours, end_by_signal, signal.SIGTERM)
    assert codes == [1, 143, 1]
    assert all('was interrupted' in lines[rank] for rank in (0, 2))


@pytest.mark.slow
def test_others_wait_longer_than_torch_lets_them(tmp_path):
    codes, lines = outcome(tmp_path, wait_longer_than_torch_does)
    assert codes == [0, 0, 0], lines


def test_a_process_that_never_connects_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setattr(watch, 'get_dist_info', lambda: (0, 2))
    monkeypatch.setattr(watch, 'host_group', lambda: None)
    monkeypatch.setattr(watch, 'gather_objects', lambda name: ['process 0', 'process 1'])
    monkeypatch.setattr(watch, 'broadcast_object_list', lambda items, group: None)
    monkeypatch.setattr(watch, '_MEETING', 0.1)
    with pytest.raises(ConfigError, match='1 of 2 processes have not connected to port'):
        watch.ProcessWatch('127.0.0.1')


def test_a_process_that_ends_at_once_is_known_and_its_news_is_read():
    ticket = bytes(range(32))
    with socket.create_server(('127.0.0.1', 0)) as server:
        there = socket.create_connection(server.getsockname())
        here, _ = server.accept()
    with here, there:
        there.sendall(ticket + b'ended was interrupted\n')
        assert watch._ticket(here) == ticket
        assert watch._read(here, 'process 1').startswith('process 1 was interrupted')


def test_a_stranger_is_turned_away(monkeypatch):
    """The first connection shows another secret, the second one that of the process."""
    connected = []

    def invite(invitation, group):
        (port, (_, ticket)) = invitation[0]
        for shown in (bytes(32), b'GET / HTTP/1.1', ticket):
            connected.append(socket.create_connection(('127.0.0.1', port)))
            connected[-1].sendall(shown)
            connected[-1].shutdown(socket.SHUT_WR)

    monkeypatch.setattr(watch, 'get_dist_info', lambda: (0, 2))
    monkeypatch.setattr(watch, 'host_group', lambda: None)
    monkeypatch.setattr(watch, 'gather_objects', lambda name: ['process 0', 'process 1'])
    monkeypatch.setattr(watch, 'broadcast_object_list', invite)
    (peer,) = (peers := watch._meet('127.0.0.1'))
    assert list(peers.values()) == ['process 1']
    assert peer.getpeername()[1] == connected[-1].getsockname()[1]
    assert [connection.recv(1) for connection in connected[:2]] == [b'', b'']
    for connection in (peer, *connected):
        connection.close()
