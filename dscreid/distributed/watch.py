"""Detect immediately if a process of a run ends early, and end the others too.

Collective operations notice a dead process late or never. Therefore, each process keeps a TCP connection to the first
one. The kernel closes a process's connections however it ends, and keep-alive probes detect unreachable machines.
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
from typing import Any

from mmengine.dist import broadcast_object_list, get_dist_info

from dscreid.distributed.exchange import host_group
from dscreid.errors import LOST_PROCESS, ConfigError

#: Seconds a process has to exit on its own after another was lost, for example if both hit the same error.
GRACE = 5.0
#: Seconds for the processes to connect to each other.
_MEETING = 120
_NEEDS_PORTS = 'processes of one run need open TCP ports between their machines'
_FINISHED, _ENDED, _LOST = 'finished', 'ended', 'lost'
#: Idle seconds before the kernel probes a connection, seconds between probes, and unanswered probes until failure.
_PROBES = {'TCP_KEEPIDLE': 30, 'TCP_KEEPINTVL': 10, 'TCP_KEEPCNT': 3}


class ProcessWatch:
    """A thread that watches the other processes; all create one together, with the first process's address."""

    def __init__(self, address: str) -> None:
        self.rank, self.world_size = get_dist_info()
        self._lost: str | None = None
        self._known, self._leaving = threading.Event(), threading.Event()
        #: The watched connections, and the process at the other end of each.
        self._peers: dict[socket.socket, str] = {}
        self._meet(address)
        # a forked worker with a copy of a connection would keep it open after this process ends
        os.register_at_fork(after_in_child=self._close)
        threading.Thread(target=self._run, name='process watch', daemon=True).start()

    def lost(self, within: float = 0.0) -> str | None:
        """Return a sentence about the lost process, waiting up to ``within`` seconds; None if none was lost."""
        self._known.wait(within)
        return self._lost

    def leave(self, reason: str | None = None) -> None:
        """Tell the others that this process ends, and the reason if it ends before the run does."""
        self._leaving.set()
        message = f'{_FINISHED}\n' if reason is None else f'{_ENDED} {reason}\n'
        for peer in self._peers:
            _send(peer, message)
        if self._lost is None:
            self._close()

    def _meet(self, address: str) -> None:
        """Connect the first process to all others."""
        server = _listen() if self.rank == 0 else None
        invitation: list[Any] = [None if server is None else (server.getsockname()[1], secrets.token_hex(16))]
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
                        f'{absent} of {self.world_size} processes have not connected to port {port} of the first one '
                        f'within {_MEETING} s; {_NEEDS_PORTS}'
                    ) from error
                if (rank := _greeted(connection, password)) is not None:
                    self._peers[connection] = self._name(*rank)

    def _name(self, rank: int, whereabouts: str = '') -> str:
        return f'process {rank} of {self.world_size}{whereabouts}'

    def _run(self) -> None:
        """Wait until a process is lost, tell the others, and end this process."""
        with selectors.DefaultSelector() as selector:
            for peer in self._peers:
                selector.register(peer, selectors.EVENT_READ, data=peer)
            while selector.get_map():
                for key, _ in selector.select():
                    news = _read(key.data, self._peers[key.data])
                    if self._leaving.is_set() and self._lost is None:
                        return
                    if news is not None:
                        self._end(news)
                        return
                    selector.unregister(key.fileobj)  # this peer finished

    def _end(self, lost: str) -> None:
        self._lost = lost
        for peer in self._peers:
            _send(peer, f'{_LOST} {lost}\n')
        self._known.set()  # after telling the others, or they might report this process as the lost one
        time.sleep(GRACE)
        if not self._leaving.is_set():
            print(f'error: {lost}', file=sys.stderr, flush=True)
        os._exit(LOST_PROCESS)  # the main thread may hang forever in a collective operation

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
            f'process {rank} cannot reach the first one at {address}:{port} ({error.strerror or error}); {_NEEDS_PORTS}'
        ) from error
    _send(connection, f'{password} {rank} {os.getpid()} {socket.gethostname()}\n')
    _watch_line(connection)
    return connection


def _greeted(connection: socket.socket, password: str) -> tuple[int, str] | None:
    """Return the rank and location of the connecting process; None for a stranger, who is rejected."""
    connection.settimeout(5)
    words: list[str] = []
    with contextlib.suppress(OSError, UnicodeDecodeError):
        words = _first_line(connection).decode().split()
    if len(words) != 4 or not hmac.compare_digest(words[0].encode(), password.encode()):
        connection.close()
        return None
    _watch_line(connection)
    return int(words[1]), f' (process id {words[2]} on {words[3]})'


def _first_line(connection: socket.socket) -> bytes:
    """Read one line; the news of a process that has already ended stay in the connection."""
    line = b''
    while not line.endswith(b'\n') and len(line) < 4096 and (byte := connection.recv(1)):
        line += byte
    return line


def _watch_line(connection: socket.socket) -> None:
    """Enable the kernel's detection of unreachable machines."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):  # not available on all platforms
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _send(connection: socket.socket, message: str) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(message.encode())


def _read(connection: socket.socket, name: str) -> str | None:
    """Read from a connection which process was lost, as a sentence; None if the other process finished."""
    data = b''
    with contextlib.suppress(OSError):
        data = connection.recv(4096)
    word, _, text = data.decode(errors='replace').split('\n')[0].partition(' ')
    if word == _FINISHED:
        return None
    if word == _LOST:
        return text
    how = text if word == _ENDED else 'was killed, ran out of memory, or its machine went away'
    return f'{name} {how}, so this process also ends; the last checkpoint is intact, run again with --resume'
