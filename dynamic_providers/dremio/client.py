"""Calls to Dremio's REST API.

https://docs.dremio.com/current/reference/api/
"""

import ssl
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from dynamic_providers.api import ApiClient, ApiError, Session, SessionAuth
from dynamic_providers.canonical import only_known_keys
from dynamic_providers.handler import Props
from dynamic_providers.waiting import WorkFailedError, wait_for

API = "/api/v3"
LOGIN = "/apiv2/login"
ADMIN = "admin"
SECRET_NAME = "dremio-admin"  # noqa: S105
MASK = "$DREMIO_EXISTING_VALUE$"
SESSION_S = 3600.0  # a login token lives 30 hours
JOB_TIMEOUT_S = 60.0
PAGE_ROWS = 500  # the most that one call answers
JOB_FINAL = frozenset({"COMPLETED", "CANCELED", "FAILED"})


class LoginAuth(SessionAuth):
    """Name and password for a token."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        super().__init__()
        self._url = base_url + LOGIN
        self._body = {"userName": user, "password": password}

    def log_in(self) -> Generator[httpx.Request, httpx.Response, Session | None]:
        answer = yield httpx.Request("POST", self._url, json=self._body)
        if answer.status_code == 404:
            # Passed on, it would read as "the object is gone".
            raise ApiError("dremio", "POST", self._url, 404, "no such endpoint: not Dremio?")
        if not answer.is_success:
            return None
        return Session(
            headers={"Authorization": f"_dremio{answer.json()['token']}"},
            ends_at_s=time.monotonic() + SESSION_S,
        )


class DremioClient:
    """One Dremio coordinator, as one user. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        password: str,
        *,
        user: str = ADMIN,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.user = user
        self.password = password
        auth = LoginAuth(base_url, user, password)
        self.api = ApiClient("dremio", base_url, auth=auth, secrets=(password,), verify=verify)
        self.grants_lock = threading.Lock()  # a PUT of grants replaces all, and knows no tag
        # The first user is made before anybody can log in.
        self.anonymous = ApiClient("dremio", base_url, secrets=(password,), verify=verify)

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """JSON of the answer, or None for 404."""
        return self.api.send(method, API + path, body, params=params or None)

    def require(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of the answer; a 404 is an error."""
        return self.api.require(method, API + path, body)

    def by_path(self, path: Sequence[str]) -> Props | None:
        """The catalog entity at `path`, without its children."""
        parts = "/".join(quote(part, safe="") for part in path)
        found: Props | None = self.send("GET", f"/catalog/by-path/{parts}", maxChildren=1)
        return found

    def put_tagged(self, path: str, live: Props, body: Callable[[Props], Props]) -> Props:
        """The object after a PUT of `body(live)` under its lock tag.

        Somebody else's change in between is a 409: it is written over once if it left our own
        fields alone, and raised as ApiError otherwise. A change that is there already is our
        own: its answer was lost, and the PUT repeated."""
        wanted = body(live)
        try:
            return self._put(path, {**wanted, "tag": live.get("tag")})
        except ApiError as error:
            fresh = self.send("GET", path) if error.status == 409 else None
            if fresh is not None and only_known_keys(fresh, wanted) == wanted:
                return dict(fresh)
            if fresh is None or any(fresh.get(key) != live.get(key) for key in wanted):
                raise
            return self._put(path, {**body(fresh), "tag": fresh.get("tag")})

    def _put(self, path: str, body: Props) -> Props:
        answer: Props | None = self.send("PUT", path, body)
        if answer is None:
            raise LookupError("it went away during the change")
        return answer

    def rows(self, sql: str) -> list[Props]:
        """All rows of a query. Raises WorkFailedError."""
        job = self.require("POST", "/sql", {"sql": sql})["id"]
        ended = wait_for(lambda: self._ended(job), JOB_TIMEOUT_S, f"job {job}")
        if ended["jobState"] != "COMPLETED":
            raise WorkFailedError(f"job {job} {ended['jobState']}: {ended.get('errorMessage')}")
        found: list[Props] = []
        while True:
            where = {"offset": len(found), "limit": PAGE_ROWS}
            page = self.api.require("GET", f"{API}/job/{job}/results", params=where)
            found += page.get("rows") or []
            if not page.get("rows") or len(found) >= page["rowCount"]:
                return found

    def _ended(self, job: str) -> Props | None:
        status: Props = self.require("GET", f"/job/{job}")
        return status if status["jobState"] in JOB_FINAL else None

    def close(self) -> None:
        self.api.close()
        self.anonymous.close()


def entity(id_: str) -> str:
    """Path of a catalog entity. The id of an unpromoted folder holds slashes."""
    return f"/catalog/{quote(id_, safe='')}"
