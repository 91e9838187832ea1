"""How threads that compute together wait for each other; imported before PyTorch."""

from collections.abc import MutableMapping

#: Variables by which a user decides it: OpenMP's own, GNU's and Intel's.
_DECISIONS = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Let threads sleep while they wait, instead of spinning, unless the user has decided otherwise.

    By default, threads of OpenMP that wait for each other keep their cores busy. On a machine with other work, each
    then waits for a thread that has no core: a step of training takes ten times as long. Sleeping costs next to nothing
    on an idle machine. Results and the number of threads stay the same.

    OpenMP reads the variables when it is loaded, so this has no effect once PyTorch is imported.

    Args:
        environment: The environment of this process, changed in place; child processes inherit it.
    """
    if not any(name in environment for name in _DECISIONS):
        environment['OMP_WAIT_POLICY'] = 'PASSIVE'
