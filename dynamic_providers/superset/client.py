"""Calls to Superset's REST API v1.

https://superset.apache.org/docs/api
"""

import re
import ssl
import threading
import time
from collections.abc import Generator
from typing import Any, Final
from uuid import UUID, uuid5

import httpx

from dynamic_providers.api import ApiClient, ApiError, Session, SessionAuth
from dynamic_providers.handler import UNKNOWN, InputError, Props

API = "/api/v1"
ADMIN = "admin"
SECRET_NAME = "superset-admin"  # noqa: S105
PAGE = 100  # objects in an answer: the server gives no more
SESSION_S = 600.0  # the access token lives 15 minutes
HAVE_UUID_PATH = frozenset({"chart", "dashboard", "dataset"})  # GET takes a uuid for the number
LIST_ATTEMPTS = 10
# Identity of every object: UUIDv5 of its logical name in this namespace. Never change it.
NAMESPACE: Final = UUID("7f0c2bd5-7a0e-5c39-9d3b-0d6a3f8f2c11")


class FeatureOffError(ValueError):
    """The server does not serve this kind of object."""

    def __init__(self, kind: str) -> None:
        flags = {"report": "the feature flag ALERT_REPORTS"}
        super().__init__(
            f"Superset answers no calls about a {kind}: expected "
            f"{flags.get(kind, 'Superset 6.1 or newer')} (FEATURE_FLAGS in superset_config.py)"
        )


