"""Two processes in network namespaces of their own, which reach each other as two machines do: through one link."""

import os
import shutil
import subprocess
import sys

import pytest
from rank_pool import launcher_variables, rank_variables

ADDRESSES = ('169.254.77.1', '169.254.77.2')
#: Patience with a slow machine, which imports torch twice.
SECONDS = 240
WORK = """
import torch
from mmengine.dist import get_rank
from dscreid.distributed import from_main_process, gather_objects, process_group
with process_group('pytorch'):
    total = torch.full((3,), 1.0 + get_rank())
    torch.distributed.all_reduce(total)
    found = [total.tolist(), gather_objects(get_rank()), from_main_process(lambda: get_rank())]
print(found)
"""


@pytest.fixture
def machines():
    """Names of two namespaces, each of which has one end of a link."""
    if shutil.which('ip') is None:
        pytest.skip('needs the program ip (iproute2)')
    names = [f'dscreid{os.getpid()}{end}' for end in 'ab']
    made = []
    try:
        for name in names:
            added = subprocess.run(['ip', 'netns', 'add', name], capture_output=True, text=True)
            if added.returncode:
                pytest.skip(f'network namespaces are not permitted here: {added.stderr.strip()}')
            made.append(name)
        peer = ['peer', 'name', 'wire', 'netns', names[1]]
        subprocess.run(['ip', '-n', names[0], 'link', 'add', 'wire', 'type', 'veth', *peer], check=True)
        for name, address in zip(names, ADDRESSES, strict=True):
            inside = ['ip', '-n', name]
            subprocess.run([*inside, 'address', 'add', f'{address}/30', 'dev', 'wire'], check=True)
            subprocess.run([*inside, 'link', 'set', 'wire', 'up'], check=True)
            subprocess.run([*inside, 'link', 'set', 'lo', 'up'], check=True)
        yield names
    finally:
        for name in made:
            subprocess.run(['ip', 'netns', 'del', name], check=True)


@pytest.mark.slow
def test_processes_of_two_machines_meet_and_exchange(machines):
    environment = os.environ | launcher_variables(2) | {'MASTER_ADDR': ADDRESSES[0], 'GLOO_SOCKET_IFNAME': 'wire'}
    processes = [
        subprocess.Popen(
            ['ip', 'netns', 'exec', name, sys.executable, '-c', WORK],
            env=environment | rank_variables(rank),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, name in enumerate(machines)
    ]
    try:
        answers = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (output, errors) in zip(processes, answers, strict=True):
        assert process.returncode == 0, errors
        assert output.splitlines()[-1] == '[[3.0, 3.0, 3.0], [0, 1], 0]'
