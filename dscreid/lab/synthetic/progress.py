"""A progress bar in frames."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def frame_counter(title: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar of ``total`` frames while the context lasts.

    Args:
        title: Text before the bar.
        total: Number of frames at the end.
        show: False for silence.

    Yields:
        Callable: To be called with each number of frames finished.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('frames'),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # No refresh thread: worker processes are forked while the bar is up.
    with Progress(*columns, auto_refresh=False, disable=not show) as bar:
        task = bar.add_task(title, total=total)

        def advance(frames: int) -> None:
            bar.update(task, advance=frames)
            bar.refresh()

        yield advance
