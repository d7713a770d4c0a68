"""Role. id: the name that it was created with; a later name is in the inputs."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind
from plugins.postgresql.password import matches

if TYPE_CHECKING:
    from plugins.postgresql.client import PostgresClient, Session

# input -> (column of pg_roles, option of ALTER ROLE, default)
FLAGS: Mapping[str, tuple[str, str, bool]] = {
    "superuser": ("rolsuper", "SUPERUSER", False),
    "createDatabase": ("rolcreatedb", "CREATEDB", False),
    "createRole": ("rolcreaterole", "CREATEROLE", False),
    "inherit": ("rolinherit", "INHERIT", True),
    "login": ("rolcanlogin", "LOGIN", False),
    "replication": ("rolreplication", "REPLICATION", False),
    "bypassRowLevelSecurity": ("rolbypassrls", "BYPASSRLS", False),
}
# input -> run-time setting, milliseconds
TIMEOUTS = {
    "statementTimeout": "statement_timeout",
    "idleInTransactionSessionTimeout": "idle_in_transaction_session_timeout",
}
OURS = {"skipDropRole": False, "skipReassignOwned": False, "encryptedPassword": True}
FOREVER = "infinity"
LIVE = """
SELECT r.*, CASE WHEN rolvaliduntil IS NULL OR NOT isfinite(rolvaliduntil) THEN 'infinity'
    ELSE to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') END AS until,
    ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members
          WHERE member = r.oid ORDER BY 1) AS memberships
FROM pg_roles r WHERE rolname = %(name)s
"""
VERIFIER = "SELECT rolpassword FROM pg_authid WHERE rolname = %(name)s"
READABLE = "SELECT has_table_privilege('pg_authid', 'SELECT') AS yes"
OWNED_IN = """
SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database d ON d.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND refobjid = to_regrole(quote_ident(%(name)s))::oid
    AND datallowconn
