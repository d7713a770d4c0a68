"""Dremio user with a password of Dremio's own.

Community edition makes every user an administrator, and has no call that deletes one: a deleted
user gets a password there that nobody knows. Roles need Enterprise edition.
https://docs.dremio.com/current/reference/api/user/
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from dynamic_providers import inputs
from dynamic_providers.api import ApiError, post_once
from dynamic_providers.dremio import edition, role
from dynamic_providers.dremio.client import DremioClient
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props

KIND: Final = "dremio/User"
REPLACE_ON = frozenset({"name"})
SECRETS = frozenset({"password"})
COMPUTED: frozenset[str] = frozenset()

LEAST_PASSWORD = 8  # characters, a letter and a digit among them, as Dremio demands
PERSON = ("firstName", "lastName", "email")


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name", "password"), (*PERSON, "roles"))
    name = inputs.text(spec["name"], "name")
    if not inputs.is_unknown(name) and set(name) & set('"/:'):
        raise InputError("name", f'{name!r}: must not contain " / or :')
    _check_password(spec["password"])
    for key in PERSON:
        if key in spec:
            inputs.text(spec[key], key)
    if "roles" in spec:
        spec["roles"] = role.role_names(spec["roles"], "roles")
    return {key: value for key, value in spec.items() if value != []}


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: DremioClient, spec: Props) -> Live:
    if spec["name"] == client.user:
        raise InputError("name", f"{spec['name']!r}: that is the user of this stack itself")
    live = _find(client, spec["name"])
    if live is None:
        body = _body(client, {}, spec)
        live = post_once(
            lambda: client.require("POST", "/user", body), lambda: _find(client, spec["name"])
        )
    else:
        live = _change(client, live, {}, spec)
    _check_roles(live, spec)
    return Live(id=spec["name"], inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    live = _find(client, id_)
    if live is None or live.get("active") is False:
        return None
    found = {key: live.get(key) or None for key in ("name", *PERSON)}
    found["roles"] = role.names_of(live)
    if known:  # what the user left to the server is no drift
        found = {key: value for key, value in found.items() if key in {*known, "roles"}}
    # The server shows no password.
    spec = normalize({**found, "password": known.get("password", UNKNOWN)})
    return Live(id=id_, inputs={k: v for k, v in spec.items() if k != "password" or known})


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    live = _find(client, id_)
    if live is None:
        raise LookupError(f"user {id_!r} is gone")
    changed = _change(client, live, old, spec)
    _check_roles(changed, spec)
    return Live(id=id_, inputs=spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    live = _find(client, id_)
    if live is None:
        return
    try:
        edition.asked(client, "DELETE", f"/user/{live['id']}", version=live.get("tag"))
    except edition.EditionError:
        locked = {**known, "name": id_, "password": f"{secrets.token_urlsafe(48)}-1a"}
        _change(client, live, known, {**locked, "roles": []})


def _find(client: DremioClient, name: str) -> Props | None:
    found: Props | None = client.send("GET", f"/user/by-name/{quote(name, safe='')}")
    return found


def _change(client: DremioClient, live: Props, old: Props, spec: Props) -> Props:
    """The user after a PUT; somebody else's change in between is written over once."""
    for fresh in (live, None):
        at = fresh or _find(client, spec["name"])
        if at is None:
            break
        body = _body(client, {**at, **dict.fromkeys(set(PERSON) & set(old))}, spec)
        if old.get("password") == spec["password"]:  # the user may have chosen another
            del body["password"]
        try:
            answer: Props = client.require("PUT", f"/user/{at['id']}", body)
        except ApiError as error:
            if error.status != 409 or fresh is None:
                raise
        else:
            return answer
    raise LookupError(f"user {spec['name']!r} is gone")


def _body(client: DremioClient, live: Props, spec: Props) -> Props:
    body: Props = {key: live[key] for key in ("@type", "id", "tag", "active") if key in live}
    body |= {key: spec.get(key, live.get(key) or "") for key in PERSON}
    body |= {"name": spec["name"], "password": spec["password"]}
    if spec.get("roles") or live.get("roles"):
        implied = [r for r in live.get("roles") or [] if r["name"] in role.IMPLIED]
        body["roles"] = [*implied, *role.role_ids(client, spec.get("roles", []))]
    return body


def _check_roles(live: Props, spec: Props) -> None:
    """A role that the server does not give must not look as if it were given."""
    missing = sorted(set(spec.get("roles", [])) - set(role.names_of(live)))
    if missing:
        raise edition.EditionError(
            f"the server does not give the roles {', '.join(missing)}: Community edition has none"
        )


def _check_password(value: Any) -> None:
    if inputs.is_unknown(inputs.text(value, "password")):
        return
    kinds = (str.isdigit, str.isalpha)
    if len(value) < LEAST_PASSWORD or not all(any(map(kind, value)) for kind in kinds):
        raise InputError(
            "password", f"expected {LEAST_PASSWORD} characters or more, with a letter and a digit"
        )
