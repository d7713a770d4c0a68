# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Runs statements: prepares them, then yields their rows as Arrow batches."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import CREATED, Datasets, Sources
from embedded.dremio.catalog.model import (
    FOLDER,
    SOURCE,
    SPACE,
    TABLE,
    VIEW,
    Column,
    Entity,
    Path,
    check_part,
    check_root_name,
    dotted,
)
from embedded.dremio.errors import EngineError, Kind, invalid, unsupported
from embedded.dremio.reflections.service import Reflections
from embedded.dremio.sql import statements as s
from embedded.dremio.sql import types
from embedded.dremio.sql.dialect import DIALECT, translate
from embedded.dremio.sql.planner import Expansion, Plan, Planner, register
from embedded.dremio.sql.system import SystemTables, describe_column
from embedded.dremio.sql.writes import FORMATS, TableWriter
from embedded.dremio.storage.duck import identifier, translate_error
from embedded.dremio.storage.leases import Leases

BATCH_ROWS = 65_536

Row = dict[str, Any]
OK: tuple[Column, ...] = (("ok", "BOOLEAN"), ("summary", "VARCHAR"))
RECORDS: tuple[Column, ...] = (("Records", "BIGINT"),)
CREATED_TABLE: tuple[Column, ...] = (("Fragment", "VARCHAR"), ("Records", "BIGINT"))
DESCRIBED: tuple[Column, ...] = (
    ("COLUMN_NAME", "VARCHAR"),
    ("DATA_TYPE", "VARCHAR"),
    ("IS_NULLABLE", "VARCHAR"),
    ("NUMERIC_PRECISION", "INTEGER"),
    ("NUMERIC_SCALE", "INTEGER"),
    ("EXTENDED_PROPERTIES", "VARCHAR"),
    ("MASKING_POLICY", "VARCHAR"),
    ("SORT_ORDER_PRIORITY", "INTEGER"),
)


@dataclass(frozen=True)
class Prepared:
    """A statement ready to run. plan: of a query, else None."""

    sql: str
    context: Path
    columns: tuple[Column, ...]
    schema: pa.Schema
    plan: Plan | None
    run: Callable[[duckdb.DuckDBPyConnection], Iterator[pa.RecordBatch]] = field(compare=False)


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema([(name, types.arrow(type_)) for name, type_ in columns])


