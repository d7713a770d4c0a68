# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Physical datasets: their storage, metadata and the DuckDB views that stand for them."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from embedded.dremio.catalog import sources
from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.model import SOURCE, TABLE, Column, Entity, Path, dotted
from embedded.dremio.errors import EngineError, Kind, conflict, invalid, not_found, unsupported
from embedded.dremio.sql.types import normal
from embedded.dremio.storage import duck as duckdb_sql
from embedded.dremio.storage.duck import DATASETS, Duck
from embedded.dremio.storage.leases import Leases
from embedded.dremio.storage.s3 import Object, ObjectStore
from embedded.dremio.users import now_ms

PROMOTED, CREATED, EXTERNAL = "promoted", "created", "external"
FORMATS = {"parquet": "Parquet", "json": "JSON"}
_SUFFIXES = {".parquet": "Parquet", ".json": "JSON", ".jsonl": "JSON", ".json.gz": "JSON"}


@dataclass(frozen=True)
class Child:
    """A folder or file of a source's storage."""

    path: Path
    is_folder: bool


class Sources:
    """Live connections of the sources."""

    def __init__(self, catalog: Catalog, duck: Duck) -> None:
        self._catalog = catalog
        self._duck = duck
        self._lock = threading.Lock()
        self._attached: dict[str, str] = {}  # source id -> tag that is attached
        self._stores: dict[str, tuple[str, ObjectStore]] = {}

    def attach(self, source: Entity) -> None:
        """DuckDB can reach the source afterwards. Raises EngineError."""
        with self._lock:
            if self._attached.get(source.id) == source.tag:
                return
            config = source.body["config"]
            if source.body["type"] == "S3":
                self._duck.run(sources.s3_secret_sql(source.id, config))
            else:
                self._drop(source.id, config)
                for statement in sources.postgres_sql(source.id, config):
                    self._duck.run(statement)
            self._attached[source.id] = source.tag

    def detach(self, source: Entity) -> None:
        with self._lock:
            self._drop(source.id, source.body["config"])
            self._attached.pop(source.id, None)

    def _drop(self, id_: str, config: dict[str, Any]) -> None:
        name = sources.secret_name(id_)
        if "databaseName" in config:
            self._duck.run(f"DETACH DATABASE IF EXISTS {name}")
        self._duck.run(f"DROP SECRET IF EXISTS {name}")

    def store(self, source: Entity) -> ObjectStore:
        with self._lock:
            known = self._stores.get(source.id)
            if known is None or known[0] != source.tag:
                known = (source.tag, ObjectStore(sources.connection(source.body["config"])))
                self._stores[source.id] = known
            return known[1]

    def check(self, source: Entity) -> None:
        """Raises EngineError unless the source answers."""
        if source.body["type"] == "S3":
            store = self.store(source)
            if source.body["config"]["rootPath"].strip("/"):
                store.check(sources.locate(source.body["config"], source.path).bucket)
            else:
                store.buckets()
        self.attach(source)

    def check_scope(self, name: str, config: dict[str, Any]) -> None:
        """Raises EngineError: DuckDB tells credentials apart by bucket and prefix only."""
        mine = sources.secret_scope(config)
        for other in self._catalog.all(SOURCE):
            if other.body["type"] != "S3" or other.name.lower() == name.lower():
                continue
            theirs = other.body["config"]
            same = sources.connection(theirs) == sources.connection(config)
            if sources.secret_scope(theirs) == mine and not same:
                raise unsupported(
                    f"rootPath [{config['rootPath']}] is also that of source [{other.name}] with "
                    "another endpoint or key: this engine needs distinct root paths."
                )

    def state(self, source: Entity) -> dict[str, Any]:
        try:
            self.check(source)
        except EngineError as fault:
            return {
                "status": "bad",
                "message": fault.message,
                "messages": [{"level": "ERROR", "message": fault.message}],
            }
        return {"status": "good", "message": "", "messages": []}

    def children(self, source: Entity, path: Path) -> list[Child]:
        """What lies directly under `path` in the storage of the source."""
        if source.body["type"] == "POSTGRES":
            return self._postgres_children(source, path)
        config = source.body["config"]
        if len(path) == 1 and not config["rootPath"].strip("/"):
            allowed = config["whitelistedBuckets"] or []
            names = [b for b in self.store(source).buckets() if not allowed or b in allowed]
            return [Child((*path, name), True) for name in names]
        place = sources.locate(config, path)
        prefix = place.prefix + "/" if place.prefix else ""
        found: list[Child] = []
        for item in self.store(source).list(place.bucket, prefix, recursive=False):
            name = item.key.removeprefix(prefix).rstrip("/")
            if name:
                found.append(Child((*path, name), item.is_folder))
        return found

    def find(self, source: Entity, path: Path) -> Child | None:
        parent = self.children(source, path[:-1]) if len(path) > 1 else []
        return next((child for child in parent if child.path == path), None)

    def _postgres_children(self, source: Entity, path: Path) -> list[Child]:
        self.attach(source)
        catalog = duckdb_sql.literal(sources.secret_name(source.id))
        if len(path) == 1:
            rows = self._duck.run(
                "SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE database_name ="
                f" {catalog} AND schema_name NOT LIKE 'pg\\_%' ESCAPE '\\'"
                " AND schema_name <> 'information_schema' ORDER BY 1"
            )
            return [Child((*path, str(row[0])), True) for row in rows]
        if len(path) > 2:
            return []
        schema = duckdb_sql.literal(path[1])
        rows = self._duck.run(
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_catalog = {catalog} AND table_schema = {schema} ORDER BY 1"
        )
        return [Child((*path, str(row[0])), False) for row in rows]


