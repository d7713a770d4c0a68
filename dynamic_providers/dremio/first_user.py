"""Dremio's first user. Its password is derived from the stack's seed and is in no input.

Community edition has no call that deletes a user, and every user is an administrator.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.api import ApiError
from dynamic_providers.dremio.client import ADMIN, LOGIN, DremioClient
from dynamic_providers.handler import InputError, Live, Props

KIND: Final = "dremio/FirstUser"
REPLACE_ON = frozenset({"userName"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

BOOTSTRAP = "/apiv2/bootstrap/firstuser"
DEFAULTS: Mapping[str, Any] = {
    "userName": ADMIN,
    "firstName": "Platform",
    "lastName": "Administrator",
    "email": "admin@dataflow.invalid",
}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = {**DEFAULTS, **inputs.known_keys(raw, (), DEFAULTS)}
    for key in DEFAULTS:
        inputs.text(spec[key], key)
    if spec["userName"] != ADMIN and not inputs.is_unknown(spec["userName"]):
        # All other resources log in as this user.
        raise InputError("userName", f"{spec['userName']!r}: expected {ADMIN!r}")
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["userName"])


def create(client: DremioClient, spec: Props) -> Live:
    body = {**spec, "password": client.password, "createdAt": time.time_ns() // 1_000_000}
    try:
        client.anonymous.require("PUT", BOOTSTRAP, body, headers={"Authorization": "_dremionull"})
    except ApiError as error:
        # Refused because the server has its first user: ours, if the login works.
        if not 400 <= error.status < 500:
            raise
    _log_in(client)
    return Live(id=spec["userName"], inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    try:
        _log_in(client)
    except ApiError as error:
        if error.status == 403:  # the server has no user at all
            return None
        raise
    return Live(id=id_, inputs=normalize({**known, "userName": id_}))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    by_name = f"/user/by-name/{spec['userName']}"
    live = client.send("GET", by_name)
    if live is None:
        raise LookupError(f"user {spec['userName']!r} is gone")
    client.require("PUT", f"/user/{live['id']}", {**live, **_user(spec)})
    return Live(id=id_, inputs=spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    """Nothing: the user stays as long as the server's data."""


def _user(spec: Props) -> Props:
    return {
        "name": spec["userName"],
        **{key: spec[key] for key in ("firstName", "lastName", "email")},
    }


def _log_in(client: DremioClient) -> None:
    body = {"userName": client.user, "password": client.password}
    client.anonymous.require("POST", LOGIN, body)
