"""What all of Superset's objects have in common: identity by uuid, and the life cycle.

The numeric ids differ from server to server, so they are looked up and never kept.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from dynamic_providers import inputs
from dynamic_providers.api import post_once
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.superset.client import SupersetClient

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


def create(
    client: SupersetClient, kind: str, spec: Props, body: Props, finish: Callable[[int], None]
) -> Live:
    """POSTs `body` unless an object with the uuid exists, then lets `finish` bring the object
    of that number to the inputs. A uuid of ours is never somebody else's object."""

    def find() -> int | None:
        return client.number(kind, spec["uuid"])

    number = find()
    if number is None:
        new = {**body, **MANAGED, "uuid": spec["uuid"]}
        with client.creating:
            number = post_once(lambda: int(client.require("POST", f"/{kind}/", new)["id"]), find)
    finish(number)
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
