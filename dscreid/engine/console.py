"""Keep the console concise; the log file contains every message."""

import logging

from mmengine.logging import MMLogger

from dscreid.utils.shipped import DIRECTION

#: Prefixes of MMEngine messages that go to the log file only: dumps of hundreds of lines, a line repeated every
#: epoch, and MMEngine's warnings about its own code.
LOG_FILE_ONLY = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used',
    'Exp name: ',
    'Saving checkpoint at ',
    f'Using env variable `{DIRECTION}` ',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)


class ConsoleFilter(logging.Filter):
    """Drop messages that belong only in the log file, and tables that were shown before."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a message; errors are always shown."""
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            return True
        if message.startswith(LOG_FILE_ONLY) or message in self._shown:
            return False
        if '\n' in message:
            self._shown.add(message)
        return True


#: Shared by all loggers of a process, because each stage of an experiment has its own logger.
_FILTER = ConsoleFilter()


def quiet_console(logger: MMLogger, shown: logging.Filter = _FILTER) -> None:
    """Add a filter to the console handlers of a logger, except at level DEBUG."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
            handler.addFilter(shown)
