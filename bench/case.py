"""What a case of the bench returns, and how it says that it cannot run."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


class Skip(Exception):
    """The case cannot run here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison. ours and baseline: seconds, or None where it failed; `note` says why."""

    what: str
    ours: float | None
    baseline: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the baseline's time ours takes."""
        if self.ours is None or not self.baseline:
            return None
        return self.ours / self.baseline


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
