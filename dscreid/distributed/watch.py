"""Detect immediately if a process of a run ends early, and end the others too.

Collective operations notice a dead process late or never. Therefore, each process keeps a TCP connection to the first
one. The kernel closes a process's connections however it ends, and keep-alive probes detect unreachable machines.
"""

import contextlib
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from typing import Any

from mmengine.dist import broadcast_object_list, get_dist_info

from dscreid.distributed.exchange import gather_objects, host_group
from dscreid.errors import LOST_PROCESS, ConfigError

#: Seconds a process has to exit on its own after another was lost, for example if both hit the same error.
GRACE = 5.0
#: Seconds for the processes to connect to each other.
_MEETING = 120
_NEEDS_PORTS = 'processes of one run need open TCP ports between their machines'
_FINISHED, _ENDED, _LOST = 'finished', 'ended', 'lost'
#: Bytes of the secret with which a process proves to be part of the run.
_SECRET = 32
#: Idle seconds before the kernel probes a connection, seconds between probes, and unanswered probes until failure.
_PROBES = {'TCP_KEEPIDLE': 30, 'TCP_KEEPINTVL': 10, 'TCP_KEEPCNT': 3}


class ProcessWatch:
    """A thread that watches the other processes; all create one together, with the first process's address."""

    def __init__(self, address: str) -> None:
        self._lost: str | None = None
        self._known, self._leaving = threading.Event(), threading.Event()
        #: The watched connections, and the process at the other end of each.
        self._peers = _meet(address)
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
        self._tell(_FINISHED if reason is None else f'{_ENDED} {reason}')
        if self._lost is None:
            self._close()

    def _run(self) -> None:
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
        self._tell(f'{_LOST} {lost}')
        self._known.set()  # after telling the others, or they might report this process as the lost one
        time.sleep(GRACE)
        if not self._leaving.is_set():
            print(f'error: {lost}', file=sys.stderr, flush=True)
        os._exit(LOST_PROCESS)  # the main thread may hang forever in a collective operation

    def _tell(self, message: str) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sendall(f'{message}\n'.encode())

    def _close(self) -> None:
        for peer in self._peers:
            peer.close()


def _meet(address: str) -> dict[socket.socket, str]:
    """Connect the first process to all others; return the connections and the names of the processes."""
    rank, world_size = get_dist_info()
    names = gather_objects(f'process {rank} of {world_size} (process id {os.getpid()} on {socket.gethostname()})')
    server: socket.socket | None = None
    invitation: list[Any] = [None]
    if rank == 0:
        dual = socket.has_dualstack_ipv6()
        server = socket.create_server(('', 0), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual)
        invitation = [(server.getsockname()[1], [secrets.token_bytes(_SECRET) for _ in names])]
    broadcast_object_list(invitation, group=host_group())
    port, tickets = invitation[0]
    if server is None:
        return {_connect(address, port, tickets[rank], rank): names[0]}
    peers: dict[socket.socket, str] = {}
    guests = dict(zip(tickets, names, strict=True))
    with server:
        server.settimeout(_MEETING)
        while len(peers) < world_size - 1:
            try:
                connection, _ = server.accept()
            except TimeoutError as error:
                raise ConfigError(
                    f'{world_size - 1 - len(peers)} of {world_size} processes have not connected to port {port} of the '
                    f'first one within {_MEETING} s; {_NEEDS_PORTS}'
                ) from error
            if (guest := guests.get(_ticket(connection))) is None:
                connection.close()
            else:
                peers[_watched(connection)] = guest
    return peers


def _connect(address: str, port: int, ticket: bytes, rank: int) -> socket.socket:
    try:
        connection = socket.create_connection((address, port), timeout=_MEETING)
        connection.sendall(ticket)
    except OSError as error:
        raise ConfigError(
            f'process {rank} cannot reach the first one at {address}:{port} ({error.strerror or error}); {_NEEDS_PORTS}'
        ) from error
    return _watched(connection)


def _ticket(connection: socket.socket) -> bytes:
    """Read the secret of a connecting process; the news of one that has already ended stay in the connection."""
    connection.settimeout(5)
    ticket = b''
    with contextlib.suppress(OSError):
        while len(ticket) < _SECRET and (more := connection.recv(_SECRET - len(ticket))):
            ticket += more
    return ticket


def _watched(connection: socket.socket) -> socket.socket:
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):  # not available on all platforms
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _read(connection: socket.socket, name: str) -> str | None:
    """Read from a connection which process was lost, as a sentence; None if the other process finished."""
    data = b''
    with contextlib.suppress(OSError):
        data = connection.recv(4096)
    word, _, text = data.decode(errors='replace').split('\n')[0].partition(' ')
    if word in (_FINISHED, _LOST):
        return text or None
    how = text if word == _ENDED else 'was killed, ran out of memory, or its machine went away'
    return f'{name} {how}, so this process also ends; the last checkpoint is intact, run again with --resume'
