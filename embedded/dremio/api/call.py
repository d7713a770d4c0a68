"""One REST call and its reply."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.dremio.engine import Engine
from embedded.dremio.errors import EngineError, Kind, invalid
from embedded.dremio.users import User


@dataclass(frozen=True, kw_only=True)
class Call:
    """path: the decoded parts after the route's prefix. user: None only on open routes."""

    engine: Engine
    user: User | None
    token: str
    path: tuple[str, ...]
    query: dict[str, str]
    body: dict[str, Any]

    @property
    def caller(self) -> User:
        if self.user is None:
            raise EngineError(Kind.PERMISSION, "Not logged in.")
        return self.user

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.query.get(name, str(default))
        if not text.isdigit() or not low <= int(text) <= high:
            raise invalid(f"{name} [{text}]: expected a number from {low} to {high}")
        return int(text)


@dataclass(frozen=True)
class Reply:
    """body: None sends no body."""

    body: Any = None
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Rule:
    """path: parts of the URL; `*` matches one part, a last `**` one or more.

    prefix: how many parts the handler does not get. open: no login needed.
    """

    method: str
    path: tuple[str, ...]
    handler: Callable[[Call], Reply]
    prefix: int
    open: bool = False

    def matches(self, method: str, parts: tuple[str, ...]) -> bool:
        if method != self.method:
            return False
        pattern = self.path
        if pattern and pattern[-1] == "**":
            pattern = pattern[:-1]
            if len(parts) <= len(pattern):
                return False
            parts = parts[: len(pattern)]
        return len(parts) == len(pattern) and all(
            wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=True)
        )


def rule(method: str, path: str, handler: Callable[[Call], Reply], *, open_: bool = False) -> Rule:
    """path: such as `/api/v3/job/*/results`; the handler gets the parts from the first `*`."""
    parts = tuple(part for part in path.split("/") if part)
    stars = [index for index, part in enumerate(parts) if part.startswith("*")]
    return Rule(
        method=method,
        path=parts,
        handler=handler,
        prefix=stars[0] if stars else len(parts),
        open=open_,
    )
