"""Who calls: Basic (padded or not) earns a bearer token, and Bearer is used from then on."""

from collections.abc import Mapping
from typing import Any

import pyarrow.flight as flight

from embedded.dremio.catalog.model import Path
from embedded.dremio.users import User, Users, parse_authorization, parse_basic

MIDDLEWARE = "session"


class NoHandshake(flight.ServerAuthHandler):  # type: ignore[misc]
    """Lets Handshake through: the header is what counts."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        return

    def is_valid(self, token: Any) -> bytes:
        return b""


class Session(flight.ServerMiddleware):  # type: ignore[misc]
    """context: the header `schema`, which clients send as the database of their URL."""

    def __init__(self, user: User, token: str, context: Path) -> None:
        self.user = user
        self.context = context
        self._token = token

    def sending_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"}


class SessionFactory(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    def __init__(self, users: Users) -> None:
        self._users = users

    def start_call(self, info: Any, headers: Mapping[str, list[Any]]) -> Session:
        lower = {str(name).lower(): values for name, values in headers.items()}
        values = [_text(value) for value in lower.get("authorization", [])]
        schema = next((_text(value) for value in lower.get("schema", [])), "")
        context = tuple(part.strip('"') for part in schema.split(".") if part)
        for value in values:
            if basic := parse_basic(value):
                if found := self._users.log_in(*basic):
                    return Session(found[0], found[1], context)
                raise flight.FlightUnauthenticatedError("Invalid username or password")
            token = parse_authorization(value)
            if user := self._users.by_token(token):
                return Session(user, token, context)
        raise flight.FlightUnauthenticatedError("Unauthenticated: log in first")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
