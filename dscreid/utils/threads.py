"""How OpenMP threads wait for each other; imported before PyTorch."""

from collections.abc import MutableMapping

#: Variables with which a user can choose: OpenMP's own, GNU's and Intel's.
_DECISIONS = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads sleep instead of spinning, unless the user has chosen otherwise.

    By default, OpenMP threads that wait for each other keep their cores busy. On a machine with other work, each then
    waits for a thread that has no core. Sleeping makes a training step 1.7 times as fast beside one busy process, and a
    third longer on an idle machine (``docs/performance.md``). Results and the number of threads stay the same.

    OpenMP reads the variables when it is loaded, so this has no effect once PyTorch is imported.

    Args:
        environment: The environment of this process, changed in place; child processes inherit it.
    """
    if not any(name in environment for name in _DECISIONS):
        environment['OMP_WAIT_POLICY'] = 'PASSIVE'
