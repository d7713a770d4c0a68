# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Tables that the engine writes: Parquet files in an S3 source.

Files get new names and the catalog's list of files is flipped in one transaction, so readers see
the old content or the new, never half. A write that dies leaves an intent, and the next start
removes its files.
"""

import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import duckdb

from embedded.dremio.catalog import sources
from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import CREATED, Datasets, Sources, created_body
from embedded.dremio.catalog.model import TABLE, Column, Entity, Path, dotted
from embedded.dremio.errors import EngineError, invalid, unsupported
from embedded.dremio.reflections.service import partition_sql
from embedded.dremio.sql.statements import Partition, partition_field
from embedded.dremio.storage.duck import identifier, literal, translate_error
from embedded.dremio.storage.store import Store

FORMATS = ("parquet", "iceberg")
# Folder values of these types read back exactly, so DuckDB may prune by the folder's name.
PRUNABLE = ("INTEGER", "BIGINT", "DATE")

Cursor = duckdb.DuckDBPyConnection


class TableWriter:
    def __init__(self, store: Store, catalog: Catalog, datasets: Datasets, live: Sources) -> None:
        self._store = store
        self._catalog = catalog
        self._datasets = datasets
        self._sources = live
        self._lock = threading.Lock()
        self._tables: dict[str, threading.Lock] = {}

    def recover(self) -> None:
        """Removes the files of writes that never finished."""
        for write_id, intent in self._store.all("write").items():
            path = tuple(intent["path"])
            table = self._catalog.find(path)
            used = {file[0] for file in table.body["files"]} if table else set()
            if self._datasets.source_of(path) is not None:
                self._clean(path, write_id, used)
            self._store.delete("write", write_id)

    def check_new(self, path: Path) -> Entity:
        """The source of a table to be. Raises EngineError: taken, or not writable."""
        if self._catalog.find(path) is not None:
            raise invalid(f"A table or view with given name [{dotted(path)}] already exists.")
        source = self._datasets.source_of(path)
        if source is None or source.body["type"] != "S3" or len(path) < 2:
            raise invalid(f"Cannot create table [{dotted(path)}]: [{path[0]}] is not writable.")
        place = sources.locate(source.body["config"], path)
        listing = self._sources.store(source).list(
            place.bucket, place.prefix + "/", recursive=True
        )
        if next(listing, None) is not None:
            raise invalid(
                f"Folder already exists at path: [{dotted(path)}]. "
                "Promote it to a dataset, or remove its files."
            )
        return source

    def create(
        self,
        cursor: Cursor,
        path: Path,
        select: str,
        columns: list[Column],
        partitions: Iterable[Partition] = (),
        sort: Iterable[str] = (),
    ) -> int:
        """Writes a new table; returns its number of rows."""
        with self._table_lock(path):
            source = self.check_new(path)
            layout = _Layout.of(columns, partitions, sort)

            def publish(files: list[list[Any]]) -> None:
                body = created_body(columns, files, layout.fields, list(layout.sort))
                body["hive"] = layout.hive
                self._datasets.add_created(path, body)

            return self._write(cursor, source, path, select, layout, publish)

    def append(self, cursor: Cursor, entity: Entity, select: str) -> int:
        with self._table_lock(entity.path):
            return self._rewrite(cursor, entity.path, select, keep=True)

    def replace(
        self, cursor: Cursor, entity: Entity, select: str, columns: list[Column] | None = None
    ) -> int:
        """Rewrites the whole table with the rows of `select`."""
        with self._table_lock(entity.path):
            return self._rewrite(cursor, entity.path, select, keep=False, columns=columns)

    def own(self, path: Path) -> Entity:
        """The table, if the engine may change it. Raises EngineError."""
        entity = self._datasets.find(path)
        if entity is None:
            raise invalid(f"Table [{dotted(path)}] does not exist.")
        if entity.kind != TABLE:
            raise invalid(f"[{dotted(path)}] is a VIEW.")
        if entity.body["origin"] != CREATED:
            raise unsupported(
                f"Table [{dotted(path)}] was not created by this engine and cannot be modified. "
                "ALTER TABLE ... FORGET METADATA removes it from the catalog."
            )
        return entity

    def _rewrite(
        self,
        cursor: Cursor,
        path: Path,
        select: str,
        *,
        keep: bool,
        columns: list[Column] | None = None,
    ) -> int:
        entity = self.own(path)  # as it is under the lock
        source = self._datasets.source_of(path)
        assert source is not None  # noqa: S101 (tables lie in sources)
        body = entity.body
        fields = [_partition(field) for field in body["partition"]]
        layout = _Layout.of(columns or entity.columns, fields, body["sort"])

        def publish(files: list[list[Any]]) -> None:
            fresh = created_body(columns or entity.columns, files, layout.fields, body["sort"])
            changed = {**body, "files": (body["files"] if keep else []) + files}
            if columns is not None:
                changed |= {name: fresh[name] for name in ("raw", "columns")}
                changed["structure"] = body["structure"] + 1
            old = [] if keep else [file[0] for file in body["files"]]
            self._datasets.replace_created(entity, changed, old)

        return self._write(cursor, source, path, select, layout, publish)

    def _write(
        self,
        cursor: Cursor,
        source: Entity,
        path: Path,
        select: str,
        layout: "_Layout",
        publish: Callable[[list[list[Any]]], None],
    ) -> int:
        config = source.body["config"]
        url = sources.locate(config, path).url
        write_id = uuid.uuid4().hex[:16]
        self._sources.attach(source)
        self._store.put("write", write_id, {"path": list(path)})
        target, options = layout.copy_options(url, write_id, sources.compression(config, path))
        try:
            rows, names = _copy(cursor, layout.wrap(select), target, options)
            publish([[name, size, ""] for name, size in self._sizes(source, path, names)])
        except BaseException:
            self._clean(path, write_id, set())
            raise
        finally:
            self._store.delete("write", write_id)
        return rows

    def _sizes(self, source: Entity, path: Path, names: list[str]) -> list[tuple[str, int]]:
        place = sources.locate(source.body["config"], path)
        listing = self._sources.store(source).list(
            place.bucket, place.prefix + "/", recursive=True
        )
        sizes = {f"s3://{place.bucket}/{item.key}": item.size for item in listing}
        return [(name, sizes.get(name, 0)) for name in names]

    def _clean(self, path: Path, write_id: str, used: set[str]) -> None:
        source = self._datasets.source_of(path)
        if source is None:
            return
        place = sources.locate(source.body["config"], path)
        try:
            listing = self._sources.store(source).list(
                place.bucket, place.prefix + "/", recursive=True
            )
            urls = [f"s3://{place.bucket}/{i.key}" for i in listing if write_id in i.key]
            self._datasets.delete_files(path, [url for url in urls if url not in used])
        except EngineError:
            return  # the store is away; the write's own error is what the client must see

    def _table_lock(self, path: Path) -> threading.Lock:
        with self._lock:
            return self._tables.setdefault(dotted(path).lower(), threading.Lock())


class _Layout:
    """Partition folders and order of a table's files."""

    def __init__(
        self,
        fields: list[dict[str, Any]],
        folders: list[tuple[str, str]],
        hive: dict[str, str],
        sort: list[str],
    ) -> None:
        self.fields = fields
        self.hive = hive
        self.sort = sort
        self._folders = folders  # (folder key, SQL or "" for a column of the table)

    @classmethod
    def of(
        cls, columns: list[Column], partitions: Iterable[Partition], sort: Iterable[str]
    ) -> "_Layout":
        names = {name.lower(): name for name, _ in columns}
        types = dict(columns)
        fields: list[dict[str, Any]] = []
        folders: list[tuple[str, str]] = []
        hive: dict[str, str] = {}
        for part in partitions:
            if part.column.lower() not in names:
                raise invalid(f"Partition column [{part.column}] is not in the table.")
            name = names[part.column.lower()]
            fields.append(partition_field(Partition(name, part.transform, part.argument)))
            if part.transform == "IDENTITY":
                folders.append((name, ""))
                if types[name] in PRUNABLE:
                    hive[name] = types[name]
            else:
                sql = partition_sql(identifier(name), fields[-1]["transform"])
                folders.append((f"{name}_{part.transform.lower()}", sql))
        for name in sort:
            if name.lower() not in names:
                raise invalid(f"Sort column [{name}] is not in the table.")
        return cls(fields, folders, hive, list(sort))

    def wrap(self, select: str) -> str:
        extra = "".join(f", {sql} AS {identifier(name)}" for name, sql in self._folders if sql)
        order = ", ".join(identifier(name) for name in self.sort)
        tail = f" ORDER BY {order}" if order else ""
        return f"SELECT *{extra} FROM ({select}) AS w{tail}" if extra or tail else select

    def copy_options(self, url: str, write_id: str, codec: str) -> tuple[str, str]:
        options = f"FORMAT parquet, COMPRESSION {codec}, RETURN_FILES true"
        if not self._folders:
            return f"{url}/{write_id}_0.parquet", options
        keys = ", ".join(identifier(name) for name, _ in self._folders)
        return url, (
            f"{options}, PARTITION_BY ({keys}), WRITE_PARTITION_COLUMNS true,"
            f" OVERWRITE_OR_IGNORE true, FILENAME_PATTERN '{write_id}_{{i}}'"
        )


def _copy(cursor: Cursor, select: str, target: str, options: str) -> tuple[int, list[str]]:
    try:
        row = cursor.execute(f"COPY ({select}) TO {literal(target)} ({options})").fetchone()
    except duckdb.Error as fault:
        raise translate_error(fault) from fault
    return (int(row[0]), [str(name) for name in row[1]]) if row else (0, [])


def _partition(field: dict[str, Any]) -> Partition:
    transform = field["transform"]
    argument = transform.get("bucketTransform", {}).get("bucketCount") or transform.get(
        "truncateTransform", {}
    ).get("truncateLength")
    return Partition(field["name"], transform["type"], argument)
