"""Superset user: an account with a password and roles."""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import ADMIN, SupersetClient

KIND: Final = "superset/User"
REPLACE_ON = frozenset({"username"})  # identity: logs and ownership go by it
SECRETS = frozenset({"password"})
COMPUTED: frozenset[str] = frozenset()

PATH = "security/users"
TEXTS: Mapping[str, str] = {  # input -> API's name
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
}


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("username", "password", "roles", *TEXTS), ("active",))
    if inputs.text(spec["username"], "username") == ADMIN:
        raise InputError("username", f"{ADMIN!r}: the platform's own account: choose another")
    for key in TEXTS:
        inputs.text(spec[key], key)
    if UNKNOWN not in spec["email"] and "@" not in spec["email"]:
        raise InputError("email", f"{spec['email']!r}: expected name@domain")
    if not isinstance(spec["password"], str) or not spec["password"]:
        raise InputError("password", "expected a text that is not empty")
    spec["roles"] = objects.names(spec["roles"], "roles")
    spec["active"] = inputs.flag(spec.get("active", True), "active")
    return spec


def natural_key(spec: Props) -> str:
    return str(spec["username"])


def create(client: SupersetClient, spec: Props) -> Live:
    body = _body(client, spec) | {"username": spec["username"], "password": spec["password"]}
    return objects.create_named(
        client,
        PATH,
        _key(spec["username"]),
        spec,
        body,
        lambda number: objects.put_named(client, PATH, number, body),
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    number = client.number_named(PATH, *_key(id_))
    answer = None if number is None else client.send("GET", f"/{PATH}/{number}")
    if answer is None:
        return None
    live = answer["result"]
    found = {
        "username": live["username"],
        "roles": sorted(role["name"] for role in live["roles"]),
        "active": bool(live["active"]),
        **{key: live[api_name] for key, api_name in TEXTS.items()},
    }
    if "password" in known:  # never shown
        found["password"] = known["password"]
    return Live(id=id_, inputs=found)


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    number = objects.number_to_update(client, PATH, _key(id_))
    body = _body(client, spec)
    if old.get("password") != spec["password"]:
        body["password"] = spec["password"]
    objects.put_named(client, PATH, number, body)
    return Live(id=id_, inputs=spec)


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    objects.delete_named(client, PATH, _key(id_))


def _key(username: str) -> tuple[str, str]:
    return "username", username


def _body(client: SupersetClient, spec: Props) -> Props:
    return {
        "roles": objects.role_numbers(client, spec["roles"], "roles"),
        "active": spec["active"],
        **{api_name: spec[key] for key, api_name in TEXTS.items()},
    }
