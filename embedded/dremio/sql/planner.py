# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""From Dremio SQL to a DuckDB statement: names resolved, views expanded, reflections chosen."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
from sqlglot import exp

from embedded.dremio.catalog.catalog import Catalog
from embedded.dremio.catalog.datasets import Datasets
from embedded.dremio.catalog.model import DATASETS, VIEW, Column, Entity, Path, dotted
from embedded.dremio.errors import invalid, unsupported
from embedded.dremio.reflections import matching
from embedded.dremio.reflections.matching import Candidate, Candidates
from embedded.dremio.sql import types
from embedded.dremio.sql.dialect import parse_query, translate
from embedded.dremio.sql.system import SystemTables
from embedded.dremio.storage.duck import Duck, identifier, translate_error

CACHE_SIZE = 500
MAX_DEPTH = 60
_HINTS = re.compile(r"/\*\+(.*?)\*/", re.DOTALL)
_LEVELS = {"CONSIDERED": 0, "MATCHED": 1, "CHOSEN": 2}


@dataclass(frozen=True)
class Plan:
    """sql: what DuckDB runs. columns: as the client sees them. tables: system tables that `sql`
    names. leases: generations that it reads. relationships: reflection id -> (dataset id, level).
    """

    sql: str
    columns: tuple[Column, ...]
    schema: pa.Schema
    tables: dict[str, pa.Table]
    leases: frozenset[str]
    datasets: tuple[Entity, ...]
    relationships: dict[str, tuple[str, str]]

    @property
    def accelerated(self) -> bool:
        return any(level == "CHOSEN" for _, level in self.relationships.values())


class Planner:
    def __init__(
        self,
        catalog: Catalog,
        datasets: Datasets,
        duck: Duck,
        system: SystemTables,
        candidates: Candidates,
    ) -> None:
        self._catalog = catalog
        self._datasets = datasets
        self._duck = duck
        self._system = system
        self._candidates = candidates
        self._lock = threading.Lock()
        self._cache: OrderedDict[object, Plan] = OrderedDict()

    def plan(self, sql: str, context: Path = (), *, reflections: bool = True) -> Plan:
        """Raises EngineError."""
        self._refresh_expired(sql, context)
        version = (self._catalog.version, self._candidates.version)
        key = (sql, context, reflections, version)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        plan = self._build(sql, context, reflections)
        if not plan.tables:
            with self._lock:
                self._cache[key] = plan
                while len(self._cache) > CACHE_SIZE:
                    self._cache.popitem(last=False)
        return plan

    def _refresh_expired(self, sql: str, context: Path) -> None:
        """Tables whose metadata has expired are read again before the query (metadataPolicy)."""
        with self._lock:
            keys = [
                key for key in self._cache if isinstance(key, tuple) and key[:2] == (sql, context)
            ]
            known = [entity for key in keys for entity in self._cache[key].datasets]
        for entity in {entity.id: entity for entity in known}.values():
            if current := self._catalog.find(entity.path):
                if current.kind != VIEW:
                    self._datasets.refresh_if_due(current, after="datasetExpireAfterMs")

    def _build(self, sql: str, context: Path, reflections: bool) -> Plan:
        if any("no_reflections" in hint.lower() for hint in _HINTS.findall(sql)):
            reflections = False
        expansion = Expansion(self, reflections)
        tree = parse_query(sql)
        inner = translate(expansion.expand(tree, context))
        columns = self.describe(inner, expansion.tables)
        return self._finish(inner, columns, expansion)

    def describe(self, select: str, tables: dict[str, pa.Table]) -> list[Column]:
        """(name, DuckDB type) of a translated query's columns. Raises EngineError."""
        with self._duck.cursor() as cursor:
            try:
                register(cursor, tables)
                rows = cursor.execute(f"DESCRIBE {select}").fetchall()
            except duckdb.Error as fault:
                raise translate_error(fault) from fault
        return [(str(row[0]), str(row[1])) for row in rows]

    def _finish(self, inner: str, columns: list[Column], expansion: "Expansion") -> Plan:
        names = _unique(name for name, _ in columns)
        exposed = tuple((n, types.normal(t)[0]) for n, (_, t) in zip(names, columns, strict=True))
        parts: list[str] = []
        for index, (name, (_, type_)) in enumerate(zip(names, columns, strict=True)):
            convert = types.normal(type_)[1] or "{c}"
            parts.append(f"{convert.format(c=f'c{index}')} AS {identifier(name)}")
        slots = ", ".join(f"c{index}" for index in range(len(columns)))
        sql = inner
        changed = [name for name, _ in columns] != names
        if changed or any(types.normal(type_)[1] for _, type_ in columns):
            sql = f"SELECT {', '.join(parts)} FROM ({inner}) AS q({slots})"
        return Plan(
            sql=sql,
            columns=exposed,
            schema=self._arrow_schema(sql, exposed, expansion.tables),
            tables=expansion.tables,
            leases=frozenset(expansion.leases),
            datasets=tuple(expansion.datasets.values()),
            relationships=expansion.relationships,
        )

    def _arrow_schema(
        self, sql: str, columns: tuple[Column, ...], tables: dict[str, pa.Table]
    ) -> pa.Schema:
        known = [types.arrow(type_) for _, type_ in columns]
        if any(type_ is None for type_ in known):
            with self._duck.cursor() as cursor:
                try:
                    register(cursor, tables)
                    found = (
                        cursor.execute(f"SELECT * FROM ({sql}) LIMIT 0").to_arrow_table().schema
                    )
                except duckdb.Error as fault:
                    raise translate_error(fault) from fault
            known = [t or field.type for t, field in zip(known, found, strict=True)]
        return pa.schema([(name, t) for (name, _), t in zip(columns, known, strict=True)])

    # -- used by Expansion and statements ----------------------------------------------------

    def resolve(self, parts: Path, context: Path) -> Entity | pa.Table:
        """A dataset, or the content of a system table. Raises EngineError."""
        split = tuple(part for name in parts for part in name.split("."))
        options = [parts] if split == parts else [parts, split]
        if context:
            options = [(*context, *option) for option in options] + options
        for path in options:
            if (table := self._system.build(path)) is not None:
                return table
            entity = self._datasets.find(path)
            if entity is not None and entity.kind in DATASETS:
                return entity
        inside = f" within '{dotted(parts[:-1])}'" if len(parts) > 1 else ""
        raise invalid(f"Object '{parts[-1]}' not found{inside}")

    def table_view(self, entity: Entity) -> str:
        return self._datasets.view(entity)

    def candidates(self, entity: Entity) -> list[Candidate]:
        return self._candidates.of(entity)

    def considered(self, entity: Entity) -> list[str]:
        return self._candidates.considered(entity)


