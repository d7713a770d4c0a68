"""Calls to Airbyte's public API, and to its Config API for what the public one lacks.

Public API: https://reference.airbyte.com. The Config API is served by the same process under
`/api/v1`.
"""

import ssl
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import httpx
import tenacity

from dynamic_providers.api import ApiClient, ApiError, Session, SessionAuth
from dynamic_providers.handler import InputError, Props

PUBLIC = "/api/public/v1"
CONFIG = "/api/v1"
CLIENT_ID = "dataflow"
SECRET_NAME = "airbyte-client"  # noqa: S105
MASK = "**********"
TIMEOUT_S = 300.0  # creating a connection runs discover on its source, which can take minutes
TOKEN_MARGIN_S = 10.0  # renewed this long before its end: a call may take a while to arrive
PAGE = 100
CHANGE_ATTEMPTS = 5
NOT_OFFERED = frozenset({401, 403, 405, 410, 501})


def _lost_race(fault: BaseException) -> bool:
    conflict = isinstance(fault, ApiError) and fault.status == 409
    return conflict and "locked" not in str(fault).lower()


class ApplicationAuth(SessionAuth):
    """The client-credentials grant of an Airbyte application."""

    def __init__(self, base_url: str, client_id: str, client_secret: str) -> None:
        super().__init__()
        self._url = f"{base_url}{PUBLIC}/applications/token"
        self._form = {
            "client_id": client_id,
            "client_secret": client_secret,
            "grant_type": "client_credentials",
        }

    def log_in(self) -> Generator[httpx.Request, httpx.Response, Session | None]:
        answer = yield httpx.Request("POST", self._url, json=self._form)
        if answer.status_code == 404:
            # Passed on, it would read as "the object is gone".
            raise ApiError("airbyte", "POST", self._url, 404, "no such endpoint: not Airbyte?")
        if not answer.is_success:
            return None
        body = answer.json()
        lifetime_s = float(body.get("expires_in") or 0)
        return Session(
            headers={"Authorization": f"Bearer {body['access_token']}"},
            ends_at_s=time.monotonic() + max(lifetime_s - TOKEN_MARGIN_S, 1.0),
        )


class AirbyteClient:
    """One Airbyte instance. Thread-safe."""

    def __init__(
        self,
        base_url: str,
        client_secret: str,
        *,
        client_id: str = CLIENT_ID,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """base_url: of the server, or of its public API, as the product's documents write it."""
        root = base_url.rstrip("/").removesuffix(PUBLIC)
        self.api = ApiClient(
            "airbyte",
            root,
            auth=ApplicationAuth(root, client_id, client_secret),
            secrets=(client_secret,),
            verify=verify,
            timeout_s=TIMEOUT_S,
        )
        self._workspace: str | None = None
        self._names: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def public(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        """JSON of the answer, or None for 404."""
        return self.api.send(method, PUBLIC + path, body, params=params)

    def require(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of the answer; a 404 is an error."""
        return self.api.require(method, PUBLIC + path, body)

    def config(self, path: str, body: Props) -> Any:
        """Answer of the Config API, or None for 404."""
        return self.api.send("POST", CONFIG + path, body)

    def change(self, method: str, path: str, body: Any, what: str) -> Any:
        """JSON of the answer to a change of an object that exists. A change that lost against
        another (409 try-again-later) is sent again, as long as the object is there.

        Raises LookupError if it is gone; ApiError 409 at once if it is locked.
        """
        for again in tenacity.Retrying(
            retry=tenacity.retry_if_exception(_lost_race),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
            stop=tenacity.stop_after_attempt(CHANGE_ATTEMPTS),
            reraise=True,
        ):
            with again:
                answer = self.public(method, path, body)
                if answer is None:
                    raise LookupError(f"{what} is gone")
        return answer

    @staticmethod
    def only_one(same: list[Props], id_key: str) -> str | None:
        """Id of the one object in `same`. Airbyte lets several objects have one name: between
        them nobody guesses."""
        if len(same) > 1:
            ids = ", ".join(sorted(str(live[id_key]) for live in same))
            raise InputError(
                "name", f"{len(same)} objects have it ({ids}): delete or rename all but one"
            )
        return str(same[0][id_key]) if same else None

    def offers_config_api(self, workspace: str) -> bool:
        """Whether the server answers the Config API; newer ones may not."""
        try:
            answer = self.config("/connections/list", {"workspaceId": workspace})
        except ApiError as error:
            if error.status in NOT_OFFERED:
                return False
            raise
        return answer is not None

    def every(self, path: str, params: Mapping[str, Any]) -> Iterator[Props]:
        """All entries of a list. `next` is set as long as a page is not empty, so the empty
        page is the end; lists that know no pages answer every time with all."""
        offset, last = 0, None
        while True:
            page = self.require_page(path, {**params, "limit": PAGE, "offset": offset})
            if not page or page == last:
                return
            yield from page
            offset, last = offset + len(page), page

    def named(self, path: str, params: Mapping[str, Any], name: str) -> list[Props]:
        """Entries of a list that have the name. The API cannot search by it, so the names are
        read once, and a list of thousands is read again only for a name that was there, or was
        asked for before: who asks and finds nothing goes on to make it."""
        if not self._may_exist(path, params, name):
            return []
        return [entry for entry in self.every(path, params) if entry["name"] == name]

    def _may_exist(self, path: str, params: Mapping[str, Any], name: str) -> bool:
        key = f"{path}?{sorted(params.items())}"
        with self._lock:
            if key not in self._names:
                self._names[key] = {str(entry["name"]) for entry in self.every(path, params)}
            known = name in self._names[key]
            self._names[key].add(name)
            return known

    def require_page(self, path: str, params: Mapping[str, Any]) -> list[Props]:
        answer = self.api.require("GET", PUBLIC + path, params=params)
        return list(answer.get("data") or [])

    def workspace(self, wanted: str | None) -> str:
        """Id of the workspace: `wanted`, else the first one of the instance."""
        if wanted:
            return wanted
        with self._lock:
            if self._workspace is None:
                found = self.require_page("/workspaces", {"limit": 1})
                if not found:
                    raise InputError("workspaceId", "the instance has no workspace: create one")
                self._workspace = str(found[0]["workspaceId"])
            return self._workspace

    def close(self) -> None:
        self.api.close()
