"""Database. id: the name that it was created with; a later name is in the inputs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind, same_keys

if TYPE_CHECKING:
    from plugins.postgresql.client import PostgresClient, Session

FIXED = {"encoding": "UTF8", "lcCollate": "C", "lcCtype": "C"}  # the official plugin's choice
TEMPLATE = "template0"  # another might hold data that does not fit the encoding
CHOSEN = frozenset({*FIXED, "template", "owner", "tablespaceName", "isTemplate"})
LIVE = """
SELECT pg_get_userbyid(datdba) AS "owner", pg_encoding_to_char(encoding) AS "encoding",
    datcollate AS "lcCollate", datctype AS "lcCtype", spcname AS "tablespaceName",
    datconnlimit AS "connectionLimit", datallowconn AS "allowConnections",
    datistemplate AS "isTemplate"
FROM pg_database JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = %(name)s
"""


class Database(Kind):
    KIND = "postgresql/Database"
    REPLACE_ON = frozenset({*FIXED, "template"})
    COMPUTED = CHOSEN
    STABLE = CHOSEN
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        for chosen in ("owner", "template", *FIXED, "tablespaceName"):
            fields.text(chosen)
        fields.integer("connectionLimit", -1, least=-1)
        fields.flag("allowConnections", True)
        fields.flag("isTemplate", None)
        fields.flag("alterObjectOwnership", False)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return str(spec["name"])

    def create(self, client: "PostgresClient", spec: Props) -> Live:
        name = spec["name"]
        live = self.read(client, name, {})
        if live is None:
            self._create(client, spec)
        else:
            _refuse_other(name, live.inputs, spec)
        return self.update(client, name, spec, spec)

    def _create(self, client: "PostgresClient", spec: Props) -> None:
        from psycopg import sql

        options = [
            sql.SQL("ENCODING {}").format(sql.Literal(spec.get("encoding", FIXED["encoding"]))),
            sql.SQL("LC_COLLATE {}").format(
                sql.Literal(spec.get("lcCollate", FIXED["lcCollate"]))
            ),
            sql.SQL("LC_CTYPE {}").format(sql.Literal(spec.get("lcCtype", FIXED["lcCtype"]))),
            sql.SQL("TEMPLATE {}").format(sql.Identifier(spec.get("template", TEMPLATE))),
        ]
        if "owner" in spec:
            options.append(sql.SQL("OWNER {}").format(sql.Identifier(spec["owner"])))
        if "tablespaceName" in spec:
            options.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(spec["tablespaceName"])))
        with client.session() as session:
            session.run("CREATE DATABASE {} {}", spec["name"], sql.SQL(" ").join(options))

    def read(self, client: "PostgresClient", id_: str, known: Props) -> Live | None:
        name = known.get("name", id_)
        with client.session() as session:
            live = session.row(LIVE, {"name": name})
        if live is None:
            return None
        outputs = live | {"template": known.get("template", TEMPLATE)}  # the server forgets it
        inputs = outputs | {
            "name": name,
            "alterObjectOwnership": known.get("alterObjectOwnership", False),
        }
        return Live(id=id_, inputs=same_keys(inputs, known, CHOSEN), outputs=outputs)

    def update(self, client: "PostgresClient", id_: str, old: Props, spec: Props) -> Live:
        name = spec["name"]
        with client.session() as session:
            if old["name"] != name:
                session.run("ALTER DATABASE {} RENAME TO {}", old["name"], name)
            live = session.row(LIVE, {"name": name})
            if live is None:
                raise LookupError(f"database {name!r} is gone: run pulumi refresh, then up")
            _alter(session, name, live, spec)
        owner = spec.get("owner", live["owner"])
        if spec["alterObjectOwnership"] and live["owner"] != owner:
            with client.session(name) as session:
                session.run("REASSIGN OWNED BY {} TO {}", live["owner"], owner)
        brought = self.read(client, id_, spec)
        if brought is None:
            raise LookupError(f"database {name!r} is gone: run pulumi refresh, then up")
        return brought

    def delete(self, client: "PostgresClient", id_: str, known: Props) -> None:
        name = known.get("name", id_)
        with client.session() as session:
            if known.get("isTemplate") and session.row(LIVE, {"name": name}):
                session.run("ALTER DATABASE {} IS_TEMPLATE false", name)
            session.run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _refuse_other(name: str, live: Props, spec: Props) -> None:
    for field in FIXED:
        if field in spec and spec[field] != live[field]:
            raise InputError(
                field,
                f"{spec[field]!r}: database {name!r} exists with {live[field]!r}, which cannot "
                "be changed: choose another name, or set the live value",
            )


def _alter(session: "Session", name: str, live: Props, spec: Props) -> None:
    from psycopg import sql

    if "owner" in spec and spec["owner"] != live["owner"]:
        session.run("ALTER DATABASE {} OWNER TO {}", name, spec["owner"])
    if "tablespaceName" in spec and spec["tablespaceName"] != live["tablespaceName"]:
        session.run("ALTER DATABASE {} SET TABLESPACE {}", name, spec["tablespaceName"])
    for field, option in (
        ("connectionLimit", "CONNECTION LIMIT"),
        ("allowConnections", "ALLOW_CONNECTIONS"),
        ("isTemplate", "IS_TEMPLATE"),
    ):
        if field in spec and spec[field] != live[field]:
            value = sql.Literal(spec[field])
            session.run(f"ALTER DATABASE {{}} WITH {option} {{}}", name, value)
