"""Dremio grants: what roles and users may do with one catalog object. Enterprise edition.

One resource per object. It manages the grantees that it names, and leaves those of others as
they are: Dremio replaces the whole set at each change, so the others are sent back with it.
https://docs.dremio.com/current/reference/api/catalog/grants/
"""

from collections.abc import Mapping
from typing import Any, Final

from dynamic_providers import inputs
from dynamic_providers.dremio import catalog, edition
from dynamic_providers.dremio.client import DremioClient, entity
from dynamic_providers.handler import InputError, Live, Props
from dynamic_providers.waiting import WorkFailedError

KIND: Final = "dremio/Grant"
REPLACE_ON = frozenset({"path"})
SECRETS: frozenset[str] = frozenset()
COMPUTED: frozenset[str] = frozenset()

TRIES = 2  # another writer in between is overtaken once
_KEYS = ("granteeType", "name", "privileges")


def normalize(raw: Mapping[str, Any]) -> Props:
    spec = inputs.known_keys(raw, ("path", "grants"))
    spec["path"] = catalog.path(spec["path"], "path", least=1)
    grants = inputs.listing(spec["grants"], "grants")
    if inputs.is_unknown(grants):
        return {**spec, "grants": grants}
    found = [_grant(item, f"grants[{at}]") for at, item in enumerate(grants)]
    keys = [_grantee(grant) for grant in found if not inputs.is_unknown(grant)]
    for key in keys:
        if keys.count(key) > 1 and not any(inputs.is_unknown(part) for part in key):
            raise InputError("grants", f"{key[0]} {key[1]!r} is listed twice")
    return {**spec, "grants": sorted(found, key=_order)}


def natural_key(spec: Props) -> str:
    return catalog.dotted(spec["path"])


def create(client: DremioClient, spec: Props) -> Live:
    _bring_to(client, spec["path"], [], spec["grants"])
    return Live(id=natural_key(spec), inputs=spec)


def read(client: DremioClient, id_: str, known: Props) -> Live | None:
    path = catalog.parts_of(id_)
    live = client.by_path(path)
    if live is None:
        return None
    found = [_shown(grant) for grant in _granted(client, live["id"])]
    if known:
        ours = {_grantee(grant) for grant in known["grants"]}
        found = [grant for grant in found if _grantee(grant) in ours]
    if not found:
        return None
    return Live(id=id_, inputs=normalize({"path": path, "grants": found}))


def update(client: DremioClient, id_: str, old: Props, spec: Props) -> Live:
    if client.by_path(spec["path"]) is None:
        raise LookupError(f"{id_} is gone")
    if read(client, id_, old) is None:
        raise LookupError(f"the grants on {id_} are gone")
    _bring_to(client, spec["path"], old["grants"], spec["grants"])
    return Live(id=id_, inputs=spec)


def delete(client: DremioClient, id_: str, known: Props) -> None:
    """Revokes what our grantees have; those of others keep theirs."""
    if client.by_path(catalog.parts_of(id_)) is None:
        return
    try:
        _bring_to(client, catalog.parts_of(id_), known["grants"], [])
    except edition.EditionError:
        return  # nothing can be granted there, so nothing is left


def _bring_to(
    client: DremioClient, path: list[str], old: list[Props], grants: list[Props]
) -> None:
    """Our grantees have exactly `grants` afterwards. Raises WorkFailedError if they do not:
    a grant that is not in force must not look as if it were."""
    live = client.by_path(path)
    if live is None:
        raise InputError("path", f"{catalog.dotted(path)}: no such catalog object")
    ours = {_grantee(grant) for grant in (*old, *grants)}
    wanted = [_sent(client, grant, f"grants[{at}]") for at, grant in enumerate(grants)]
    url = f"{entity(live['id'])}/grants"
    for _ in range(TRIES):
        with client.grants_lock:
            before = _granted(client, live["id"])
            foreign = [_kept(grant) for grant in before if _grantee(grant) not in ours]
            if wanted or len(foreign) != len(before):
                edition.asked(client, "PUT", url, {"grants": [*foreign, *wanted]})
        after = [_shown(grant) for grant in _granted(client, live["id"])]
        if sorted((g for g in after if _grantee(g) in ours), key=_order) == grants:
            return
    raise WorkFailedError(f"the server does not keep the grants on {catalog.dotted(path)}")


def _granted(client: DremioClient, id_: str) -> list[Props]:
    return list(edition.asked(client, "GET", f"{entity(id_)}/grants").get("grants") or [])


def _sent(client: DremioClient, grant: Props, at: str) -> Props:
    found = edition.member(client, grant["granteeType"], grant["name"], f"{at}.name")
    return {**grant, "id": found["id"]}


def _kept(grant: Props) -> Props:
    """A grant of another's as a PUT takes it."""
    return {key: grant[key] for key in (*_KEYS, "id") if key in grant}


def _shown(grant: Props) -> Props:
    return {
        "granteeType": grant["granteeType"],
        "name": grant["name"],
        "privileges": sorted(grant["privileges"]),
    }


def _grant(item: Any, at: str) -> Any:
    if inputs.is_unknown(inputs.mapping(item, at)):
        return item
    found = inputs.known_keys(item, _KEYS, at=at)
    inputs.one_of(found["granteeType"], edition.GRANTEES, f"{at}.granteeType")
    inputs.text(found["name"], f"{at}.name")
    privileges = inputs.texts(found["privileges"], f"{at}.privileges")
    if not inputs.is_unknown(privileges):
        # SQL writes CREATE TABLE, the REST API CREATE_TABLE.
        privileges = sorted({_spelling(privilege) for privilege in privileges})
    return {**found, "privileges": privileges}


def _spelling(privilege: str) -> str:
    if inputs.is_unknown(privilege):
        return privilege
    return "_".join(privilege.upper().split())


def _grantee(grant: Props) -> tuple[str, str]:
    return grant["granteeType"], grant["name"]


def _order(grant: Any) -> tuple[str, str]:
    return _grantee(grant) if isinstance(grant, dict) else ("", str(grant))
