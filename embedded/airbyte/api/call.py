"""One request, already parsed, and helpers that read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from embedded.airbyte.api.errors import RequestError, bad_request, not_found
from embedded.airbyte.api.tokens import Tokens
from embedded.airbyte.calls import Connectors
from embedded.airbyte.jobs.runner import Runner
from embedded.airbyte.store.database import Pool

LIMIT = 20
LIMIT_MAX = 100


@dataclass(frozen=True, kw_only=True)
class Plane:
    """What the routes work with."""

    pool: Pool
    connectors: Connectors
    runner: Runner
    tokens: Tokens
    auth_enabled: bool


@dataclass(frozen=True, kw_only=True)
class Call:
    """query: values of each parameter, in order."""

    url: str  # without the query
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Mapping[str, Any]

    def id(self, name: str, resource_type: str) -> UUID:
        """A UUID of the path; one that is none cannot exist."""
        try:
            return UUID(self.path[name])
        except ValueError:
            raise not_found(resource_type, self.path[name]) from None

    def body_id(self, name: str) -> UUID:
        value = self.body.get(name)
        try:
            return UUID(str(value))
        except ValueError:
            raise bad_request(f"{name}: {value!r}: expected a UUID") from None

    def text(self, name: str) -> str:
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"{name}: {value!r}: expected a text that is not empty")
        return value

    def optional(self, name: str, kind: type[Any]) -> Any:
        """A body field; None when it is missing or null."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, kind):
            raise bad_request(f"{name}: expected {kind.__name__}, not {type(value).__name__}")
        return value

    def parameter(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else None

    def flag(self, name: str) -> bool:
        return (self.parameter(name) or "false").lower() == "true"

    def ids(self, name: str) -> list[UUID]:
        """UUIDs, repeated or separated by commas."""
        texts = [part for value in self.query.get(name, []) for part in value.split(",") if part]
        try:
            return [UUID(text) for text in texts]
        except ValueError:
            raise bad_request(f"{name}: {texts!r}: expected UUIDs") from None

    def window(self) -> tuple[int, int]:
        """limit and offset."""
        return (
            _number("limit", self.parameter("limit"), LIMIT, 1, LIMIT_MAX),
            _number("offset", self.parameter("offset"), 0, 0, 2**31),
        )

    def page(self, data: list[dict[str, Any]]) -> dict[str, Any]:
        """The list with its links. `next` is there for every page that is not empty."""
        limit, offset = self.window()
        following = self._link(limit, offset + limit) if data else ""
        previous = self._link(limit, max(offset - limit, 0)) if offset else ""
        return {"previous": previous, "next": following, "data": data}

    def _link(self, limit: int, offset: int) -> str:
        return f"{self.url}?limit={limit}&offset={offset}"


def _number(name: str, text: str | None, default: int, low: int, high: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or not low <= int(text) <= high:
        raise bad_request(f"{name}: {text!r}: expected {low} to {high}")
    return int(text)


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any = None


Handler = Callable[[Plane, Call], Reply]

__all__ = ["Call", "Handler", "Plane", "Reply", "RequestError"]
