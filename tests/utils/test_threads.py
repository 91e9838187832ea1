"""The policy of waiting threads is in place before PyTorch loads OpenMP."""

import os
import subprocess
import sys

import pytest

from dscreid.utils.threads import let_threads_sleep


def test_threads_sleep_by_default():
    environment = {'OMP_NUM_THREADS': '3'}
    let_threads_sleep(environment)
    assert environment == {'OMP_NUM_THREADS': '3', 'OMP_WAIT_POLICY': 'PASSIVE'}


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'])
def test_what_the_user_decided_stays(name):
    environment = {name: 'mine'}
    let_threads_sleep(environment)
    assert environment == {name: 'mine'}


def test_openmp_learns_of_it():
    # OMP_DISPLAY_ENV lets OpenMP print what it read when it was loaded
    names = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
    environment = {name: value for name, value in os.environ.items() if name not in names}
    shown = subprocess.run(
        [sys.executable, '-c', 'import dscreid.apis.command_line, torch'],
        env=environment | {'OMP_DISPLAY_ENV': 'TRUE'},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    policies = [line for line in shown.splitlines() if 'OMP_WAIT_POLICY' in line]
    assert policies
    assert all('PASSIVE' in line for line in policies), shown