class BrowserAuth(SessionAuth):
    """What a browser has: a token, and for writes a CSRF token with its session cookie."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        super().__init__()
        self._base_url = base_url
        self._body = {"username": user, "password": password, "provider": "db", "refresh": True}

    def log_in(self) -> Generator[httpx.Request, httpx.Response, Session | None]:
        login = yield httpx.Request(
            "POST", f"{self._base_url}{API}/security/login", json=self._body
        )
        if not self._accepted(login):
            return None
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
        csrf = yield httpx.Request(
            "GET", f"{self._base_url}{API}/security/csrf_token/", headers=bearer
        )
        if not self._accepted(csrf):
            return None
        headers = {
            **bearer,
            "X-CSRFToken": str(csrf.json()["result"]),
            # The CSRF token is only valid with the cookie of the same answer.
            "Cookie": "; ".join(f"{name}={value}" for name, value in csrf.cookies.items()),
            "Referer": self._base_url,
        }
        return Session(headers=headers, ends_at_s=time.monotonic() + SESSION_S)

    @staticmethod
    def _accepted(answer: httpx.Response) -> bool:
        if answer.status_code == 404:
            # Passed on, it would read as "the object is gone".
            path = answer.request.url.path
            raise ApiError("superset", answer.request.method, path, 404, "not Superset?")
        return answer.is_success


class SupersetClient:
    """One Superset, as one user. Thread-safe.

    creating: held while an object is created. Superset adds the permissions of new objects
    without a lock of its own: of two at once, one fails on the other's permission.

    Superset keeps the filters of a kind's listings in one place for all its threads
    (Flask-AppBuilder 5.3, BaseApi._handle_filters_args): of two requests at once, one may be
    answered with what the other one asked for. So objects are looked up by their path where
    there is one; listings go one by one, and their answers are checked.
    """

    def __init__(
        self,
        base_url: str,
        password: str,
        *,
        user: str = ADMIN,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.creating = threading.Lock()
        self._listing = threading.Lock()
        self.api = ApiClient(
            "superset",
            base_url,
            auth=BrowserAuth(base_url, user, password),
            secrets=(password,),
            verify=verify,
        )

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """JSON of the answer, or None for 404."""
        return self.api.send(method, API + path, body, params=params or None)

    def require(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of the answer; a 404 is an error."""
        return self.api.require(method, API + path, body)

    def listing(
        self, kind: str, where: tuple[str, str, str | int] | None = None, *columns: str
    ) -> list[Props]:
        """Every object of a kind, or those that match (column, operator, value), with `columns`
        or the usual ones. All pages: the server cuts each at 100. Raises FeatureOffError where
        the server knows no such kind, ApiError when others' requests keep getting in between."""
        was_empty = False
        for _ in range(LIST_ATTEMPTS):
            with self._listing:
                found = self._pages(kind, where, columns)
            # An empty answer may be that to another request, too: it counts when it comes twice.
            if all(_fits(item, where) for item in found) and (found or was_empty or not where):
                return found
            was_empty = not found
        raise ApiError(
            "superset",
            "GET",
            f"{API}/{kind}/",
            200,
            "answers with what nobody asked for: try again",
        )

    def _pages(
        self, kind: str, where: tuple[str, str, str | int] | None, columns: tuple[str, ...]
    ) -> list[Props]:
        if columns and where is not None:
            columns = tuple(dict.fromkeys((*columns, where[0])))
        filters = f"columns:!({','.join(columns)})," if columns else ""
        if where is not None:
            column, operator, value = where
            filters += f"filters:!((col:{column},opr:{operator},value:{_rison(value)})),"
        found: list[Props] = []
        while True:
            query = f"({filters}page:{len(found) // PAGE},page_size:{PAGE})"
            answer = self.send("GET", f"/{kind}/", q=query)
            if answer is None:
                raise FeatureOffError(kind)
            found += answer["result"]
            if len(found) >= answer["count"] or not answer["result"]:
                return found

    def number(self, kind: str, uuid: str) -> int | None:
        """The id under which this server keeps the object; PUT and DELETE know no other.
        kind: database, dataset, chart or dashboard."""
        if kind not in HAVE_UUID_PATH:
            return self._first(kind, ("uuid", "eq", str(UUID(uuid))))
        answer = self.send("GET", f"/{kind}/{UUID(uuid)}")
        return None if answer is None else int(answer["result"]["id"])

    def number_named(self, kind: str, column: str, name: str) -> int | None:
        """As `number`, for objects that have no uuid. Of several with the name, the oldest."""
        return self._first(kind, (column, "eq", name))

    def uuid_of(self, kind: str, number: int) -> str:
        """The uuid of the dataset, chart, dashboard or database with this number; empty if it
        is gone."""
        answer = self.send("GET", f"/{kind}/{number}")
        return "" if answer is None else str(answer["result"]["uuid"])

    def _first(self, kind: str, where: tuple[str, str, str | int]) -> int | None:
        return min((int(item["id"]) for item in self.listing(kind, where, "id")), default=None)

    def number_of(self, kind: str, uuid: str, field: str) -> int:
        """As `number`, for an object that an input refers to: InputError if there is none."""
        found = self.number(kind, uuid)
        if found is None:
            raise InputError(field, f"{uuid}: Superset has no such {kind}")
        return found

    def get(self, kind: str, uuid: str) -> Props | None:
        """The object as the server shows it, with its `id`."""
        if kind in HAVE_UUID_PATH:
            answer = self.send("GET", f"/{kind}/{UUID(uuid)}")
        else:
            number = self.number(kind, uuid)
            answer = None if number is None else self.send("GET", f"/{kind}/{number}")
        return None if answer is None else dict(answer["result"])

    def close(self) -> None:
        self.api.close()


def _fits(item: Props, where: tuple[str, str, str | int] | None) -> bool:
    """Whether a listed object is one that was asked for, as far as it shows."""
    if where is None or where[1] != "eq":
        return True
    column, _, value = where
    return str(item.get(column, value)) == str(value)


def _rison(value: str | int) -> str:
    """A value in a query; https://github.com/Nanonid/rison"""
    return str(value) if isinstance(value, int) else "'" + re.sub("([!'])", r"!\1", value) + "'"


def identity(kind: str, name: str) -> str:
    """UUID of the object that the platform calls `name`; UNKNOWN as long as the name is."""
    return UNKNOWN if UNKNOWN in name else str(uuid5(NAMESPACE, f"{kind}/{name}"))