class Datasets:
    """Finds, promotes, refreshes and reads physical datasets."""

    def __init__(self, catalog: Catalog, duck: Duck, live: Sources, leases: Leases) -> None:
        self._catalog = catalog
        self._duck = duck
        self._sources = live
        self._leases = leases
        self._lock = threading.Lock()  # of the two tables below; never held during I/O
        self._metadata = threading.RLock()  # one metadata read at a time
        self._views: dict[str, str] = {}  # generation -> view
        self._checked: dict[str, int] = {}  # dataset id -> ms of its last metadata check

    # -- finding -----------------------------------------------------------------------------

    def source_of(self, path: Path) -> Entity | None:
        root = self._catalog.root(path)
        return root if root is not None and root.kind == SOURCE else None

    def find(self, path: Path) -> Entity | None:
        """The dataset at `path`; tables of PostgreSQL appear, and folders promote themselves
        where the source says so, on first use."""
        if entity := self._catalog.find(path):
            return entity
        source = self.source_of(path)
        if source is None or len(path) < 2:
            return None
        if source.body["type"] == "POSTGRES":
            return self._adopt(source, path)
        if source.body["metadataPolicy"]["autoPromoteDatasets"]:
            return self.promote_if_data(path)
        return None

    def _adopt(self, source: Entity, path: Path) -> Entity | None:
        if len(path) != 3 or self._sources.find(source, path) is None:
            return None
        with self._metadata:
            if entity := self._catalog.find(path):
                return entity
            raw = self._duck.describe(f"SELECT * FROM {self._postgres_table(source, path)}")
            return self._catalog.add(TABLE, path, _body(EXTERNAL, {}, raw, []))

    @staticmethod
    def _postgres_table(source: Entity, path: Path) -> str:
        parts = (sources.secret_name(source.id), *path[1:])
        return ".".join(duckdb_sql.identifier(part) for part in parts)

    # -- promotion and metadata --------------------------------------------------------------

    def promote(self, path: Path, format_: dict[str, Any], policy: Any = None) -> Entity:
        """Raises EngineError: nothing there, unknown format, promoted already."""
        source = self.source_of(path)
        if source is None or source.body["type"] != "S3":
            raise invalid(f"[{dotted(path)}] is not a file or folder of an S3 source.")
        type_ = str(format_.get("type", ""))
        if type_.lower() not in FORMATS:
            raise unsupported(
                f"Format [{type_}] is not built yet in this engine; expected one of "
                + ", ".join(FORMATS.values())
            )
        with self._metadata:
            if self._catalog.find(path) is not None:
                raise conflict(f"[{dotted(path)}] is already a dataset.")
            format_ = {**format_, "type": FORMATS[type_.lower()]}
            body = self._read_metadata(source, path, format_)
            body["accelerationRefreshPolicy"] = policy
            entity = self._catalog.add(TABLE, path, body)
            self._checked[entity.id] = now_ms()
            return entity

    def promote_if_data(self, path: Path) -> Entity | None:
        """Promotes by the suffix of the first file; None when there is no data."""
        source = self.source_of(path)
        if source is None or source.body["type"] != "S3":
            return None
        for item in self._objects(source, path):
            for suffix, type_ in _SUFFIXES.items():
                if item.key.endswith(suffix):
                    return self.promote(path, {"type": type_})
        return None

    def forget(self, entity: Entity, tag: str | None = None) -> None:
        self._catalog.remove(entity.id, tag)
        self._checked.pop(entity.id, None)

    def refresh(self, entity: Entity, *, force: bool = False) -> bool:
        """Reads the metadata again; True when files or columns changed.

        Raises EngineError. A dataset whose files have gone is forgotten where the source's
        policy says so.
        """
        source = self.source_of(entity.path)
        if source is None:
            raise invalid(f"[{dotted(entity.path)}] has no metadata of its own.")
        if entity.body["origin"] == CREATED:
            self._checked[entity.id] = now_ms()
            return False  # the engine wrote the files and knows them
        with self._metadata:
            body = self._fresh_body(source, entity)
            self._checked[entity.id] = now_ms()
            if body is None:
                return True
            same = all(body[name] == entity.body.get(name) for name in ("files", "columns"))
            if same and not force:
                return False
            changed = {**entity.body, **body, "generation": entity.body["generation"] + 1}
            if body["columns"] != entity.body["columns"]:
                changed["structure"] = entity.body["structure"] + 1
            self._replace(entity, changed)
            return not same

    def _fresh_body(self, source: Entity, entity: Entity) -> dict[str, Any] | None:
        if source.body["type"] == "POSTGRES":
            self._duck.run("CALL pg_clear_cache()")
            table = self._postgres_table(source, entity.path)
            return _body(EXTERNAL, {}, self._duck.describe(f"SELECT * FROM {table}"), [])
        try:
            fresh = self._read_metadata(source, entity.path, entity.body["format"])
        except EngineError as fault:
            if fault.kind is not Kind.NOT_FOUND:
                raise
            if source.body["metadataPolicy"]["deleteUnavailableDatasets"]:
                self.forget(entity)
                return None
            raise
        return {key: fresh[key] for key in ("files", "columns", "raw", "hive", "dirs", "uniform")}

    def refresh_if_due(self, entity: Entity, *, after: str) -> Entity:
        """Refreshes when the age in the source's policy `after` has passed."""
        source = self.source_of(entity.path)
        if source is None or entity.body.get("origin") == CREATED:
            return entity
        checked = self._checked.get(entity.id, entity.body.get("metadata_at", 0))
        if now_ms() - checked < source.body["metadataPolicy"][after]:
            return entity
        self.refresh(entity)
        return self._catalog.get(entity.id)

    def _objects(self, source: Entity, path: Path) -> list[Object]:
        place = sources.locate(source.body["config"], path)
        store = self._sources.store(source)
        found = list(store.list(place.bucket, place.prefix + "/", recursive=True))
        if not found:  # a single file
            same = store.list(place.bucket, place.prefix, recursive=False)
            found = [item for item in same if item.key == place.prefix]
        return [item for item in found if item.size and not _hidden(item.key, place.prefix)]

    def _read_metadata(
        self, source: Entity, path: Path, format_: dict[str, Any]
    ) -> dict[str, Any]:
        self._sources.attach(source)
        objects = self._objects(source, path)
        if not objects:
            raise not_found(f"No data files found under [{dotted(path)}].")
        bucket = sources.locate(source.body["config"], path).bucket
        files = [[f"s3://{bucket}/{item.key}", item.size, item.etag] for item in objects]
        body = _body(PROMOTED, format_, [], files)
        urls = [str(file[0]) for file in files]
        root = sources.locate(source.body["config"], path).url
        if format_["type"] == "Parquet":
            list_sql = _list(urls)
            body["uniform"] = len(urls) == 1 or self._uniform(list_sql)
            union = str(not body["uniform"]).lower()
            raw = self._duck.describe(
                f"SELECT * FROM read_parquet({list_sql}, union_by_name={union},"
                " hive_partitioning=false)"
            )
        else:
            raw = [
                (name, _json_type(type_))
                for name, type_ in self._duck.describe(
                    f"SELECT * FROM read_json({_list(urls)}, union_by_name=true,"
                    " hive_partitioning=false, sample_size=-1)"
                )
            ]
        _add_partitions(body, source, root, urls, raw)
        return body

    def _uniform(self, list_sql: str) -> bool:
        rows = self._duck.run(
            "SELECT count(DISTINCT s) FROM (SELECT list((name, type, logical_type, scale,"
            f" precision)) AS s FROM parquet_schema({list_sql}) GROUP BY file_name)"
        )
        return rows[0][0] == 1

    # -- reading -----------------------------------------------------------------------------

    def view(self, entity: Entity) -> str:
        """Name of the DuckDB view with the content of a table, made on first use."""
        name = f"{DATASETS}.{duckdb_sql.identifier(entity.generation)}"
        with self._lock:
            if entity.generation in self._views:
                return name
        source = self.source_of(entity.path)
        assert source is not None  # noqa: S101 (tables lie in sources)
        self._sources.attach(source)
        self._duck.run(f"CREATE OR REPLACE VIEW {name} AS {self._relation(source, entity)}")
        with self._lock:
            self._views[entity.generation] = name
        return name

    def _relation(self, source: Entity, entity: Entity) -> str:
        body = entity.body
        if body["origin"] == EXTERNAL:
            return _select(body, self._postgres_table(source, entity.path))
        urls = [file[0] for file in body["files"]]
        if not urls:
            nulls = (
                f"CAST(NULL AS {type_}) AS {duckdb_sql.identifier(name)}"
                for name, type_ in entity.columns
            )
            return f"SELECT {', '.join(nulls)} WHERE false"
        return _select(body, _reader(body, urls))

    def drop_view(self, generation: str) -> None:
        with self._lock:
            name = self._views.pop(generation, None)
        if name:
            self._duck.run(f"DROP VIEW IF EXISTS {name}")

    # -- tables that the engine writes -------------------------------------------------------

    def add_created(self, path: Path, body: dict[str, Any]) -> Entity:
        return self._catalog.add(TABLE, path, body)

    def replace_created(
        self, entity: Entity, body: dict[str, Any], obsolete: Iterable[str]
    ) -> Entity:
        """Flips the table to new files; the obsolete ones go when their readers have ended."""
        changed = {**body, "generation": entity.body["generation"] + 1}
        fresh = self._replace(entity, changed)
        self._delete_when_free(entity, list(obsolete))
        return fresh

    def drop_created(self, entity: Entity) -> None:
        self._catalog.remove(entity.id, None)
        self._delete_when_free(entity, [file[0] for file in entity.body["files"]])

    def delete_files(self, path: Path, urls: Iterable[str]) -> None:
        source = self.source_of(path)
        if source is None:
            return
        keys = [url.removeprefix("s3://").partition("/") for url in urls]
        for bucket in {bucket for bucket, _, _ in keys}:
            self._sources.store(source).delete(bucket, [k for b, _, k in keys if b == bucket])

    def _delete_when_free(self, entity: Entity, urls: list[str]) -> None:
        def finish() -> None:
            self.drop_view(entity.generation)
            self.delete_files(entity.path, urls)

        self._leases.when_free(entity.generation, finish)

    def _replace(self, entity: Entity, body: dict[str, Any]) -> Entity:
        fresh = self._catalog.change(entity.id, None, body)
        self._leases.when_free(entity.generation, lambda: self.drop_view(entity.generation))
        return fresh


