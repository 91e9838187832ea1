"""Progress bars on standard error, shown only by the first rank."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich import progress
from rich.console import Console
from rich.progress import Progress

Item = TypeVar('Item')


def progress_bar(enabled: bool = True) -> Progress:
    """Create a progress bar with count, elapsed and remaining time, drawn only by the first rank on a terminal."""
    from mmengine.dist import is_main_process  # imports torch, which --help does not need

    console = Console(stderr=True)
    return Progress(
        progress.TextColumn('{task.description}'),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (enabled and console.is_terminal and is_main_process()),
    )


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and show a progress bar; ``total`` defaults to ``len(items)``."""
    with progress_bar() as bar:
        yield from bar.track(items, total=total, description=description)


def show_cursor() -> None:
    """Show the cursor again if a bar was interrupted by an error or Ctrl-C."""
    console = Console(stderr=True)
    if console.is_terminal:
        console.show_cursor(True)
