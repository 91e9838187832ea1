"""What the tools share: one sentence and an exit code instead of a traceback."""

import sys
from collections.abc import Callable

from dscreid.errors import DscreidError

INTERRUPTED = 130
UNUSABLE_INPUT = 2


def run_command(command: Callable[[], None]) -> None:
    """Run a tool's work and exit: 0, 2 for input that a user can mend, 130 after Ctrl-C.

    Args:
        command: The work; errors that are no ``DscreidError`` are bugs and keep their traceback.
    """
    try:
        command()
    except DscreidError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(UNUSABLE_INPUT)
    except KeyboardInterrupt:
        print(
            'interrupted: run the same command with --resume to continue from the last checkpoint',
            file=sys.stderr,
        )
        sys.exit(INTERRUPTED)