def _hidden(key: str, prefix: str) -> bool:
    """Hadoop's rule: names that start with _ or . are not data."""
    return any(part[:1] in ("_", ".") for part in key.removeprefix(prefix).split("/"))


def _list(urls: Iterable[str]) -> str:
    return "[" + ", ".join(duckdb_sql.literal(url) for url in urls) + "]"


def _json_type(type_: str) -> str:
    """JSON has no dates: what DuckDB guesses from a text stays a text, as in the product."""
    for guessed in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "TIMESTAMP", "DATE", "TIME"):
        type_ = type_.replace(guessed, "VARCHAR")
    return type_.replace("UUID", "VARCHAR").replace("HUGEINT", "DOUBLE")


def _body(
    origin: str, format_: dict[str, Any], raw: list[Column], files: list[list[Any]]
) -> dict[str, Any]:
    """raw: columns as the storage types them. columns: as the engine exposes them."""
    return {
        "origin": origin,
        "format": format_,
        "raw": [[name, type_] for name, type_ in raw],
        "columns": [[name, normal(type_)[0]] for name, type_ in raw],
        "hive": {},
        "dirs": 0,
        "uniform": True,
        "files": files,
        "generation": 0,
        "structure": 0,
        "metadata_at": now_ms(),
        "accelerationRefreshPolicy": None,
    }


