"""Columns of dbt models and where they come from, read from their SQL.

Jinja is not run: what it stands for is guessed (`ref` and `source` are tables, a macro that is
given a table hands that table on), which is exact for plain models and never wrong about names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

DIALECT = "dremio"
Column = tuple[str, str]  # table, column
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{(?P<code>.*?)\}\}", re.DOTALL)
_REF = re.compile(r"\bref\(\s*['\"](?P<model>[^'\"]+)['\"]\s*\)")
_SOURCE = re.compile(r"\bsource\(\s*['\"](?P<space>[^'\"]+)['\"]\s*,\s*['\"](?P<table>[^'\"]+)")


@dataclass(frozen=True, kw_only=True)
class Output:
    """A column of a query. text: how it is computed. inputs: from which columns of tables."""

    text: str
    inputs: frozenset[Column]


@dataclass(frozen=True, kw_only=True)
class Relation:
    """columns: name -> how it comes about. passes: tables all of whose columns are handed on,
    those that are not known by name. rows: what decides which rows there are."""

    columns: Mapping[str, Output] = field(default_factory=dict)
    passes: frozenset[str] = frozenset()
    rows: str = ""


def columns_in(expression: str) -> set[str]:
    """Names of the columns in an SQL expression; none when it cannot be read."""
    if not expression:
        return set()
    try:
        parsed = sqlglot.parse_one(expression, dialect=DIALECT)
    except SqlglotError:
        return set()
    return {column.name for column in parsed.find_all(exp.Column)}


def reads(sql: str) -> list[str]:
    """The models, as `name`, and sources, as `space.name`, that a model's text mentions."""
    found = [match["model"] for match in _REF.finditer(sql)]
    found += [f"{match['space']}.{match['table']}" for match in _SOURCE.finditer(sql)]
    return sorted(set(found))


def relation(sql: str, tables: Mapping[str, Relation]) -> Relation | None:
    """What a model makes of `tables` (name -> relation); None when its SQL cannot be read."""
    try:
        parsed = sqlglot.parse_one(without_jinja(sql), dialect=DIALECT)
    except SqlglotError:
        return None
    return _query(parsed, dict(tables))


def table_of(name: str, columns: Mapping[str, object]) -> Relation:
    """A table that is read: each column comes from itself."""
    if not columns:
        return Relation(passes=frozenset({name}))
    return Relation(
        columns={
            column: Output(text=f"{name}.{column}", inputs=frozenset({(name, column)}))
            for column in columns
        }
    )


def without_jinja(sql: str) -> str:
    text = _STATEMENT.sub("", _COMMENT.sub("", sql))
    return _EXPRESSION.sub(lambda found: _stand_in(found["code"].strip("- \n")), text)


def _stand_in(code: str) -> str:
    if code.startswith("config("):
        return ""
    name = ""
    if ref := _REF.search(code):
        name = f'"{ref["model"]}"'
    elif source := _SOURCE.search(code):
        name = f'"{source["space"]}.{source["table"]}"'
    if not name:
        return "jinja"
    plain = code.startswith(("ref(", "source("))
    return name if plain else f"SELECT * FROM {name}"  # noqa: S608 - is only read, never run


def _query(query: exp.Expr, tables: dict[str, Relation]) -> Relation:
    known = dict(tables)
    rows: list[str] = []
    with_ = query.args.get("with_") or query.args.get("with")
    for cte in with_.expressions if with_ else []:
        known[cte.alias] = _query(cte.this, known)
        rows.append(known[cte.alias].rows)
    if isinstance(query, exp.Subquery):
        return _query(query.this, known)
    if isinstance(query, exp.SetOperation):
        left, right = _query(query.left, known), _query(query.right, known)
        return _united(left, right, [*rows, type(query).__name__])
    if isinstance(query, exp.Select):
        return _select(query, known, rows)
    return Relation(rows=query.sql(DIALECT))


def _united(left: Relation, right: Relation, rows: list[str]) -> Relation:
    columns = {
        name: Output(text=f"{a.text} | {b.text}", inputs=a.inputs | b.inputs)
        for (name, a), b in zip(left.columns.items(), right.columns.values(), strict=False)
    }
    joined = "\n".join([*rows, left.rows, right.rows])
    return Relation(columns=columns, passes=left.passes | right.passes, rows=joined)


def _select(select: exp.Select, known: Mapping[str, Relation], rows: list[str]) -> Relation:
    sources = {alias: _source(node, known) for alias, node in _sources(select)}
    columns: dict[str, Output] = {}
    passes: set[str] = set()
    for projection in select.expressions:
        for source in _starred(projection, sources):
            columns.update(source.columns)
            passes |= source.passes
        if not projection.is_star:
            columns[projection.alias_or_name] = _output(projection, sources)
    rest = [
        part.sql(DIALECT)
        for key, part in select.args.items()
        if key not in ("expressions", "with_", "with", "from_", "from")
        and isinstance(part, exp.Expr)
    ]
    rest += [join.sql(DIALECT) for join in select.args.get("joins") or []]
    nested = [source.rows for source in sources.values()]
    text = "\n".join([*rows, *nested, ",".join(sources), *rest])
    return Relation(columns=columns, passes=frozenset(passes), rows=text)


def _sources(select: exp.Select) -> Iterator[tuple[str, exp.Expr]]:
    from_ = select.args.get("from_") or select.args.get("from")
    nodes = [from_.this] if from_ else []
    nodes += [join.this for join in select.args.get("joins") or []]
    for node in nodes:
        yield node.alias_or_name, node


def _source(node: exp.Expr, known: Mapping[str, Relation]) -> Relation:
    if isinstance(node, exp.Table):
        # A relation of the project has its name in one part: `"bronze.customers"`.
        return known.get(node.name, Relation(passes=frozenset({node.name})))
    return _query(node, dict(known))


def _starred(projection: exp.Expr, sources: Mapping[str, Relation]) -> Iterator[Relation]:
    if isinstance(projection, exp.Star):
        yield from sources.values()
    elif projection.is_star and isinstance(projection, exp.Column):
        if projection.table in sources:
            yield sources[projection.table]


def _output(projection: exp.Expr, sources: Mapping[str, Relation]) -> Output:
    inputs: set[Column] = set()
    texts: list[str] = []
    for column in projection.find_all(exp.Column):
        for found in _found(column, sources):
            inputs |= found.inputs
            texts.append(found.text)
    value = projection.this if isinstance(projection, exp.Alias) else projection
    return Output(text=f"{value.sql(DIALECT)} <- {sorted(set(texts))}", inputs=frozenset(inputs))


def _found(column: exp.Column, sources: Mapping[str, Relation]) -> Iterator[Output]:
    chosen = [sources[column.table]] if column.table in sources else list(sources.values())
    for source in chosen:
        if column.name in source.columns:
            yield source.columns[column.name]
            return
    for source in chosen:
        for table in sorted(source.passes):
            pair = (table, column.name)
            yield Output(text=".".join(pair), inputs=frozenset({pair}))
