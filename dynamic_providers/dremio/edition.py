"""What only Enterprise edition has: grants, roles, and users that can be deleted.

Community answers such calls with an error or with no endpoint at all. The handlers then fail
and say so: a permission that is not in force is never recorded as if it were.
"""

from typing import Any
from urllib.parse import quote

from dynamic_providers.api import ApiError
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import InputError, Props

GRANTEES = ("ROLE", "USER")


class EditionError(ValueError):
    """The server's edition lacks what was asked of it."""


def asked(client: DremioClient, method: str, path: str, body: Any = None, **params: Any) -> Any:
    """The answer of an Enterprise call about an object that exists. Raises EditionError."""
    try:
        return client.api.require(method, f"/api/v3{path}", body, params=params or None)
    except ApiError as error:
        if error.status in (404, 405, 501) or "enterprise edition" in error.message.lower():
            raise EditionError(
                "this server is of Community edition, where every user is an administrator and "
                "nothing can be granted: restrict access in the store and in Superset, show only "
                "secured views (view.secured_sql) there, or use Enterprise edition"
            ) from None
        raise


def member(client: DremioClient, type_: str, name: str, field: str) -> Props:
    """The role or user called `name`. Raises InputError if there is none."""
    found: Props | None = client.send("GET", f"/{type_.lower()}/by-name/{quote(name, safe='')}")
    if found is None:
        if type_ == "ROLE":  # or a server that knows no roles
            asked(client, "GET", "/role")
        raise InputError(field, f"{name!r}: no such {type_.lower()}")
    return found