"""


class Role(Kind):
    KIND = "postgresql/Role"
    SECRETS = frozenset({"password"})
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.secret("password")
        for name, (_, _, default) in FLAGS.items():
            fields.flag(name, default)
        for name, default in OURS.items():
            fields.flag(name, default)
        fields.integer("connectionLimit", -1, least=-1)
        fields.names("roles", [])
        fields.names("searchPaths", [], ordered=True)
        for name in TIMEOUTS:
            fields.integer(name, 0)
        fields.text("assumeRole")
        fields.field("validUntil", _until, FOREVER, False)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "PostgresClient", spec: Props) -> Live:
        with client.session() as session:
            if session.row(LIVE, {"name": spec["name"]}) is None:
                session.run("CREATE ROLE {}", spec["name"])
        return self.update(client, spec["name"], {"name": spec["name"]}, spec)

    def read(self, client: "PostgresClient", id_: str, known: Props) -> Live | None:
        name = known.get("name", id_)
        with client.session() as session:
            live = session.row(LIVE, {"name": name})
            if live is None:
                return None
            inputs = _inputs(live) | {key: known.get(key, value) for key, value in OURS.items()}
            # A password that was changed by hand is left out: the next up sets it again.
            if "password" in known and _holds(session, name, known["password"]):
                inputs["password"] = known["password"]
        return Live(id=id_, inputs=inputs)

    def update(self, client: "PostgresClient", id_: str, old: Props, spec: Props) -> Live:
        with client.session() as session, session.transaction():
            if old["name"] != spec["name"]:
                session.run("ALTER ROLE {} RENAME TO {}", old["name"], spec["name"])
            live = session.row(LIVE, {"name": spec["name"]})
            if live is None:
                raise LookupError(f"role {spec['name']!r} is gone: run pulumi refresh, then up")
            _alter(session, _inputs(live), old, spec)
        return Live(id=id_, inputs=spec)

    def delete(self, client: "PostgresClient", id_: str, known: Props) -> None:
        name = known.get("name", id_)
        if known.get("skipDropRole"):
            return
        with client.session() as session:
            if session.row(LIVE, {"name": name}) is None:
                return
            databases = [row["datname"] for row in session.rows(OWNED_IN, {"name": name})]
        if not known.get("skipReassignOwned"):
            for database in {*databases, client.database}:
                with client.session(database) as session, session.privileges():
                    session.run("REASSIGN OWNED BY {} TO CURRENT_USER", name)
                    session.run("DROP OWNED BY {}", name)
        with client.session() as session:
            session.run("DROP ROLE IF EXISTS {}", name)


def _until(value: Any, at: str) -> str:
    if value == FOREVER:
        return FOREVER
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InputError(
            at, f"{value!r}: expected '{FOREVER}' or a time like '2030-01-31T00:00:00Z'"
        ) from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _inputs(live: Props) -> Props:
    settings = dict(item.split("=", 1) for item in live["rolconfig"] or [])
    inputs = {
        "name": live["rolname"],
        "connectionLimit": live["rolconnlimit"],
        "roles": sorted(live["memberships"]),
        "searchPaths": _paths(settings.get("search_path", "")),
        "validUntil": live["until"],
    }
    inputs |= {name: live[column] for name, (column, _, _) in FLAGS.items()}
    inputs |= {name: _milliseconds(settings.get(key, "0")) for name, key in TIMEOUTS.items()}
    if "role" in settings:
        inputs["assumeRole"] = settings["role"]
    return inputs


def _paths(text: str) -> list[str]:
    quoted = re.findall(r'"((?:[^"]|"")*)"|([^",\s]+)', text)
    return [first.replace('""', '"') or second for first, second in quoted]


def _milliseconds(text: str) -> int:
    units = {"": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    parts = re.fullmatch(r"(\d+)\s*([a-z]*)", text)
    return int(parts[1]) * units[parts[2]] if parts else 0


def _holds(session: "Session", name: str, password: str) -> bool:
    readable = session.row(READABLE)
    if password == UNKNOWN or readable is None or not readable["yes"]:
        return True
    found = session.row(VERIFIER, {"name": name})
    return found is not None and matches(found["rolpassword"], password, name)


def _alter(session: "Session", live: Props, old: Props, spec: Props) -> None:
    from psycopg import sql

    name = spec["name"]
    options: list[sql.Composable] = [
        sql.SQL(option if spec[flag] else f"NO{option}")
        for flag, (_, option, _) in FLAGS.items()
        if spec[flag] != live[flag]
    ]
    if spec["connectionLimit"] != live["connectionLimit"]:
        limit = sql.Literal(spec["connectionLimit"])
        options.append(sql.SQL("CONNECTION LIMIT {}").format(limit))
    if spec["validUntil"] != live["validUntil"]:
        options.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(spec["validUntil"])))
    if spec.get("password") != old.get("password"):
        password = spec.get("password")
        verifier = session.verifier(password, name) if password else None
        options.append(sql.SQL("PASSWORD {}").format(sql.Literal(verifier)))
    if options:
        session.run("ALTER ROLE {} WITH {}", name, sql.SQL(" ").join(options))
    for role in sorted(set(live["roles"]) - set(spec["roles"])):
        session.run("REVOKE {} FROM {}", role, name)
    for role in sorted(set(spec["roles"]) - set(live["roles"])):
        session.run("GRANT {} TO {}", role, name)
    _set(session, name, "search_path", live["searchPaths"], spec["searchPaths"])
    _set(session, name, "role", live.get("assumeRole"), spec.get("assumeRole"))
    for field, setting in TIMEOUTS.items():
        _set(session, name, setting, live[field], spec[field])


def _set(session: "Session", role: str, setting: str, live: Any, wanted: Any) -> None:
    from psycopg import sql

    if live == wanted:
        return
    if not wanted:
        session.run("ALTER ROLE {} RESET {}", role, setting)
    else:
        value = sql.Literal(wanted) if isinstance(wanted, int) else wanted
        session.run("ALTER ROLE {} SET {} TO {}", role, setting, value)