def created_body(
    columns: list[Column], files: list[list[Any]], partition: list[dict[str, Any]], sort: list[str]
) -> dict[str, Any]:
    """Body of a table that the engine writes: Parquet files with exactly `columns`."""
    body = _body(CREATED, {"type": "Parquet"}, columns, files)
    return {**body, "partition": partition, "sort": sort}


def _add_partitions(
    body: dict[str, Any], source: Entity, root: str, urls: list[str], raw: list[Column]
) -> None:
    """Columns from folder names: `key=value` by name where the source infers partitions, else
    dir0, dir1, … (the product's two behaviours). All are VARCHAR unless the files say more."""
    folders = [url.removeprefix(root).strip("/").split("/")[:-1] for url in urls]
    types = {name.lower(): type_ for name, type_ in raw}
    extra: list[Column] = []
    if source.body["config"]["isPartitionInferenceEnabled"]:
        for part in folders[0]:
            name, equals, _ = part.partition("=")
            if equals and all(any(p.startswith(name + "=") for p in f) for f in folders):
                body["hive"][name] = types.get(name.lower(), "VARCHAR")
                if name.lower() not in types:
                    extra.append((name, "VARCHAR"))
    else:
        body["dirs"] = max(len(folder) for folder in folders)
        body["root"] = root
        extra = [(f"dir{index}", "VARCHAR") for index in range(body["dirs"])]
    body["raw"] = [[name, type_] for name, type_ in raw]
    body["columns"] = [[name, normal(type_)[0]] for name, type_ in [*raw, *extra]]


