"""A progress bar that counts frames."""

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
    """Show a progress bar of ``total`` frames inside the context.

    Args:
        title: Text before the bar.
        total: Total number of frames.
        show: False to hide the bar.

    Yields:
        Callable: Call it with the number of newly finished frames.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('frames'),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Disable the refresh thread, because worker processes are forked while the bar is shown.
    with Progress(*columns, auto_refresh=False, disable=not show) as bar:
        task = bar.add_task(title, total=total)

        def advance(frames: int) -> None:
            bar.update(task, advance=frames)
            bar.refresh()

        yield advance
