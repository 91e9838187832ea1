"""A server of milvus-lite, which answers as a Milvus server does."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def milvus_lite_server(folder: Path) -> Iterator[str]:
    """Run a server that stores its data in a folder, and yield its address; skip the test if it is not installed."""
    for package in ('pymilvus', 'milvus_lite'):
        pytest.importorskip(package)
    code = f"""
import sys, threading
from milvus_lite.adapter.grpc.server import start_server_in_thread
server, database, port = start_server_in_thread({str(folder)!r}, host='127.0.0.1', port=0)
print(port, flush=True)
sys.stdin.read()
server.stop(grace=1)
database.close()
"""
    streams = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process = subprocess.Popen([sys.executable, '-c', code], text=True, **streams)
    try:
        yield f'http://127.0.0.1:{int(process.stdout.readline())}'
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
