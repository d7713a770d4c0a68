# ruff: noqa: S608 (SQL is this module's product; names and texts go through identifier and literal)
"""Whether a reflection can answer a SELECT, and the SELECT that then does.

The answer must be exactly that of the base data, so every form not understood is a no.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlglot import exp

from embedded.dremio.catalog.model import Entity
from embedded.dremio.sql.dialect import DATE_UNITS, cast, unit_of
from embedded.dremio.storage.duck import identifier

ROW_COUNT = "$count"
INTEGERS = frozenset({"INTEGER", "BIGINT"})

# Clauses under which one SELECT is more than filter, group, having, order and limit.
_OTHER_CLAUSES = ("distinct", "windows", "qualify", "joins", "laterals", "pivots", "sample",
                  "match", "into", "kind", "cluster", "distribute", "sort")  # fmt: skip
_REPEAT_FORBIDS = (*_OTHER_CLAUSES, "where", "group", "having", "limit", "offset", "order")
_NOT_SCALAR = frozenset(
    "NDV APPROX_COUNT_DISTINCT LISTAGG MEDIAN COUNT_IF BOOL_AND BOOL_OR EVERY CORR COVAR_POP"
    " COVAR_SAMP STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP RANDOM FLATTEN"
    " ROW_NUMBER RANK DENSE_RANK NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE CUME_DIST"
    " PERCENT_RANK".split()
)
_MIDNIGHT = re.compile(r"^\d{4}-\d{2}-\d{2}([ T]00:00(:00(\.0+)?)?)?$")
_DATE_PARTS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "DOY", "DAYOFWEEK"})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A materialisation that may answer queries now.

    Column names are lower case. dimensions: name -> DATE or NORMAL. measures: name -> measure
    types. types: name -> DuckDB type in the dataset. view: DuckDB's name of the content.
    rows, size_bytes: of the content. refreshed_at: ms since 1970.
    """

    reflection_id: str
    dataset_id: str
    type: str
    display: frozenset[str]
    dimensions: Mapping[str, str]
    measures: Mapping[str, frozenset[str]]
    types: Mapping[str, str]
    view: str
    lease: str
    rows: int
    size_bytes: int
    refreshed_at: int


class Candidates(Protocol):
    version: int

    def of(self, entity: Entity) -> list[Candidate]:
        """Materialisations anchored on the dataset that are fresh enough to be used."""
        ...

    def considered(self, entity: Entity) -> list[str]:
        """Ids of the enabled reflections anchored on the dataset."""
        ...


class _NoMatch(Exception):
    pass


def measure_column(name: str, measure: str) -> str:
    return f"{name.lower()}${measure}"


def single_source(select: exp.Select) -> exp.Expr | None:
    """The one table or subquery that a plain SELECT reads, or None."""
    from_ = select.args.get("from_")
    if from_ is None or any(select.args.get(name) for name in _OTHER_CLAUSES):
        return None
    source = from_.this
    if not isinstance(source, (exp.Table, exp.Subquery)) or _altered(source):
        return None
    return source


def _altered(source: exp.Expr) -> bool:
    alias = source.args.get("alias")
    if alias is not None and alias.columns:
        return True
    return any(
        source.args.get(name) for name in ("joins", "laterals", "pivots", "sample", "version")
    )


def repeated(select: exp.Expr) -> exp.Expr | None:
    """What a `SELECT * FROM x` repeats unchanged, or None."""
    if not isinstance(select, exp.Select):
        return None
    if any(select.args.get(name) for name in _REPEAT_FORBIDS):
        return None
    stars = select.expressions
    if len(stars) != 1 or type(stars[0]) is not exp.Star or any(stars[0].args.values()):
        return None
    return single_source(select)


def is_aggregate(select: exp.Select) -> bool:
    if select.args.get("group"):
        return True
    return any(item.find(exp.AggFunc) for item in select.expressions)


# -- raw -------------------------------------------------------------------------------------


def covers(candidate: Candidate, table: exp.Table, entity: Entity) -> bool:
    """A raw reflection holds every column of `entity` that the query around `table` may use."""
    select = table.find_ancestor(exp.Select)
    if select is None or _altered(table):
        return False
    columns = {name.lower() for name, _ in entity.columns}
    if any(join.args.get("method") for join in select.find_all(exp.Join)):
        return columns <= candidate.display  # NATURAL: names nothing, uses all
    for star in select.find_all(exp.Star):
        if not isinstance(star.parent, exp.Count):
            return columns <= candidate.display
    # Every identifier counts, whatever it qualifies: too many is safe, too few is not.
    used = {part.name.lower() for part in select.find_all(exp.Identifier)}
    return used & columns <= candidate.display


# -- aggregate -------------------------------------------------------------------------------


