"""Progress of the bootstrap: a live picture on a terminal, plain lines elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Display(Protocol):
    """Called from several threads."""

    def started(self, name: str, doing: str) -> None: ...
    def said(self, name: str, text: str) -> None: ...
    def ended(self, name: str, how: str) -> None: ...


@contextmanager
def live_or_plain(console: Console) -> Iterator[Display]:
    """A Display on this console."""
    if not console.is_terminal:
        yield Lines(console)
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,  # what is running vanishes; what has ended stays as lines above
    ) as progress:
        yield Live(progress)


class Lines:
    """`[pulumi] building`, later `[pulumi] done in 212 s`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()

    def started(self, name: str, doing: str) -> None:
        self._line(name, doing)

    def said(self, name: str, text: str) -> None:
        self._line(name, text)

    def ended(self, name: str, how: str) -> None:
        self._line(name, how)

    def _line(self, name: str, text: str) -> None:
        with self._lock:
            self._console.print(f"[{name}] {text}", markup=False, highlight=False, soft_wrap=True)


class Live:
    """Running steps with a spinner and their time, ended ones above them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def started(self, name: str, doing: str) -> None:
        self._tasks[name] = self._progress.add_task(f"[bold]{name}[/] {escape(doing)}")

    def said(self, name: str, text: str) -> None:
        self._progress.console.print(f"[dim]{name}: {escape(text)}[/]")

    def ended(self, name: str, how: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))
        self._progress.console.print(f"[bold]{name}[/] {escape(how)}")
