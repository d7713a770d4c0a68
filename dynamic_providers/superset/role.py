"""Superset role: a set of permissions.

A permission is written as Superset's pages show it, `can_read on Chart` or
`schema_access on [warehouse].[lake].[gold]`. Users hold several roles: one for what they may do
(Superset's own Gamma) and others, made here, for what they may see.
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from dynamic_providers.superset import objects
from dynamic_providers.superset.client import SupersetClient

KIND: Final = "superset/Role"
REPLACE_ON = frozenset({"name"})  # the name is the only identity that a role has
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

PATH = objects.ROLES
RESOURCES = "security/resources"
GRANTS = "security/permissions-resources"
ON = " on "
# Superset writes their permissions anew at each start; changed ones could lock everybody out.
OWN_ROLES = frozenset({"Admin", "Alpha", "Gamma", "Public", "sql_lab", "granter"})


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("name", "permissions"), ("forceDelete",))
    if inputs.text(spec["name"], "name") in OWN_ROLES:
        raise InputError("name", f"{spec['name']!r}: a role of Superset itself: choose another")
    items = inputs.texts(spec["permissions"], "permissions", empty=True)
    if not inputs.is_unknown(items):
        for at, item in enumerate(items):
            _check(item, f"permissions[{at}]")
        items = sorted(set(items))
    return objects.with_force({**spec, "permissions": items})


def natural_key(spec: Props) -> str:
    return str(spec["name"])


def create(client: SupersetClient, spec: Props) -> Live:
    numbers = _numbers(client, spec)  # first: a wrong permission must not leave a role behind
    return objects.create_named(
        client,
        PATH,
        _key(spec["name"]),
        spec,
        {"name": spec["name"]},
        lambda number: _grant(client, number, numbers),
    )


def read(client: SupersetClient, id_: str, known: Props) -> Live | None:
    number = client.number_named(PATH, *_key(id_))
    answer = None if number is None else client.send("GET", f"/{PATH}/{number}/permissions/")
    if answer is None:
        return None
    found: Props = {
        "name": id_,
        "permissions": sorted(
            f"{grant['permission_name']}{ON}{grant['view_menu_name']}"
            for grant in answer["result"]
        ),
    }
    if "forceDelete" in known:
        found["forceDelete"] = known["forceDelete"]
    return Live(id=id_, inputs=found)


def update(client: SupersetClient, id_: str, old: Props, spec: Props) -> Live:
    number = objects.number_to_update(client, PATH, _key(id_))
    _grant(client, number, _numbers(client, spec))
    return Live(id=id_, inputs=spec)


def delete(client: SupersetClient, id_: str, known: Props) -> None:
    """Refuses as long as a rule names it: without its role, the rule would filter nothing."""
    number = client.number_named(PATH, *_key(id_))
    if number is None:
        return
    rules = client.listing("rowlevelsecurity", ("roles", "rel_m_m", number), "name")
    objects.refuse_if_used(
        "name", "row-level security still names the role", (r["name"] for r in rules), known
    )
    client.send("DELETE", f"/{PATH}/{number}")


def _key(name: str) -> tuple[str, str]:
    return "name", name


def _check(item: str, at: str) -> None:
    if UNKNOWN in item:
        return
    permission, on, resource = item.partition(ON)
    if not (permission and on and resource):
        raise InputError(at, f"{item!r}: expected `permission on resource`")
    if "(id:" in resource:
        raise InputError(
            at,
            f"{item!r}: the number changes when the object is made anew: expected schema_access "
            "on [database].[schema]",
        )


def _numbers(client: SupersetClient, spec: Props) -> list[int]:
    """The ids of the permissions. Raises InputError for those that Superset does not have."""
    numbers: list[int] = []
    grants: dict[str, dict[str, int]] = {}  # resource -> permission -> id
    for item in spec["permissions"]:
        permission, _, resource = item.partition(ON)
        if resource not in grants:
            grants[resource] = _grants_of(client, resource)
        if permission not in grants[resource]:
            valid = ", ".join(sorted(grants[resource])) or "none: is there such a resource yet?"
            raise InputError("permissions", f"{item!r}: permissions on it are {valid}")
        numbers.append(grants[resource][permission])
    return numbers


def _grants_of(client: SupersetClient, resource: str) -> dict[str, int]:
    number = client.number_named(RESOURCES, "name", resource)
    if number is None:
        return {}
    grants = client.listing(GRANTS, ("view_menu", "rel_o_m", number))
    return {grant["permission"]["name"]: int(grant["id"]) for grant in grants}


def _grant(client: SupersetClient, number: int, permissions: list[int]) -> None:
    """Replaces the whole set."""
    body = {"permission_view_menu_ids": permissions}
    if client.send("POST", f"/{PATH}/{number}/permissions", body) is None:
        raise LookupError(f"role {number} went away during the change")