def roll_up(select: exp.Select, candidate: Candidate, entity: Entity) -> exp.Select | None:
    """`select` over the aggregation reflection, or None when it cannot be answered exactly."""
    source = single_source(select)
    if candidate.type != "AGGREGATION" or source is None:
        return None
    group = select.args.get("group")
    if group and any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup", "all")):
        return None
    alias = source.alias_or_name
    rewriter = _Rewriter(candidate, entity, alias, _aliases(select))
    fresh = select.copy()
    try:
        fresh.set("expressions", [rewriter.rewrite(item) for item in fresh.expressions])
        for name in ("where", "group", "having", "order"):
            if clause := fresh.args.get(name):
                rewriter.clause = name
                fresh.set(name, rewriter.rewrite(clause))
    except _NoMatch:
        return None
    schema, _, view = candidate.view.partition(".")
    table = exp.Table(
        this=exp.to_identifier(view.strip('"'), True),
        db=exp.to_identifier(schema),
        alias=exp.TableAlias(this=exp.to_identifier(alias, True)),
    )
    fresh.set("from_", exp.From(this=table))
    return fresh


def _aliases(select: exp.Select) -> frozenset[str]:
    return frozenset(i.alias.lower() for i in select.expressions if isinstance(i, exp.Alias))


class _Rewriter:
    def __init__(
        self, candidate: Candidate, entity: Entity, alias: str, aliases: frozenset[str]
    ) -> None:
        self._candidate = candidate
        self._columns = {name.lower() for name, _ in entity.columns}
        self._alias = alias.lower()
        self._aliases = aliases
        self.clause = "select"

    def rewrite(self, node: exp.Expr) -> exp.Expr:
        """Raises _NoMatch."""
        if isinstance(node, exp.AggFunc):
            return self._aggregate(node)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, (exp.Query, exp.Subquery, exp.Window, exp.Rand, exp.Star)):
            raise _NoMatch
        if isinstance(node, exp.Anonymous) and str(node.this).upper() in _NOT_SCALAR:
            raise _NoMatch
        if (whole_days := self._date_only(node)) is not None:
            return whole_days
        for name, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                node.set(name, self.rewrite(value))
            elif isinstance(value, list):
                node.set(name, [self.rewrite(v) if isinstance(v, exp.Expr) else v for v in value])
        return node

    def _name(self, node: exp.Expr) -> str:
        """Lower-case name of a column of the dataset."""
        if not isinstance(node, exp.Column) or node.args.get("db"):
            raise _NoMatch
        if node.table and node.table.lower() != self._alias:
            raise _NoMatch
        if node.name.lower() not in self._columns:
            raise _NoMatch
        return node.name.lower()

    def _column(self, node: exp.Column) -> exp.Expr:
        name = node.name.lower()
        if not node.table and name in self._aliases:
            # ORDER BY prefers the alias, GROUP BY and HAVING the column of that name.
            visible = self.clause in ("group", "having") and name not in self._columns
            if self.clause == "order" or visible:
                return node
        return self._dimension(self._name(node))

    def _dimension(self, name: str) -> exp.Expr:
        if name not in self._candidate.dimensions or self._is_day(name):
            raise _NoMatch
        return exp.column(name, table=self._alias, quoted=True)

    def _is_day(self, name: str) -> bool:
        """The reflection kept only the day of a timestamp."""
        granularity = self._candidate.dimensions.get(name)
        return granularity == "DATE" and self._candidate.types[name] == "TIMESTAMP"

    def _stored(self, name: str, measure: str) -> exp.Expr:
        if measure not in self._candidate.measures.get(name, frozenset()):
            raise _NoMatch
        return exp.column(measure_column(name, measure), table=self._alias, quoted=True)

    def _rows(self) -> exp.Expr:
        return exp.column(ROW_COUNT, table=self._alias, quoted=True)

    def _aggregate(self, node: exp.AggFunc) -> exp.Expr:
        inner = node.this
        if isinstance(node, exp.Count):
            return self._count(node)
        if node.args.get("expressions") or not isinstance(inner, exp.Column):
            raise _NoMatch
        name = self._name(inner)
        if isinstance(node, exp.Sum):
            total: exp.Expr = exp.Sum(this=self._stored(name, "SUM"))
            # DuckDB sums integers to HUGEINT, which Parquet lacks: it is stored as DECIMAL.
            return cast(total, "HUGEINT") if self._candidate.types[name] in INTEGERS else total
        if isinstance(node, exp.Avg):
            total = cast(exp.Sum(this=self._stored(name, "SUM")), "DOUBLE")
            return exp.Paren(
                this=exp.Div(
                    this=total,
                    expression=cast(exp.Sum(this=self._stored(name, "COUNT")), "DOUBLE"),
                )
            )
        if isinstance(node, (exp.Min, exp.Max)):
            if name in self._candidate.dimensions and not self._is_day(name):
                return type(node)(this=self._dimension(name))
            return type(node)(
                this=self._stored(name, "MIN" if isinstance(node, exp.Min) else "MAX")
            )
        raise _NoMatch

    def _count(self, node: exp.Count) -> exp.Expr:
        inner = node.this
        if isinstance(inner, exp.Distinct):
            if len(inner.expressions) != 1:
                raise _NoMatch
            dimension = self._dimension(self._name(inner.expressions[0]))
            return exp.Count(this=exp.Distinct(expressions=[dimension]))
        if node.args.get("expressions"):
            raise _NoMatch
        every_row = isinstance(inner, exp.Star) or (
            isinstance(inner, exp.Literal) and not inner.is_string
        )
        counted = self._rows() if every_row else self._stored(self._name(inner), "COUNT")
        zero = exp.Literal.number(0)
        return cast(exp.Coalesce(this=exp.Sum(this=counted), expressions=[zero]), "BIGINT")

    # -- timestamps of which only the day is kept --------------------------------------------

    def _date_only(self, node: exp.Expr) -> exp.Expr | None:
        """`node` over the stored day, when it depends on the day alone; else None."""
        argument = _day_argument(node)
        if argument is not None and self._day_column(argument) is not None:
            argument.replace(self._midnight(self._day_column(argument) or ""))
            return node
        if isinstance(node, (exp.GTE, exp.LT)) and _is_midnight(node.expression):
            if name := self._day_column(node.this):
                node.set("this", self._midnight(name))
                return node
        return None

    def _day_column(self, node: exp.Expr) -> str | None:
        if not isinstance(node, exp.Column):
            return None
        name = self._name(node)
        return name if self._is_day(name) else None

    def _midnight(self, name: str) -> exp.Expr:
        return cast(exp.column(name, table=self._alias, quoted=True), "TIMESTAMP")