@dataclass
class Expansion:
    """State of one query's expansion."""

    planner: Planner
    reflections: bool
    leases: set[str] = field(default_factory=set)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    datasets: dict[str, Entity] = field(default_factory=dict)
    relationships: dict[str, tuple[str, str]] = field(default_factory=dict)
    stack: list[str] = field(default_factory=list)

    def expand(self, tree: exp.Expr, context: Path) -> exp.Expr:
        """`tree` with every name replaced by what DuckDB knows. Changes `tree`."""
        _name_expressions(tree)
        scope = Scope(tree)
        _shorten_columns(tree, scope)
        if self.reflections:
            for select in list(tree.find_all(exp.Select)):
                if _inside(select, tree):  # not part of one that was just replaced
                    self._aggregate(select, scope, context)
        for table in [t for t in tree.find_all(exp.Table) if t.meta.get("done") is None]:
            if not scope.is_cte(table):
                self._replace(table, context)
        return tree

    def _aggregate(self, select: exp.Select, scope: "Scope", context: Path) -> None:
        table = matching.single_source(select)
        if table is None or not matching.is_aggregate(select):
            return
        chain = self._chain(table, scope, context)
        found: list[tuple[Candidate, exp.Select]] = []
        for entity in chain:
            self._consider(entity)
            for candidate in self.planner.candidates(entity):
                rewritten = matching.roll_up(select, candidate, entity)
                if rewritten is not None:
                    self._relate(candidate.reflection_id, entity.id, "MATCHED")
                    found.append((candidate, rewritten))
        if found:
            best, rewritten = min(found, key=lambda item: (item[0].rows, -item[0].refreshed_at))
            self._choose(best, rewritten)
            for entity in chain:
                self.datasets[entity.id] = entity
            if select.parent is None:
                for name, value in list(rewritten.args.items()):
                    select.set(name, value)
                for name in [n for n in select.args if n not in rewritten.args]:
                    select.set(name, None)
            else:
                select.replace(rewritten)

    def _chain(self, table: exp.Expr, scope: "Scope", context: Path) -> list[Entity]:
        """The dataset behind `table` and those that it merely repeats (SELECT * FROM …)."""
        chain: list[Entity] = []
        node: exp.Expr | None = table
        for _ in range(MAX_DEPTH):
            if isinstance(node, exp.Subquery):
                node = matching.repeated(node.this)
                continue
            if not isinstance(node, exp.Table) or node.meta.get("done"):
                break
            if cte := scope.cte(node):
                node = matching.repeated(cte.this)
                continue
            if isinstance(node.this, exp.Func):
                break
            found = self.planner.resolve(_parts(node), context)
            if not isinstance(found, Entity):
                break
            chain.append(found)
            if found.kind != VIEW:
                break
            definition = parse_query(found.body["sql"])
            scope, context = Scope(definition), tuple(found.body.get("sqlContext") or ())
            node = matching.repeated(definition)
        return chain

    def _replace(self, table: exp.Table, context: Path) -> None:
        if isinstance(table.this, exp.Func):
            name = table.this.sql()[:80]
            raise unsupported(f"Table function [{name}] is not built yet in this engine.")
        if table.args.get("version"):
            raise unsupported("Time travel (AT ...) is not built yet in this engine.")
        parts = _parts(table)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(parts[-1], True))
        found = self.planner.resolve(parts, context)
        node: exp.Expr
        if isinstance(found, pa.Table):
            name = f"system_table_{len(self.tables)}"
            self.tables[name] = found
            node = exp.Table(this=exp.to_identifier(name), alias=alias)
        else:
            node = self._dataset(found, table, alias)
        for name in ("joins", "laterals", "pivots", "sample"):
            if table.args.get(name):
                node.set(name, table.args[name])
        node.meta["done"] = True
        table.replace(node)

    def _dataset(self, entity: Entity, table: exp.Table, alias: exp.TableAlias) -> exp.Expr:
        self.datasets[entity.id] = entity
        if self.reflections:
            self._consider(entity)
            if candidate := self._raw(entity, table):
                self._choose(candidate, None)
                return _table(candidate.view, alias)
        if entity.kind == VIEW:
            return exp.Subquery(this=self._view(entity), alias=alias)
        self.leases.add(entity.generation)
        return _table(self.planner.table_view(entity), alias)

    def _view(self, entity: Entity) -> exp.Expr:
        if entity.id in self.stack or len(self.stack) > MAX_DEPTH:
            raise invalid(f"View [{dotted(entity.path)}] refers to itself.")
        self.stack.append(entity.id)
        context = tuple(entity.body.get("sqlContext") or ())
        tree = self.expand(parse_query(entity.body["sql"]), context)
        self.stack.pop()
        return tree

    def _raw(self, entity: Entity, table: exp.Table) -> Candidate | None:
        matched = [
            candidate
            for candidate in self.planner.candidates(entity)
            if candidate.type == "RAW" and matching.covers(candidate, table, entity)
        ]
        for candidate in matched:
            self._relate(candidate.reflection_id, entity.id, "MATCHED")
        if not matched:
            return None
        return min(matched, key=lambda item: (item.rows, item.size_bytes, -item.refreshed_at))

    def _consider(self, entity: Entity) -> None:
        for reflection_id in self.planner.considered(entity):
            self._relate(reflection_id, entity.id, "CONSIDERED")

    def _choose(self, candidate: Candidate, rewritten: exp.Select | None) -> None:
        self._relate(candidate.reflection_id, candidate.dataset_id, "CHOSEN")
        self.leases.add(candidate.lease)
        if rewritten is not None:
            for table in rewritten.find_all(exp.Table):
                table.meta["done"] = True

    def _relate(self, reflection_id: str, dataset_id: str, level: str) -> None:
        known = self.relationships.get(reflection_id)
        if known is None or _LEVELS[known[1]] < _LEVELS[level]:
            self.relationships[reflection_id] = (dataset_id, level)


