"""Names of privileges, and ids of grants.

https://www.postgresql.org/docs/17/ddl-priv.html
"""

from collections.abc import Mapping
from urllib.parse import quote, unquote

from dynamic_providers.handler import InputError

ALL = "ALL"
PUBLIC = "public"  # every role
# MAINTAIN exists since PostgreSQL 17.
OF: Mapping[str, tuple[str, ...]] = {
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
    "schema": ("CREATE", "USAGE"),
    "table": (
        "DELETE", "INSERT", "MAINTAIN", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"
    ),
    "sequence": ("SELECT", "UPDATE", "USAGE"),
    "function": ("EXECUTE",),
    "type": ("USAGE",),
}  # fmt: skip
MAINTAIN_SINCE = 170000  # server_version_num
GRANTEE = "CASE WHEN %(role)s = 'public' THEN 0 ELSE to_regrole(quote_ident(%(role)s))::oid END"


def fold(privilege: str) -> str:
    upper = privilege.upper()
    return {"TEMP": "TEMPORARY", "ALL PRIVILEGES": ALL}.get(upper, upper)


def check(kind: str, privileges: list[str], unknown: str) -> None:
    """Raises InputError for a privilege that objects of `kind` do not have."""
    valid = (ALL, *OF[kind])
    for privilege in privileges:
        if privilege not in valid and privilege != unknown:
            raise InputError(
                "privileges", f"{privilege!r}: expected one of {', '.join(valid)} for a {kind}"
            )


def shown(held: set[str], known: list[str], kind: str, version: int) -> list[str]:
    """`held` as the program would write it: ALL stays ALL while it is true."""
    every = {p for p in OF[kind] if p != "MAINTAIN" or version >= MAINTAIN_SINCE}
    return [ALL] if known == [ALL] and held >= every else sorted(held)


def grant_id(*parts: str) -> str:
    return "/".join(quote(part, safe=",") for part in parts)


def id_parts(id_: str, form: str) -> list[str]:
    parts = [unquote(part) for part in id_.split("/")]
    if len(parts) != len(form.split("/")):
        raise InputError("id", f"{id_!r}: expected {form}")
    return parts
