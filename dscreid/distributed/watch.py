"""Processes of a run that notice at once when one of them ends before its time, and end too.

Collective operations notice a dead process late or never: NCCL waits for its time-out, and a long wait has none.
So each process keeps a TCP connection to the first one. The kernel closes the connections of a process however it
ends, and its keep-alive probes find machines that went away; a heartbeat of our own would stop wherever a long
computation holds the interpreter's lock.
"""

import contextlib
import hmac
import os
import secrets
import selectors
import socket
import sys
import threading
import time

from mmengine.dist import broadcast_object_list, get_dist_info

from dscreid.distributed.exchange import host_group
from dscreid.errors import LOST_PROCESS, ConfigError

#: Seconds that a process has to end by itself after another one was lost, as when one error came to both.
GRACE = 5.0
#: Seconds for the processes to find each other.
_MEETING = 120
_FINISHED, _ENDED, _LOST = 'finished', 'ended', 'lost'
#: Silent seconds before the kernel probes a connection, seconds between two probes, and probes without an answer.
_PROBES = {'TCP_KEEPIDLE': 30, 'TCP_KEEPINTVL': 10, 'TCP_KEEPCNT': 3}


class ProcessWatch:
    """A thread that waits for bad news of the other processes; all of them make one at the same point.

    Args:
        address: How the others reach the first process.
    """

    def __init__(self, address: str) -> None:
        self.rank, self.world_size = get_dist_info()
        self._lost: str | None = None
        self._known, self._leaving = threading.Event(), threading.Event()
        #: Connections that are watched, and who is at the other end.
        self._peers: dict[socket.socket, str] = {}
        self._meet(address)
        # a worker that holds a copy of a connection would keep it open after this process's death
        os.register_at_fork(after_in_child=self._close)
        threading.Thread(target=self._run, name='process watch', daemon=True).start()

    def lost(self, within: float = 0.0) -> str | None:
        """Which process was lost, in one sentence; None where none is, after waiting some seconds for the news."""
        self._known.wait(within)
        return self._lost

    def leave(self, reason: str | None = None) -> None:
        """Say goodbye: from now on this process may end.

        Args:
            reason: Why it leaves before the end of the run, for the others; None at the end.
        """
        self._leaving.set()
        message = f'{_FINISHED}\n' if reason is None else f'{_ENDED} {reason}\n'
        for peer in self._peers:
            _send(peer, message)
        if self._lost is None:
            self._close()

    def _meet(self, address: str) -> None:
        """Connect the first process with all others."""
        server = _listen() if self.rank == 0 else None
        invitation = [None if server is None else (server.getsockname()[1], secrets.token_hex(16))]
        broadcast_object_list(invitation, group=host_group())
        port, password = invitation[0]
        if server is None:
            self._peers[_connect(address, port, password, self.rank)] = self._name(0)
            return
        with server:
            server.settimeout(_MEETING)
            while len(self._peers) < self.world_size - 1:
                try:
                    connection, _ = server.accept()
                except TimeoutError as error:
                    absent = self.world_size - 1 - len(self._peers)
                    raise ConfigError(
                        f'{absent} of {self.world_size} processes have not connected to '
                        f'port {port} of the first one within {_MEETING} s; processes of one run need open TCP ports '
                        'between their machines'
                    ) from error
                rank = _greeted(connection, password)
                if rank is not None:
                    self._peers[connection] = self._name(*rank)

    def _name(self, rank: int, whereabouts: str = '') -> str:
        return f'process {rank} of {self.world_size}{whereabouts}'

    def _run(self) -> None:
        """Wait for bad news, pass it on, and see to it that this process ends."""
        with selectors.DefaultSelector() as selector:
            for peer in self._peers:
                selector.register(peer, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    news = _read(key.fileobj, self._peers[key.fileobj])
                    if self._leaving.is_set() and self._lost is None:
                        return
                    if news is not None:
                        self._end(news)
                        return
                    selector.unregister(key.fileobj)  # it finished

    def _end(self, lost: str) -> None:
        self._lost = lost
        for peer in self._peers:
            _send(peer, f'{_LOST} {lost}\n')
        self._known.set()  # after the others, who must not take this process's own end for the first
        time.sleep(GRACE)
        if not self._leaving.is_set():
            print(f'error: {lost}', file=sys.stderr, flush=True)
        os._exit(LOST_PROCESS)  # the main thread may hang in a collective operation for ever

    def _close(self) -> None:
        for peer in self._peers:
            peer.close()


def _listen() -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(('', 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(('', 0))


def _connect(address: str, port: int, password: str, rank: int) -> socket.socket:
    try:
        connection = socket.create_connection((address, port), timeout=_MEETING)
    except OSError as error:
        raise ConfigError(
            f'process {rank} cannot reach the first one at {address}:{port} ({error.strerror or error}); processes of '
            'one run need open TCP ports between their machines'
        ) from error
    _send(connection, f'{password} {rank} {os.getpid()} {socket.gethostname()}\n')
    _watch_line(connection)
    return connection


def _greeted(connection: socket.socket, password: str) -> tuple[int, str] | None:
    """Rank and whereabouts of who connected; None for a stranger, who is sent away."""
    connection.settimeout(5)
    words: list[str] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        words = connection.recv(4096).decode().split()
    if len(words) != 4 or not hmac.compare_digest(words[0].encode(), password.encode()):
        connection.close()
        return None
    _watch_line(connection)
    return int(words[1]), f' (process id {words[2]} on {words[3]})'


def _watch_line(connection: socket.socket) -> None:
    """Let the kernel find out when the other machine is gone."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):  # not everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _send(connection: socket.socket, message: str) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(message.encode())


def _read(connection: socket.socket, name: str) -> str | None:
    """Bad news that came over a connection, as a sentence; None where the other process finished."""
    data = b''
    with contextlib.suppress(OSError):
        data = connection.recv(4096)
    word, _, text = data.decode(errors='replace').split('\n')[0].partition(' ')
    if word == _FINISHED:
        return None
    if word == _LOST:
        return text
    how = text if word == _ENDED else 'was killed, ran out of memory, or its machine went away'
    return f'{name} {how}, so this one ends too; the last checkpoint is whole, run again with --resume'