class Scope:
    """Which names of a query are its own CTEs."""

    def __init__(self, tree: exp.Expr) -> None:
        self._ctes: dict[str, list[exp.CTE]] = {}
        for cte in tree.find_all(exp.CTE):
            self._ctes.setdefault(cte.alias.lower(), []).append(cte)

    def cte(self, table: exp.Table) -> exp.CTE | None:
        """The CTE that `table` names: one of an enclosing WITH, defined before it."""
        if table.args.get("db") or isinstance(table.this, exp.Func):
            return None
        for cte in self._ctes.get(table.name.lower(), []):
            with_ = cte.parent
            owner = with_.parent if with_ else None
            if owner is None or with_ is None or not _inside(table, owner):
                continue
            if not _inside(table, cte) or with_.args.get("recursive"):
                return cte
        return None

    def is_cte(self, table: exp.Table) -> bool:
        return self.cte(table) is not None


def _inside(node: exp.Expr, ancestor: exp.Expr) -> bool:
    current: exp.Expr | None = node
    while current is not None:
        if current is ancestor:
            return True
        current = current.parent
    return False


def _parts(table: exp.Table) -> Path:
    return tuple(part.name for part in table.parts)


def _table(view: str, alias: exp.TableAlias) -> exp.Table:
    schema, _, name = view.partition(".")
    return exp.Table(
        this=exp.to_identifier(name.strip('"'), True), db=exp.to_identifier(schema), alias=alias
    )