class Executor:
    def __init__(
        self,
        *,
        catalog: Catalog,
        datasets: Datasets,
        live: Sources,
        planner: Planner,
        system: SystemTables,
        writer: TableWriter,
        reflections: Reflections,
        leases: Leases,
        enterprise: bool,
    ) -> None:
        self._catalog = catalog
        self._datasets = datasets
        self._sources = live
        self._planner = planner
        self._system = system
        self._writer = writer
        self._reflections = reflections
        self._leases = leases
        self._enterprise = enterprise

    def prepare(self, sql: str, context: Path = ()) -> Prepared:
        """Raises EngineError: what cannot be parsed or resolved fails here, not when it runs."""
        statement = s.parse(sql)
        if isinstance(statement, s.Query):
            return self._prepare_query(sql, statement.sql, context)
        if isinstance(statement, s.EnterpriseOnly):
            reason = (
                "is not built yet in this engine"
                if self._enterprise
                else ("is only supported in Enterprise Edition")
            )
            raise unsupported(f"{statement.action} {reason}.")
        rules: dict[type, tuple[tuple[Column, ...], Callable[..., list[Row]]]] = {
            s.Explain: ((("TEXT", "VARCHAR"), ("JSON", "VARCHAR")), self._explain),
            s.CreateView: (OK, self._create_view),
            s.Drop: (OK, self._drop),
            s.CreateTable: (CREATED_TABLE, self._create_table),
            s.Insert: (RECORDS, self._insert),
            s.Change: (RECORDS, self._change),
            s.CreateContainer: (OK, self._create_container),
            s.RefreshMetadata: (OK, self._refresh_metadata),
            s.ForgetMetadata: (OK, self._forget_metadata),
            s.RefreshReflections: (OK, self._refresh_reflections),
            s.CreateReflection: (OK, self._create_reflection),
            s.DropReflection: (OK, self._drop_reflection),
            s.SetAcceleration: (OK, self._set_acceleration),
            s.AlterColumns: (OK, self._alter_columns),
            s.RefreshSource: (OK, self._refresh_source),
            s.Show: (self._show_columns(statement), self._show),
            s.Describe: (DESCRIBED, self._describe),
            s.Use: (OK, self._use),
        }
        columns, rule = rules[type(statement)]
        schema = schema_of(columns)

        def run(cursor: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
            rows = rule(statement, context, cursor)
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

        return Prepared(sql, context, columns, schema, None, run)

    # -- queries -----------------------------------------------------------------------------

    def _prepare_query(self, sql: str, query: str, context: Path) -> Prepared:
        plan = self._planner.plan(query, context)

        def run(cursor: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
            return self._stream(query, context, plan, cursor)

        return Prepared(sql, context, plan.columns, plan.schema, plan, run)

    def _stream(
        self, query: str, context: Path, plan: Plan, cursor: duckdb.DuckDBPyConnection
    ) -> Iterator[pa.RecordBatch]:
        """At least one batch, also without rows: clients build their schema from the first."""
        self._leases.acquire(plan.leases)
        empty = True
        try:
            try:
                reader = self._open(plan, cursor)
            except duckdb.Error:
                # Between plan and lease a table may have been replaced, and its files deleted.
                fresh = self._planner.plan(query, context)
                if fresh.leases == plan.leases or not fresh.schema.equals(plan.schema):
                    raise
                self._leases.acquire(fresh.leases)
                self._leases.release(plan.leases)
                plan = fresh
                reader = self._open(plan, cursor)
            for batch in reader:
                empty = False
                yield conform(batch, plan.schema)
        except duckdb.Error as fault:
            raise translate_error(fault) from fault
        except pa.ArrowInvalid as fault:
            raise EngineError(Kind.FUNCTION, str(fault)) from fault
        finally:
            self._leases.release(plan.leases)
        if empty:
            yield pa.RecordBatch.from_pylist([], schema=plan.schema)

    @staticmethod
    def _open(plan: Plan, cursor: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
        register(cursor, plan.tables)
        return cursor.execute(plan.sql).to_arrow_reader(BATCH_ROWS)

    def _explain(
        self, statement: s.Explain, context: Path, cursor: duckdb.DuckDBPyConnection
    ) -> list[Row]:
        plan = self._planner.plan(statement.sql, context)
        try:
            register(cursor, plan.tables)
            text = cursor.execute(f"EXPLAIN {plan.sql}").fetchall()[0][1]
            json_text = cursor.execute(f"EXPLAIN (FORMAT json) {plan.sql}").fetchall()[0][1]
        except duckdb.Error as fault:
            raise translate_error(fault) from fault
        return [{"TEXT": str(text), "JSON": str(json_text)}]

    # -- views and containers ----------------------------------------------------------------

    def _create_view(self, statement: s.CreateView, context: Path, _: object) -> list[Row]:
        verb = self.save_view(
            statement.path, statement.sql, list(context), replace=statement.replace
        )
        return _ok(f"View '{dotted(statement.path)}' {verb} successfully")

    def save_view(self, path: Path, sql: str, context: list[str], *, replace: bool) -> str:
        """Returns created or replaced. Raises EngineError."""
        root = self._catalog.root(path)
        if root is None:
            raise invalid(f"Cannot create view [{dotted(path)}]: [{path[0]}] does not exist.")
        if root.kind == SOURCE or len(path) < 2:
            raise unsupported(f"Cannot create view in [{dotted(path[:-1] or path)}].")
        columns = self.view_columns(sql, context)
        body = {"sql": sql, "sqlContext": context, "columns": [list(c) for c in columns]}
        old = self._catalog.find(path)
        if old is None:
            self._catalog.add(VIEW, (*path[:-1], check_part(path[-1])), body)
            return "created"
        if old.kind != VIEW or not replace:
            raise invalid(f"A table or view with given name [{dotted(path)}] already exists.")
        self._catalog.change(old.id, None, {**old.body, **body})
        return "replaced"

    def view_columns(self, sql: str, context: list[str]) -> tuple[Column, ...]:
        plan = self._planner.plan(sql, tuple(context), reflections=False)
        return plan.columns

    def _drop(self, statement: s.Drop, _: Path, __: object) -> list[Row]:
        path = statement.path
        entity = self._catalog.find(path)
        kinds = {"VIEW": VIEW, "TABLE": TABLE, "SPACE": SPACE}
        if entity is None:
            if statement.if_exists:
                return _ok(f"{statement.what.capitalize()} [{dotted(path)}] does not exist.")
            raise invalid(f"{statement.what.capitalize()} [{dotted(path)}] does not exist.")
        if entity.kind != kinds[statement.what]:
            raise invalid(f"[{dotted(path)}] is not a {statement.what}")
        if entity.kind == TABLE:
            self._datasets.drop_created(self._writer.own(path))
        else:
            self._catalog.remove(entity.id, None)
        return _ok(f"{statement.what.capitalize()} [{dotted(path)}] dropped")

    def _create_container(self, statement: s.CreateContainer, _: Path, __: object) -> list[Row]:
        path = statement.path
        if self._catalog.find(path) is not None and statement.if_not_exists:
            return _ok(f"{statement.what.capitalize()} [{dotted(path)}] already exists.")
        if statement.what == "SPACE":
            self._catalog.add(SPACE, (check_root_name(path[0], "Space"),), {})
        else:
            root = self._catalog.root(path)
            if root is not None and root.kind == SOURCE:
                raise invalid("Can not create a folder inside a [SOURCE].")
            self._catalog.add(FOLDER, (*path[:-1], check_part(path[-1])), {})
        return _ok(f"{statement.what.capitalize()} [{dotted(path)}] created")

    # -- tables ------------------------------------------------------------------------------

    def _create_table(
        self, statement: s.CreateTable, context: Path, cursor: duckdb.DuckDBPyConnection
    ) -> list[Row]:
        path = statement.path
        format_ = statement.store_as.get("type", "parquet").lower()
        if format_ not in FORMATS:
            raise unsupported(
                f"STORE AS type [{format_}] is not built yet in this engine; "
                f"expected one of {', '.join(FORMATS)}"
            )
        if statement.if_not_exists and self._catalog.find(path) is not None:
            return [{"Fragment": "0_0", "Records": 0}]
        self._writer.check_new(path)  # before the work of the query
        if statement.select is None:
            columns = [(name, types.declared(type_)) for name, type_ in statement.columns]
            nulls = (f"CAST(NULL AS {t}) AS {identifier(n)}" for n, t in columns)
            select, leases = f"SELECT {', '.join(nulls)} WHERE false", frozenset[str]()
        else:
            plan = self._query(statement.select, context, cursor)
            select, columns, leases = plan.sql, list(plan.columns), plan.leases
            if statement.names or statement.columns:
                select, columns = _declared(select, columns, statement)
        with self._leased(leases):
            rows = self._writer.create(
                cursor, path, select, columns, statement.partitions, statement.sort
            )
        return [{"Fragment": "0_0", "Records": rows}]

    def _query(self, sql: str, context: Path, cursor: duckdb.DuckDBPyConnection) -> Plan:
        plan = self._planner.plan(sql, context)
        register(cursor, plan.tables)
        return plan

    def _leased(self, leases: frozenset[str]) -> "_Lease":
        return _Lease(self._leases, leases)

    def _insert(
        self, statement: s.Insert, context: Path, cursor: duckdb.DuckDBPyConnection
    ) -> list[Row]:
        entity = self._writer.own(statement.path)
        plan = self._query(statement.select, context, cursor)
        given = statement.columns or tuple(n for n, _ in entity.columns)
        if len(given) != len(plan.columns):
            raise invalid(
                f"The number of columns of the query [{len(plan.columns)}] does not match "
                f"those to insert into [{len(given)}]."
            )
        slots = {name.lower(): f"c{index}" for index, name in enumerate(given)}
        unknown = [n for n in given if n.lower() not in {c.lower() for c, _ in entity.columns}]
        if unknown:
            raise invalid(f"Column [{unknown[0]}] is not in table [{dotted(entity.path)}].")
        parts = (
            f"CAST({slots.get(name.lower(), 'NULL')} AS {type_}) AS {identifier(name)}"
            for name, type_ in entity.columns
        )
        names = ", ".join(f"c{index}" for index in range(len(given)))
        select = f"SELECT {', '.join(parts)} FROM ({plan.sql}) AS q({names})"
        with self._leased(plan.leases):
            return [{"Records": self._writer.append(cursor, entity, select)}]

    def _change(
        self, statement: s.Change, context: Path, cursor: duckdb.DuckDBPyConnection
    ) -> list[Row]:
        """UPDATE, DELETE, MERGE: applied to a copy, which then replaces the table's files."""
        entity = self._writer.own(statement.path)
        tree = _parse_change(statement.sql)
        target = next(
            t for t in tree.find_all(exp.Table)
            if tuple(p.name for p in t.parts) == statement.path
        )  # fmt: skip
        alias = target.args.get("alias")
        name = alias.name if alias else statement.path[-1]
        fresh = exp.Table(this=exp.to_identifier("change_target"),
                          alias=exp.TableAlias(this=exp.to_identifier(name, True)))  # fmt: skip
        fresh.meta["done"] = True
        target.replace(fresh)
        expansion = Expansion(self._planner, reflections=False)
        sql = translate(expansion.expand(tree, context))
        with self._leased(frozenset(expansion.leases) | {entity.generation}):
            try:
                register(cursor, expansion.tables)
                cursor.execute(
                    "CREATE OR REPLACE TEMP TABLE change_target AS"
                    f" SELECT * FROM {self._datasets.view(entity)}"
                )
                row = cursor.execute(sql).fetchone()
            except duckdb.Error as fault:
                raise translate_error(fault) from fault
            changed = int(row[0]) if row else 0
            if changed:
                self._writer.replace(cursor, entity, "SELECT * FROM change_target")
        return [{"Records": changed}]

    def _alter_columns(
        self, statement: s.AlterColumns, _: Path, cursor: duckdb.DuckDBPyConnection
    ) -> list[Row]:
        entity = self._writer.own(statement.path)
        columns = {name.lower(): (name, type_) for name, type_ in entity.columns}
        parts = {name: identifier(columns[name][0]) for name in columns}
        for old, new, declared in statement.columns:
            slot = old.lower()
            if (slot in columns) == (statement.action == "ADD"):
                state = "already exists" if slot in columns else "is not present"
                raise invalid(f"Column [{old}] {state} in table [{dotted(entity.path)}].")
            if statement.action == "DROP":
                del columns[slot], parts[slot]
                continue
            type_ = types.declared(declared)
            value = "NULL" if statement.action == "ADD" else parts[slot]
            columns[slot] = (new, type_)
            parts[slot] = f"CAST({value} AS {type_}) AS {identifier(new)}"
        select = f"SELECT {', '.join(parts.values())} FROM {self._datasets.view(entity)}"
        with self._leased(frozenset({entity.generation})):
            self._writer.replace(cursor, entity, select, list(columns.values()))
        return _ok(f"Table [{dotted(entity.path)}] altered")

    # -- metadata ----------------------------------------------------------------------------

    def _table(self, path: Path) -> Entity:
        entity = self._datasets.find(path)
        if entity is None or entity.kind != TABLE:
            raise invalid(f"Table [{dotted(path)}] does not exist.")
        return entity

    def _refresh_metadata(self, statement: s.RefreshMetadata, _: Path, __: object) -> list[Row]:
        path = statement.path
        if self._datasets.find(path) is None and statement.auto_promotion:
            if self._datasets.promote_if_data(path) is not None:
                return _ok(f"Metadata for table '{dotted(path)}' refreshed.")
        changed = self._datasets.refresh(self._table(path), force=statement.force)
        verb = "refreshed" if changed else "is already up to date"
        return _ok(f"Metadata for table '{dotted(path)}' {verb}.")

    def _forget_metadata(self, statement: s.ForgetMetadata, _: Path, __: object) -> list[Row]:
        entity = self._table(statement.path)
        if entity.body["origin"] == CREATED:
            raise unsupported(
                f"Table [{dotted(entity.path)}] was created by the engine: DROP TABLE removes it."
            )
        self._datasets.forget(entity)
        return _ok(f"Successfully removed table '{dotted(entity.path)}' metadata.")

    def _refresh_source(self, statement: s.RefreshSource, _: Path, __: object) -> list[Row]:
        source = self._catalog.find(statement.path)
        if source is None or source.kind != SOURCE:
            raise invalid(f"Source [{dotted(statement.path)}] does not exist.")
        state = self._sources.state(source)
        return _ok(f"Successfully refreshed status for source '{source.name}'. "
                   f"New status is: {state['status'].capitalize()}")  # fmt: skip

    # -- reflections -------------------------------------------------------------------------

    def _dataset(self, path: Path, context: Path) -> Entity:
        found = self._planner.resolve(path, context)
        if not isinstance(found, Entity):
            raise invalid(f"[{dotted(path)}] is a system table.")
        return found

    def _refresh_reflections(
        self, statement: s.RefreshReflections, context: Path, _: object
    ) -> list[Row]:
        entity = self._dataset(statement.path, context)
        self._reflections.refresh_dataset(entity)
        return _ok(f"Successfully started refresh of reflections on [{dotted(entity.path)}].")

    def _create_reflection(
        self, statement: s.CreateReflection, context: Path, _: object
    ) -> list[Row]:
        entity = self._dataset(statement.path, context)
        self._reflections.create(
            {
                "name": statement.name,
                "type": statement.type,
                "datasetId": entity.id,
                "enabled": True,
                **statement.fields,
            }
        )
        return _ok("Reflection created.")

    def _drop_reflection(self, statement: s.DropReflection, context: Path, _: object) -> list[Row]:
        entity = self._dataset(statement.path, context)
        for item in self._reflections.of_dataset(entity.id):
            if item.definition["name"].lower() == statement.name.lower():
                self._reflections.delete(item.id)
                return _ok("Reflection dropped.")
        raise invalid(f"Reflection [{statement.name}] does not exist.")

    def _set_acceleration(
        self, statement: s.SetAcceleration, context: Path, _: object
    ) -> list[Row]:
        entity = self._dataset(statement.path, context)
        for item in self._reflections.of_dataset(entity.id):
            if item.definition["type"] == statement.type:
                body = {**item.definition, "tag": item.tag, "enabled": statement.enabled}
                self._reflections.change(item.id, body)
        return _ok(f"Acceleration {'enabled' if statement.enabled else 'disabled'}.")

    # -- inspection --------------------------------------------------------------------------

    @staticmethod
    def _show_columns(statement: s.Statement) -> tuple[Column, ...]:
        if isinstance(statement, s.Show) and statement.what != "SCHEMAS":
            return (("TABLE_SCHEMA", "VARCHAR"), ("TABLE_NAME", "VARCHAR"))
        return (("SCHEMA_NAME", "VARCHAR"),)

    def _show(self, statement: s.Show, context: Path, cursor: object) -> list[Row]:
        if statement.what == "SCHEMAS":
            rows = [{"SCHEMA_NAME": name} for name in self._system.schema_names()]
        else:
            inside = dotted(statement.path or context).lower()
            kinds = (VIEW,) if statement.what == "VIEWS" else (TABLE, VIEW)
            rows = [
                {"TABLE_SCHEMA": dotted(e.path[:-1]), "TABLE_NAME": e.name}
                for e in self._catalog.all(*kinds)
                if not inside or dotted(e.path[:-1]).lower() == inside
            ]
        if statement.like is not None:
            last = "SCHEMA_NAME" if statement.what == "SCHEMAS" else "TABLE_NAME"
            rows = [row for row in rows if _like(row[last], statement.like)]
        return rows

    def _describe(self, statement: s.Describe, context: Path, _: object) -> list[Row]:
        columns = self._system.columns_of(statement.path)
        if columns is None:
            columns = self._dataset(statement.path, context).columns
        rows: list[Row] = []
        for position, (name, type_) in enumerate(columns, 1):
            row = describe_column(name, type_, position)
            kept = {key: row.get(key) for key, _ in DESCRIBED}
            # sqlalchemy_dremio knows VARBINARY, not BINARY VARYING.
            rows.append(
                {**kept, "DATA_TYPE": row["DATA_TYPE"].replace("BINARY VARYING", "VARBINARY")}
            )
        return rows

    def _use(self, statement: s.Use, _: Path, __: object) -> list[Row]:
        raise unsupported("USE is not built yet in this engine: send the context with each call.")


class _Lease:
    def __init__(self, leases: Leases, versions: frozenset[str]) -> None:
        self._leases, self._versions = leases, versions

    def __enter__(self) -> None:
        self._leases.acquire(self._versions)

    def __exit__(self, *_: object) -> None:
        self._leases.release(self._versions)


def _ok(summary: str) -> list[Row]:
    return [{"ok": True, "summary": summary}]


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly `schema`: microseconds become milliseconds."""
    if batch.schema.equals(schema):
        return batch
    arrays = [
        array if array.type == wanted.type else array.cast(wanted.type, safe=False)
        for array, wanted in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _declared(
    select: str, columns: list[Column], statement: s.CreateTable
) -> tuple[str, list[Column]]:
    """CTAS with its own column list: names, and types where it gives them."""
    wanted = list(statement.columns) or [(name, "") for name in statement.names]
    if len(wanted) != len(columns):
        raise invalid("The number of columns of the table and of the query differ.")
    out: list[Column] = []
    parts: list[str] = []
    for index, ((name, declared), (_, type_)) in enumerate(zip(wanted, columns, strict=True)):
        target = types.declared(declared) if declared else type_
        out.append((name, target))
        parts.append(f"CAST(c{index} AS {target}) AS {identifier(name)}")
    slots = ", ".join(f"c{index}" for index in range(len(out)))
    return f"SELECT {', '.join(parts)} FROM ({select}) AS q({slots})", out


def _parse_change(sql: str) -> exp.Expr:
    trees = [tree for tree in DIALECT.parse(sql) if tree is not None]
    if len(trees) != 1 or not isinstance(trees[0], (exp.Merge, exp.Update, exp.Delete)):
        raise EngineError(Kind.PARSE, "Failure parsing the query: expected one statement.")
    return trees[0]


def _like(text: str, pattern: str) -> bool:
    parts = re.split("([%_])", pattern)
    regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(regex, text, re.IGNORECASE) is not None
