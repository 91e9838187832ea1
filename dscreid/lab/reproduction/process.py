"""The process of a job: at most one per folder, killed together with its parent, measured until its end."""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dscreid.lab.reproduction.jobs import LOG_FILE, Job

_PR_SET_PDEATHSIG = 1
_TERMINATION_GRACE = 10.0


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        exit_code: Its exit code, or the negative number of the signal that killed it.
        seconds: Wall time.
        peak_memory_mib: Largest resident memory of the process or of one of its children, in MiB.
    """

    exit_code: int
    seconds: float
    peak_memory_mib: float


class Process:
    """The process of a running job.

    Args:
        command: Program and arguments.
        environment: Environment variables in addition to those of this process.
        log: File that output is appended to.
        lock: The locked file of the job's folder. The process holds the lock as long as it lives, even if its parent
            is killed.
    """

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str], log: Path, lock: IO) -> None:
        self._lock, self._start = lock, time.monotonic()
        parent = os.getpid()
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(environment),
                pass_fds=(lock.fileno(),),
                # Ctrl-C in the terminal reaches only the parent, which then stops its processes.
                start_new_session=True,
                preexec_fn=lambda: die_with(parent),
            )

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.monotonic() - self._start

    def poll(self) -> Outcome | None:
        """Return the outcome, or None while the process runs."""
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid == 0:
            return None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code  # otherwise Popen would wait for it again
        self._lock.close()
        return Outcome(code, self.seconds, _mebibytes(usage.ru_maxrss))

    def stop(self) -> None:
        """Stop the process and its children: SIGTERM first, then SIGKILL."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, kind)
            end = time.monotonic() + _TERMINATION_GRACE
            while time.monotonic() < end:
                if self.poll() is not None:
                    return
                time.sleep(0.02)


def lock_folder(job: Job) -> IO | None:
    """Lock a job's folder. Return None if another process is working in it."""
    job.lock_file.parent.mkdir(parents=True, exist_ok=True)
    file = job.lock_file.open('a')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def log_of(job: Job) -> Path:
    """Return a job's log file. A world's log is next to its folder, where only the renderer may write."""
    return job.folder.with_name(f'{job.folder.name}.log') if job.world is not None else job.folder / LOG_FILE


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends for any reason (Linux only).

    Args:
        parent: The parent's process id.
    """
    if sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before prctl took effect
        os._exit(1)


def _mebibytes(maxrss: int) -> float:
    """Convert ``ru_maxrss`` to MiB. Linux counts in KiB, macOS in bytes."""
    return round(maxrss / (1024**2 if sys.platform == 'darwin' else 1024), 1)
