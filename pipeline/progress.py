"""What a person sees of a run: a live line on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.markup import escape


class StepError(Exception):
    """A step failed. remedy: what to do next, as a sentence."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


class Step:
    """A step in progress. Thread-safe: rich's console is."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self.summary = ""
        self.started = monotonic()
        self.seconds = 0.0

    def tell(self, text: str) -> None:
        """A line about a part of the step."""
        self._console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)

    def done(self, summary: str) -> None:
        """What the step achieved, for its last line."""
        self.summary = summary


class Progress:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.steps: list[tuple[str, float, str]] = []  # name, seconds, summary of each that ended

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Step]:
        """Announces a step, and tells its duration and outcome when it ends."""
        step = Step(self.console, name)
        if self.console.is_terminal:
            with self.console.status(escape(title)):
                yield step
        else:
            self._line("…", title)
            yield step
        step.seconds = monotonic() - step.started
        self.steps.append((name, step.seconds, step.summary))
        self._line("[green]✓[/]", f"{title}: {step.summary} ({step.seconds:.1f} s)")

    def failed(self, error: StepError) -> None:
        self._line("[red]✗[/]", error.cause)
        self._line(" ", error.remedy)

    def say(self, text: str) -> None:
        self._line("·", text)

    def _line(self, mark: str, text: str) -> None:
        self.console.print(f"{mark} {escape(text)}", highlight=False, soft_wrap=True)
