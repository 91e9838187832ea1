"""What of a run's log a person reads on the console; the log file has all of it."""

import logging

from mmengine.logging import MMLogger

#: How MMEngine's messages begin that belong in the log file only: dumps of hundreds of lines, a line that repeats
#: with each epoch, and warnings of MMEngine about itself.
LOG_FILE_ONLY = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used',
    'Exp name: ',
    'Saving checkpoint at ',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)


class ConsoleFilter(logging.Filter):
    """Drops messages that belong in the log file only, and tables that were shown before."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show a message; errors always are."""
        if record.levelno >= logging.ERROR:
            return True
        message = record.getMessage()
        if message.startswith(LOG_FILE_ONLY):
            return False
        if '\n' not in message:
            return True
        is_new = message not in self._shown
        self._shown.add(message)
        return is_new


#: One for all loggers of a process: each stage of an experiment has its own logger.
_FILTER = ConsoleFilter()


def quiet_console(logger: MMLogger, shown: logging.Filter = _FILTER) -> None:
    """Show only what a person reads; at level DEBUG everything is shown.

    Args:
        logger: Its handlers for the console get the filter, those for files do not.
        shown: The filter.
    """
    for handler in logger.handlers:
        is_console = isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        )
        if is_console and handler.level > logging.DEBUG:
            handler.addFilter(shown)
