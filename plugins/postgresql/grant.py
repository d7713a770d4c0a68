"""Privileges of a role on a database, a schema, or tables or sequences of a schema.

id: `<role>/<database>/<schema>/<object type>/<object>,...`, also the form to import.
No objects means every one that the schema holds.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind
from plugins.postgresql import privileges as known_privileges
from plugins.postgresql.privileges import GRANTEE, PUBLIC

if TYPE_CHECKING:
    from psycopg import sql

    from plugins.postgresql.client import PostgresClient, Session

KINDS = ("database", "schema", "table", "sequence")
ID_FORM = "<role>/<database>/<schema>/<object type>/<objects>"
HELD = f"""
SELECT object, ARRAY(SELECT privilege_type FROM aclexplode(acl)
    WHERE grantee = {GRANTEE} AND (is_grantable OR NOT %(grantable)s)) AS held
FROM ({{objects}}) AS objects
"""  # noqa: S608  constants alone, values are parameters
OBJECTS = {
    "database": "SELECT datname AS object, coalesce(datacl, acldefault('d', datdba)) AS acl "
    "FROM pg_database WHERE datname = %(database)s",
    "schema": "SELECT nspname AS object, coalesce(nspacl, acldefault('n', nspowner)) AS acl "
    "FROM pg_namespace WHERE nspname = %(schema)s",
    "table": "SELECT relname AS object, coalesce(relacl, acldefault('r', relowner)) AS acl "
    "FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) "
    "AND relkind IN ('r', 'p', 'v', 'm', 'f')",
    "sequence": "SELECT relname AS object, coalesce(relacl, acldefault('s', relowner)) AS acl "
    "FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) "
    "AND relkind = 'S'",
}
EXISTS = f"""
SELECT current_setting('server_version_num')::int AS version, {GRANTEE} IS NOT NULL
    AND (%(schema)s = '' OR to_regnamespace(quote_ident(%(schema)s)) IS NOT NULL) AS yes
"""


class Grant(Kind):
    KIND = "postgresql/Grant"
    REPLACE_ON = frozenset(
        {"role", "database", "schema", "objectType", "objects", "withGrantOption"}
    )

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("role", required=True)
        fields.text("database", required=True)
        kind = fields.text("objectType", required=True, among=KINDS)
        schema = fields.text("schema")
        objects = fields.names("objects", [])
        wanted = fields.names("privileges", required=True, fold=known_privileges.fold)
        fields.flag("withGrantOption", False)
        if kind == UNKNOWN:
            return fields.done()
        if kind != "database" and not schema:
            raise InputError("schema", f"is missing: a grant on a {kind} needs it")
        if kind in ("database", "schema") and objects:
            raise InputError("objects", f"{objects!r}: a grant on a {kind} takes none")
        if wanted != UNKNOWN:
            known_privileges.check(kind, wanted, UNKNOWN)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return known_privileges.grant_id(
            spec["role"],
            spec["database"],
            spec.get("schema", ""),
            spec["objectType"],
            ",".join(spec["objects"]),
        )

    def create(self, client: "PostgresClient", spec: Props) -> Live:
        id_ = self.natural_key(spec)
        return self.update(client, id_, {}, spec)

    def read(self, client: "PostgresClient", id_: str, known: Props) -> Live | None:
        spec = known or _spec(id_)
        if not client.has_database(spec["database"]):
            return None
        with client.session(spec["database"]) as session:
            server = session.row(EXISTS, {"role": spec["role"], "schema": spec.get("schema", "")})
            if server is None or not server["yes"]:
                return None
            held = _held(session, spec)
        wanted = spec.get("privileges", [])
        if not any(held) and (held or not wanted) and known.get("privileges") != []:
            return None
        if held:
            everywhere = set.intersection(*held)
            wanted = known_privileges.shown(
                everywhere, wanted, spec["objectType"], server["version"]
            )
        return Live(id=id_, inputs=self.normalize(spec | {"privileges": wanted}))

    def update(self, client: "PostgresClient", id_: str, old: Props, spec: Props) -> Live:
        from psycopg import sql

        role = _role(spec["role"])
        with client.session(spec["database"]) as session, session.privileges():
            target = _target(spec)
            session.run("REVOKE ALL PRIVILEGES ON {} FROM {}", target, role)
            if spec["privileges"]:
                words = sql.SQL(", ").join(sql.SQL(p) for p in spec["privileges"])
                option = " WITH GRANT OPTION" if spec["withGrantOption"] else ""
                session.run(f"GRANT {{}} ON {{}} TO {{}}{option}", words, target, role)
        return Live(id=id_, inputs=spec)

    def delete(self, client: "PostgresClient", id_: str, known: Props) -> None:
        spec = known or _spec(id_)
        if not client.has_database(spec["database"]):
            return
        with client.session(spec["database"]) as session, session.privileges():
            there = session.row(EXISTS, {"role": spec["role"], "schema": spec.get("schema", "")})
            if not there or not there["yes"]:
                return
            # An object that was dropped by hand took its privileges with it.
            left = [name for name in spec["objects"] if name in _named(session, spec)]
            if left or not spec["objects"]:
                target = _target(spec | {"objects": left})
                session.run("REVOKE ALL PRIVILEGES ON {} FROM {}", target, _role(spec["role"]))


def _spec(id_: str) -> Props:
    role, database, schema, kind, objects = known_privileges.id_parts(id_, ID_FORM)
    if kind not in KINDS:
        raise InputError("id", f"{id_!r}: expected an object type of {', '.join(KINDS)}")
    spec: Props = {"role": role, "database": database, "objectType": kind}
    spec["objects"] = [name for name in objects.split(",") if name]
    return spec | ({"schema": schema} if schema else {})


def _query(session: "Session", spec: Props) -> list[dict[str, Any]]:
    values = {
        "role": spec["role"],
        "database": spec["database"],
        "schema": spec.get("schema", ""),
        "grantable": spec.get("withGrantOption", False),
    }
    return session.rows(HELD.format(objects=OBJECTS[spec["objectType"]]), values)


def _named(session: "Session", spec: Props) -> set[str]:
    return {row["object"] for row in _query(session, spec)}


def _held(session: "Session", spec: Props) -> list[set[str]]:
    """What each object grants; an object that the grant names but nobody made grants nothing.
    Empty when the grant is for a whole schema that holds no object yet."""
    live = {row["object"]: set(row["held"]) for row in _query(session, spec)}
    if not spec["objects"]:
        return list(live.values())
    return [live.get(name, set()) for name in spec["objects"]]


def _role(name: str) -> Any:
    from psycopg import sql

    return sql.SQL("PUBLIC") if name == PUBLIC else name


def _target(spec: Props) -> "sql.Composable":
    from psycopg import sql

    kind = spec["objectType"]
    if kind == "database":
        return sql.SQL("DATABASE {}").format(sql.Identifier(spec["database"]))
    if kind == "schema":
        return sql.SQL("SCHEMA {}").format(sql.Identifier(spec["schema"]))
    if not spec["objects"]:
        words = f"ALL {kind.upper()}S IN SCHEMA {{}}"
        return sql.SQL(words).format(sql.Identifier(spec["schema"]))
    names = [sql.Identifier(spec["schema"], name) for name in spec["objects"]]
    return sql.SQL(f"{kind.upper()} {{}}").format(sql.SQL(", ").join(names))