def _reader(body: dict[str, Any], urls: list[str]) -> str:
    hive = ", ".join(
        f"{duckdb_sql.literal(name)}: {type_}" for name, type_ in body["hive"].items()
    )
    hive_sql = (
        f"hive_partitioning=true, hive_types={{{hive}}}" if hive else "hive_partitioning=false"
    )
    named = ", filename=true" if body["dirs"] else ""
    if body["format"]["type"] == "Parquet":
        union = str(not body["uniform"]).lower()
        return f"read_parquet({_list(urls)}, union_by_name={union}, {hive_sql}{named})"
    columns = ", ".join(
        f"{duckdb_sql.literal(name)}: {duckdb_sql.literal(type_)}" for name, type_ in body["raw"]
    )
    return f"read_json({_list(urls)}, columns={{{columns}}}, {hive_sql}{named})"


def _select(body: dict[str, Any], relation: str) -> str:
    raw = {name: type_ for name, type_ in body["raw"]}
    parts: list[str] = []
    for name, _ in body["columns"]:
        column = duckdb_sql.identifier(name)
        if name in raw:
            convert = normal(raw[name])[1]
            parts.append(f"{convert.format(c=column)} AS {column}" if convert else column)
        elif body["dirs"]:
            depth = int(name.removeprefix("dir")) + 1
            rest = f"replace(filename, {duckdb_sql.literal(body['root'] + '/')}, '')"
            parts.append(
                f"CASE WHEN len(string_split({rest}, '/')) > {depth}"
                f" THEN string_split({rest}, '/')[{depth}] END AS {column}"
            )
        else:
            parts.append(column)
    return f"SELECT {', '.join(parts)} FROM {relation}"