def _day_argument(node: exp.Expr) -> Any:
    """The argument of a function that looks at the day of a timestamp only."""
    if isinstance(node, exp.Anonymous) and str(node.this).upper() == "DATE_TRUNC":
        if len(node.expressions) == 2 and unit_of(node.expressions[0]) in DATE_UNITS:
            return node.expressions[1]
    if isinstance(node, exp.Cast) and node.is_type("DATE"):
        return node.this
    if isinstance(node, exp.Extract) and node.name.upper() in _DATE_PARTS:
        return node.expression
    if isinstance(node, (exp.Year, exp.Quarter, exp.Month, exp.Day)):
        return node.this
    return None


def _is_midnight(node: exp.Expr) -> bool:
    """A literal that is the start of a day: DATE '…', TIMESTAMP '… 00:00:00', TO_TIMESTAMP(…)."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        text = node.this.name
        if node.is_type("DATE"):
            return True
        return node.is_type("TIMESTAMP") and _starts_day(text)
    if isinstance(node, exp.Anonymous) and node.expressions:
        literal = node.expressions[0]
        if not isinstance(literal, exp.Literal) or not literal.is_string:
            return False
        name = str(node.this).upper()
        return name == "TO_DATE" or (name == "TO_TIMESTAMP" and _starts_day(literal.name))
    return False


def _starts_day(text: str) -> bool:
    return _MIDNIGHT.match(text.strip()) is not None


def materialisation_sql(
    dataset: str,
    *,
    dimensions: Mapping[str, str],
    measures: Mapping[str, frozenset[str]],
    types: Mapping[str, str],
) -> str:
    """DuckDB SELECT of an aggregation reflection's content. dataset: DuckDB SQL of its anchor."""
    keys = [_key_sql(name, granularity, types[name]) for name, granularity in dimensions.items()]
    parts = [f"{sql} AS {identifier(name)}" for name, sql in zip(dimensions, keys, strict=True)]
    parts.append(f"count(*) AS {identifier(ROW_COUNT)}")
    for name, wanted in measures.items():
        for measure in sorted(wanted):
            column = identifier(measure_column(name, measure))
            parts.append(f"{_measure_sql(name, measure, types[name])} AS {column}")
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {', '.join(parts)} FROM ({dataset}) AS d{group}"


def _key_sql(name: str, granularity: str, type_: str) -> str:
    day = granularity == "DATE" and type_ == "TIMESTAMP"
    return f"CAST({identifier(name)} AS DATE)" if day else identifier(name)


def _measure_sql(name: str, measure: str, type_: str) -> str:
    if measure == "APPROX_COUNT_DISTINCT":
        return f"approx_count_distinct({identifier(name)})"
    sql = f"{measure.lower()}({identifier(name)})"
    return f"CAST({sql} AS DECIMAL(38,0))" if measure == "SUM" and type_ in INTEGERS else sql
