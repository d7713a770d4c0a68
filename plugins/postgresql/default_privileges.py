"""Privileges that a role gets on objects which another role creates from now on.

id: `<role>/<database>/<schema>/<owner>/<object type>`, also the form to import; the schema is
empty when the rule holds for all of them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import UNKNOWN, InputError, Live, Props
from plugins.kind import Fields, Kind
from plugins.postgresql import privileges as known_privileges
from plugins.postgresql.privileges import GRANTEE, PUBLIC

if TYPE_CHECKING:
    from plugins.postgresql.client import PostgresClient, Session

CODES = {"table": "r", "sequence": "S", "function": "f", "type": "T", "schema": "n"}
ID_FORM = "<role>/<database>/<schema>/<owner>/<object type>"
HELD = f"""
SELECT current_setting('server_version_num')::int AS version,
    {GRANTEE} IS NOT NULL AND to_regrole(quote_ident(%(owner)s)) IS NOT NULL
    AND (%(schema)s = '' OR to_regnamespace(quote_ident(%(schema)s)) IS NOT NULL) AS possible,
    ARRAY(SELECT privilege_type FROM pg_default_acl, aclexplode(defaclacl)
        WHERE defaclrole = to_regrole(quote_ident(%(owner)s)) AND defaclobjtype = %(code)s
        AND defaclnamespace = CASE WHEN %(schema)s = '' THEN 0
            ELSE to_regnamespace(quote_ident(%(schema)s))::oid END
        AND grantee = {GRANTEE} AND (is_grantable OR NOT %(grantable)s)) AS held
"""  # noqa: S608  constants alone, values are parameters


class DefaultPrivileges(Kind):
    KIND = "postgresql/DefaultPrivileges"
    REPLACE_ON = frozenset(
        {"role", "database", "schema", "owner", "objectType", "withGrantOption"}
    )

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        for name in ("role", "database", "owner"):
            fields.text(name, required=True)
        kind = fields.text("objectType", required=True, among=CODES)
        schema = fields.text("schema")
        wanted = fields.names("privileges", required=True, fold=known_privileges.fold)
        fields.flag("withGrantOption", False)
        if kind == "schema" and schema:
            raise InputError("schema", f"{schema!r}: schemas are in no schema: leave it out")
        if UNKNOWN not in (kind, wanted):
            known_privileges.check(kind, wanted, UNKNOWN)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return known_privileges.grant_id(
            spec["role"],
            spec["database"],
            spec.get("schema", ""),
            spec["owner"],
            spec["objectType"],
        )

    def create(self, client: "PostgresClient", spec: Props) -> Live:
        return self.update(client, self.natural_key(spec), {}, spec)

    def read(self, client: "PostgresClient", id_: str, known: Props) -> Live | None:
        spec = known or _spec(id_)
        if not client.has_database(spec["database"]):
            return None
        with client.session(spec["database"]) as session:
            live = _live(session, spec)
        if not live["possible"]:
            return None
        wanted = known_privileges.shown(
            set(live["held"]), spec.get("privileges", []), spec["objectType"], live["version"]
        )
        if not wanted and known.get("privileges") != []:
            return None
        return Live(id=id_, inputs=self.normalize(spec | {"privileges": wanted}))

    def update(self, client: "PostgresClient", id_: str, old: Props, spec: Props) -> Live:
        self._bring(client, spec, spec["privileges"])
        return Live(id=id_, inputs=spec)

    def delete(self, client: "PostgresClient", id_: str, known: Props) -> None:
        spec = known or _spec(id_)
        if not client.has_database(spec["database"]):
            return
        with client.session(spec["database"]) as session:
            possible = _live(session, spec)["possible"]
        if possible:
            self._bring(client, spec, [])

    def _bring(self, client: "PostgresClient", spec: Props, privileges: list[str]) -> None:
        from psycopg import sql

        role: Any = sql.SQL("PUBLIC") if spec["role"] == PUBLIC else spec["role"]
        kind = sql.SQL(f"{spec['objectType'].upper()}S")
        rule = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}").format(
            sql.Identifier(spec["owner"])
        )
        if schema := spec.get("schema"):
            rule += sql.SQL(" IN SCHEMA {}").format(sql.Identifier(schema))
        with client.session(spec["database"]) as session, session.privileges():
            session.run("{} REVOKE ALL ON {} FROM {}", rule, kind, role)
            if privileges:
                words = sql.SQL(", ").join(sql.SQL(p) for p in privileges)
                option = " WITH GRANT OPTION" if spec["withGrantOption"] else ""
                session.run(f"{{}} GRANT {{}} ON {{}} TO {{}}{option}", rule, words, kind, role)


def _spec(id_: str) -> Props:
    role, database, schema, owner, kind = known_privileges.id_parts(id_, ID_FORM)
    if kind not in CODES:
        raise InputError("id", f"{id_!r}: expected an object type of {', '.join(CODES)}")
    spec: Props = {"role": role, "database": database, "owner": owner, "objectType": kind}
    return spec | ({"schema": schema} if schema else {})


def _live(session: "Session", spec: Props) -> dict[str, Any]:
    values = {
        "role": spec["role"],
        "owner": spec["owner"],
        "schema": spec.get("schema", ""),
        "code": CODES[spec["objectType"]],
        "grantable": spec.get("withGrantOption", False),
    }
    found = session.row(HELD, values)
    if found is None:
        raise LookupError("the server gave no answer")
    return found
