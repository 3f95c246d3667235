"""How far a move has come: a bar on standard error, and only where somebody is looking."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mailward.app.moving.into import Progress as Told
from mailward.formats.text import one_line


@contextmanager
def moving_bar() -> Iterator[Told]:
    """Gives what is to be called with a folder, how many of its messages are done, and how many there are."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)

        def told(folder: str, done: int, total: int) -> None:
            progress.update(bar, description=one_line(folder), completed=done, total=total)

        yield told
