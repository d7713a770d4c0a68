"""Where personal data goes: columns of the flow's datasets that show it, found in dbt's SQL.

No schema is needed: only columns that hold personal data are followed. `SELECT *` passes all of
them on, an expression those that it names, and a masking function none.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from flow.model import DataFlow, Stream
from review.columns import DIALECT, without_jinja

# What these return does not tell what they were given: digests, counts, and Dremio's masks.
MASKS = {
    "approx_count_distinct", "approx_distinct", "count", "crc32", "hash", "hash64", "hashsha256",
    "mask", "mask_first_n", "mask_hash", "mask_last_n", "mask_show_first_n", "mask_show_last_n",
    "md5", "ndv", "sha", "sha1", "sha2", "sha256", "sha512",
}  # fmt: skip


class Origin(NamedTuple):
    """A column of a stream that holds personal data."""

    dataset: str
    column: str

    def __str__(self) -> str:
        return f"{self.dataset}.{self.column}"


Origins = frozenset[Origin]
Columns = Mapping[str, Origins]  # column, lower case -> the personal data that it shows


def personal_data(flow: DataFlow, models: Mapping[str, str]) -> dict[str, Columns]:
    """dict dataset or model name -> its columns that show personal data.

    models: name -> SQL with dbt's Jinja. A model without SQL, or with SQL that cannot be read,
    counts as one that passes on everything under the same names.
    """
    found: dict[str, Columns] = {one.dataset: _of_stream(one) for one in flow.streams}
    waiting = list(flow.models)
    while waiting:
        ready = [one for one in waiting if all(name in found for name in one.inputs)]
        if not ready:
            break  # a circle: dbt refuses it
        for model in ready:
            found[model.name] = _of_model(models.get(model.name), model.inputs, found)
            waiting.remove(model)
    return found


def _of_stream(stream: Stream) -> Columns:
    return {column.lower(): frozenset({Origin(stream.dataset, column)}) for column in stream.pii}


def _of_model(sql: str | None, inputs: Iterable[str], found: dict[str, Columns]) -> Columns:
    everything = _merged(found[name] for name in inputs)
    if sql is None or not everything:
        return everything
    try:
        tree = sqlglot.parse_one(without_jinja(sql), dialect=DIALECT)
        # A source is called by its space too, a model by its name alone.
        tables = found | {f"bronze.{name}": columns for name, columns in found.items()}
        return _of_query(tree, {name.lower(): columns for name, columns in tables.items()})
    except (SqlglotError, ValueError, RecursionError):
        return everything


def _merged(all_columns: Iterable[Columns]) -> Columns:
    merged: dict[str, Origins] = {}
    for columns in all_columns:
        for name, origins in columns.items():
            merged[name] = merged.get(name, frozenset()) | origins
    return merged


def _of_query(tree: exp.Expr, tables: Mapping[str, Columns]) -> Columns:
    known = dict(tables)
    for cte in tree.args["with_"].expressions if tree.args.get("with_") else ():
        known[cte.alias.lower()] = _of_query(cte.this, known)
    if isinstance(tree, exp.Subquery):
        return _of_query(tree.this, known)
    if isinstance(tree, exp.SetOperation):
        return _merged((_of_query(tree.left, known), _of_query(tree.right, known)))
    if not isinstance(tree, exp.Select):
        raise ValueError(f"{type(tree).__name__}: not a query")
    sources = _sources(tree, known)
    shown: dict[str, Origins] = {}
    for item in tree.expressions:
        for name, origins in _of_item(item, sources, known).items():
            shown[name] = shown.get(name, frozenset()) | origins
    return {name: origins for name, origins in shown.items() if origins}


def _sources(select: exp.Select, known: Mapping[str, Columns]) -> dict[str, Columns]:
    """Alias -> columns of what is read in FROM and JOIN."""
    found: dict[str, Columns] = {}
    clauses = [select.args.get("from_"), *(select.args.get("joins") or [])]
    for clause in clauses:
        if clause is None:
            continue
        source = clause.this
        if isinstance(source, exp.Table):
            columns = known.get(source.name.lower(), {})
        elif isinstance(source, exp.Subquery):
            columns = _of_query(source, known)
        else:
            raise ValueError(f"{type(source).__name__}: not a table")
        found[source.alias_or_name.lower()] = columns
    return found


def _of_item(
    item: exp.Expr, sources: Mapping[str, Columns], known: Mapping[str, Columns]
) -> Columns:
    if isinstance(item, exp.Star):
        return _merged(sources.values())
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        return sources.get(item.table.lower(), {})
    name = (item.alias_or_name or item.sql()).lower()
    return {name: _shown(item, sources, known)}


def _shown(
    node: exp.Expr, sources: Mapping[str, Columns], known: Mapping[str, Columns]
) -> Origins:
    """The personal data that the value of an expression shows."""
    if isinstance(node, exp.Func) and _function(node) in MASKS:
        return frozenset()
    if isinstance(node, exp.Column):
        tables = [sources.get(node.table.lower(), {})] if node.table else sources.values()
        return frozenset().union(*(table.get(node.name.lower(), ()) for table in tables))
    if isinstance(node, exp.Subquery):
        return frozenset().union(*_of_query(node, known).values())
    inner = (_shown(child, sources, known) for child in node.iter_expressions())
    return frozenset().union(*inner)


def _function(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