def register(cursor: duckdb.DuckDBPyConnection, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        cursor.register(name, table)


def _unique(names: Iterable[str]) -> list[str]:
    """Calcite's rule: a repeated name gets 0, 1, … appended."""
    taken: set[str] = set()
    out: list[str] = []
    for name in names:
        candidate, count = name, 0
        while candidate.lower() in taken:
            candidate, count = f"{name}{count}", count + 1
        taken.add(candidate.lower())
        out.append(candidate)
    return out


def _name_expressions(tree: exp.Expr) -> None:
    """Columns keep the spelling of the query, and unnamed expressions are EXPR$0, EXPR$1, … by
    position; both at every level, as in Calcite."""
    named = (exp.Alias, exp.Star, exp.Dot, exp.Aliases)
    for select in tree.find_all(exp.Select):
        for index, item in enumerate(list(select.expressions)):
            if isinstance(item, exp.Column):
                if not isinstance(item.this, exp.Star):
                    item.replace(exp.alias_(item.copy(), item.name, quoted=True))
            elif not isinstance(item, named):
                item.replace(exp.alias_(item.copy(), f"EXPR${index}", quoted=True))
    for values in tree.find_all(exp.Values):
        if not isinstance(values.parent, (exp.From, exp.Join)) or not values.expressions:
            continue
        alias = values.args.get("alias") or exp.TableAlias(this=exp.to_identifier("t"))
        if not alias.columns:
            first = values.expressions[0]
            width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
            alias.set("columns", [exp.to_identifier(f"EXPR${i}", True) for i in range(width)])
        values.set("alias", alias)


def _shorten_columns(tree: exp.Expr, scope: Scope) -> None:
    """`lake.gold.t.col` and `"lake.gold"."t"."col"` become `t.col`."""
    tables = [t for t in tree.find_all(exp.Table) if not scope.is_cte(t)]
    paths = {dotted(_parts(t)).lower(): t.alias_or_name for t in tables if t.args.get("db")}
    if not paths:
        return
    tops = [d for d in tree.find_all(exp.Dot) if not isinstance(d.parent, exp.Dot)]
    columns = [c for c in tree.find_all(exp.Column) if not isinstance(c.parent, exp.Dot)]
    for node in [*tops, *columns]:
        parts = (
            [part.name for part in node.parts] if isinstance(node, (exp.Dot, exp.Column)) else []
        )
        for length in range(len(parts) - 1, 1, -1):
            alias = paths.get(".".join(parts[:length]).lower())
            if alias is None:
                continue
            fresh: exp.Expr = exp.column(parts[length], table=alias, quoted=True)
            for name in parts[length + 1 :]:
                fresh = exp.Dot(this=fresh, expression=exp.to_identifier(name, True))
            node.replace(fresh)
            break
