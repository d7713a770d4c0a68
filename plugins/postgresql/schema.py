"""Schema. id: `<database>.<name>` as created; a later name is in the inputs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamic_providers.handler import InputError, Live, Props
from plugins.kind import Fields, Kind, same_keys

if TYPE_CHECKING:
    from plugins.postgresql.client import PostgresClient

CHOSEN = frozenset({"database", "owner"})
LIVE = "SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = %(name)s"


class Schema(Kind):
    KIND = "postgresql/Schema"
    REPLACE_ON = frozenset({"database"})
    COMPUTED = CHOSEN
    STABLE = CHOSEN
    NAME = "name"

    def normalize(self, raw: Mapping[str, Any]) -> Props:
        fields = Fields(raw)
        fields.text("name", required=True)
        fields.text("database")
        fields.text("owner")
        fields.flag("ifNotExists", True)
        fields.flag("dropCascade", False)
        return fields.done()

    def natural_key(self, spec: Props) -> str:
        return f"{spec.get('database', '')}.{spec['name']}"

    def create(self, client: "PostgresClient", spec: Props) -> Live:
        database, name = spec.get("database", client.database), spec["name"]
        with client.session(database) as session:
            # Without IF NOT EXISTS a schema that an interrupted run left could not be adopted.
            session.run("CREATE SCHEMA IF NOT EXISTS {}", name)
        return self.update(client, f"{database}.{name}", spec, spec)

    def read(self, client: "PostgresClient", id_: str, known: Props) -> Live | None:
        database, name = _place(id_, known)
        if not client.has_database(database):
            return None
        with client.session(database) as session:
            live = session.row(LIVE, {"name": name})
        if live is None:
            return None
        outputs = {"database": database, "owner": live["owner"]}
        ours = {
            "ifNotExists": known.get("ifNotExists", True),
            "dropCascade": known.get("dropCascade", False),
        }
        inputs = same_keys(outputs | ours | {"name": name}, known, CHOSEN)
        return Live(id=id_, inputs=inputs, outputs=outputs)

    def update(self, client: "PostgresClient", id_: str, old: Props, spec: Props) -> Live:
        database, name = _place(id_, spec)
        with client.session(database) as session:
            if old["name"] != name:
                session.run("ALTER SCHEMA {} RENAME TO {}", old["name"], name)
            live = session.row(LIVE, {"name": name})
            if live is not None and spec.get("owner", live["owner"]) != live["owner"]:
                session.run("ALTER SCHEMA {} OWNER TO {}", name, spec["owner"])
        brought = self.read(client, id_, spec)
        if brought is None:
            raise LookupError(f"schema {id_!r} is gone: run pulumi refresh, then up")
        return brought

    def delete(self, client: "PostgresClient", id_: str, known: Props) -> None:
        database, name = _place(id_, known)
        if client.has_database(database):
            cascade = " CASCADE" if known.get("dropCascade") else ""
            with client.session(database) as session:
                session.run(f"DROP SCHEMA IF EXISTS {{}}{cascade}", name)


def _place(id_: str, known: Props) -> tuple[str, str]:
    database, dot, name = id_.partition(".")
    if not dot and not {"database", "name"} <= known.keys():
        raise InputError("id", f"{id_!r}: expected <database>.<schema>")
    return known.get("database", database), known.get("name", name)
