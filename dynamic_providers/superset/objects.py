"""What all of Superset's objects have in common: identity by uuid, and the life cycle.

The numeric ids differ from server to server, so they are looked up and never kept. Objects
without a uuid are known by their name.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.superset.client import SupersetClient

ROLES = "security/roles"
MANAGED = {"is_managed_externally": True}  # the UI then offers no editing
REPLACE_ON = frozenset({"uuid"})


def uuid(value: Any, field: str) -> str:
    """A uuid in its usual spelling."""
    text = inputs.text(value, field)
    if inputs.is_unknown(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        raise InputError(field, f"{text!r}: expected a UUID") from None


def names(value: Any, field: str) -> Any:
    """A set of names, sorted, with one or more."""
    found = inputs.texts(value, field)
    return found if inputs.is_unknown(found) else sorted(set(found))


def uuids(value: Any, field: str) -> Any:
    """A set of uuids, sorted, with one or more."""
    found = inputs.listing(value, field)
    if inputs.is_unknown(found):
        return found
    return sorted({uuid(item, f"{field}[{at}]") for at, item in enumerate(found)})


def with_force(spec: Props) -> Props:
    """`spec` with forceDelete only where it says something: left out, it is false."""
    if not inputs.flag(spec.get("forceDelete", False), "forceDelete"):
        spec.pop("forceDelete", None)
    return spec


def cleared(api_names: Mapping[str, str], old: Props, spec: Props) -> Props:
    """Nulls for what the inputs had and have no more: left out of a PUT it would stay."""
    return {api: None for key, api in api_names.items() if key in old and key not in spec}


def role_numbers(client: SupersetClient, roles: Iterable[str], field: str) -> list[int]:
    """The ids of roles, in the order of their names. Raises InputError."""
    found = []
    for role in roles:
        number = client.number_named(ROLES, "name", role)
        if number is None:
            raise InputError(field, f"{role!r}: Superset has no such role")
        found.append(number)
    return found


def create(
    client: SupersetClient, kind: str, spec: Props, body: Props, finish: Callable[[int], None]
) -> Live:
    """POSTs `body` unless an object with the uuid exists, then lets `finish` bring the object
    of that number to the inputs. A uuid of ours is never somebody else's object."""

    new = {**body, **MANAGED, "uuid": spec["uuid"]}
    finish(found_or_made(client, kind, lambda: client.number(kind, spec["uuid"]), new))
    return Live(id=spec["uuid"], inputs=spec)


def update(
    client: SupersetClient, kind: str, id_: str, spec: Props, finish: Callable[[int], None]
) -> Live:
    number = client.number(kind, id_)
    if number is None:
        raise LookupError(f"{kind} {id_} is gone")
    finish(number)
    return Live(id=id_, inputs=spec)


def put(client: SupersetClient, kind: str, number: int, body: Props) -> None:
    if client.send("PUT", f"/{kind}/{number}", {**body, **MANAGED}) is None:
        raise LookupError(f"{kind} {number} went away during the change")


def delete(client: SupersetClient, kind: str, id_: str) -> None:
    number = client.number(kind, id_)
    if number is not None:
        client.send("DELETE", f"/{kind}/{number}")


def create_named(
    client: SupersetClient,
    kind: str,
    key: tuple[str, str],
    spec: Props,
    body: Props,
    finish: Callable[[int], None],
) -> Live:
    """As `create`, for objects whose identity is a name. key: (column, name). An object that
    exists is taken over: there is no other mark that it is ours."""
    finish(found_or_made(client, kind, lambda: client.number_named(kind, *key), body))
    return Live(id=key[1], inputs=spec)


def found_or_made(
    client: SupersetClient, kind: str, find: Callable[[], int | None], body: Props
) -> int:
    """The number of the object that `find` finds, or of a new one with `body`."""
    number = find()
    if number is not None:
        return number
    with client.creating:
        return post_once(lambda: int(client.require("POST", f"/{kind}/", body)["id"]), find)


def number_to_update(client: SupersetClient, kind: str, key: tuple[str, str]) -> int:
    number = client.number_named(kind, *key)
    if number is None:
        raise LookupError(f"{kind} {key[1]!r} is gone")
    return number


def put_named(client: SupersetClient, kind: str, number: int, body: Props) -> None:
    if client.send("PUT", f"/{kind}/{number}", body) is None:
        raise LookupError(f"{kind} {number} went away during the change")


def delete_named(client: SupersetClient, kind: str, key: tuple[str, str]) -> None:
    number = client.number_named(kind, *key)
    if number is not None:
        client.send("DELETE", f"/{kind}/{number}")


def refuse_if_used(field: str, what: str, users: Iterable[str], spec: Props) -> None:
    """Raises InputError with the names of what would break, unless `forceDelete` is set."""
    listed = ", ".join(sorted(set(users)))
    if listed and not spec.get("forceDelete"):
        raise InputError(
            field, f"{what}: {listed}: delete them first, or set forceDelete and run up before"
        )
