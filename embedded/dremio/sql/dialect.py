"""Dremio's SELECT dialect: parsing by sqlglot's, translation to DuckDB with its traps repaired.

sqlglot's own translation loses the format of TO_CHAR, reads TIMESTAMPDIFF's arguments in the
wrong order and leaves many functions alone, so the functions below stay as they were written
until `translate`. A function that is neither typed by sqlglot nor known here is refused, as the
product refuses it: DuckDB has functions (files, environment) that no client may reach.
"""

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dremio import Dremio
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.dremio import DremioParser

from embedded.dremio.errors import EngineError, Kind, invalid, unsupported
from embedded.dremio.sql.formats import strftime

Args = list[exp.Expr]
Translator = Callable[[Args], exp.Expr]

DATE_UNITS = frozenset({"DAY", "WEEK", "MONTH", "QUARTER", "YEAR"})
UNITS = DATE_UNITS | {"HOUR", "MINUTE", "SECOND", "MILLISECOND"}


def call(name: str, *args: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(args))


def cast(value: exp.Expr, type_: str) -> exp.Expr:
    return exp.Cast(this=value, to=exp.DataType.build(type_, dialect="duckdb"))


def _count(name: str, args: Args, low: int, high: int) -> None:
    if not low <= len(args) <= high:
        expected = str(low) if low == high else f"{low} to {high}"
        raise invalid(
            f"Invalid number of arguments to function '{name}'. Was expecting {expected} arguments"
        )


def _format(name: str, arg: exp.Expr) -> exp.Expr:
    if not (isinstance(arg, exp.Literal) and arg.is_string):
        raise unsupported(f"{name}: a format that is not a literal is not supported")
    return exp.Literal.string(strftime(arg.name))


def unit_of(arg: exp.Expr | None) -> str:
    """`DAY` of 'day', DAY or SQL_TSI_DAY. Raises EngineError."""
    name = arg.name if arg is not None else ""
    unit = name.upper().removeprefix("SQL_TSI_")
    if unit not in UNITS:
        raise invalid(f"'{name}' is not a valid time unit")
    return unit


def _interval(amount: exp.Expr, unit: str) -> exp.Expr:
    functions = {"WEEK": ("to_days", 7), "QUARTER": ("to_months", 3)}
    name, factor = functions.get(unit, (f"to_{unit.lower()}s", 1))
    value: exp.Expr = exp.Paren(this=amount)
    if factor != 1:
        value = exp.Mul(this=value, expression=exp.Literal.number(factor))
    return call(name, cast(value, "INTEGER"))


def _keep_type(value: exp.Expr, like: exp.Expr) -> exp.Expr:
    """DuckDB widens DATE to TIMESTAMP in date arithmetic, Dremio does not."""
    if isinstance(like, exp.Literal):
        return value
    return call("cast_to_type", value, like.copy())


def _as_timestamp(value: exp.Expr) -> exp.Expr:
    return cast(value, "TIMESTAMP")


def _timestampadd(args: Args) -> exp.Expr:
    _count("TIMESTAMPADD", args, 3, 3)
    unit, base = unit_of(args[0]), args[2]
    if isinstance(base, exp.Literal):
        base = _as_timestamp(base)
    added = exp.Add(this=exp.Paren(this=base), expression=_interval(args[1], unit))
    return _keep_type(exp.Paren(this=added), base) if unit in DATE_UNITS else exp.Paren(this=added)


def _timestampdiff(args: Args) -> exp.Expr:
    _count("TIMESTAMPDIFF", args, 3, 3)
    unit = exp.Literal.string(unit_of(args[0]).lower())
    # date_sub counts whole units; date_diff would count the boundaries between them.
    whole = call("date_sub", unit, _as_timestamp(args[1]), _as_timestamp(args[2]))
    return cast(whole, "INTEGER")


def _datediff(args: Args) -> exp.Expr:
    _count("DATEDIFF", args, 2, 2)
    day = exp.Literal.string("day")
    end, start = (cast(arg, "DATE") for arg in args)
    return cast(call("date_diff", day, start, end), "INTEGER")


def _date_shift(name: str, sign: type[exp.Expr]) -> Translator:
    def shift(args: Args) -> exp.Expr:
        _count(name, args, 2, 2)
        base, amount = args
        if isinstance(base, exp.Literal):
            base = cast(base, "DATE")
        step: exp.Expr
        if isinstance(amount, exp.Interval):
            step = amount
        elif isinstance(amount, exp.Cast) and isinstance(amount.to.this, exp.Interval):
            step = _interval(amount.this, unit_of(amount.to.this.unit))
        else:
            step = _interval(amount, "DAY")
        return _keep_type(exp.Paren(this=sign(this=base, expression=step)), base)

    return shift


def _date_trunc(args: Args) -> exp.Expr:
    _count("DATE_TRUNC", args, 2, 2)
    unit = args[0].name.upper()
    if unit not in UNITS | {"DECADE", "CENTURY", "MILLENNIUM"}:
        raise invalid(f"DATE_TRUNC: '{args[0].name}' is not a valid time unit")
    base = _as_timestamp(args[1]) if isinstance(args[1], exp.Literal) else args[1]
    return _keep_type(call("date_trunc", exp.Literal.string(unit.lower()), base), base)


def _to_char(args: Args) -> exp.Expr:
    _count("TO_CHAR", args, 2, 2)
    if isinstance(args[1], exp.Literal) and any(mark in args[1].name for mark in "#09"):
        raise unsupported(f"TO_CHAR: number format '{args[1].name}' is not supported")
    return call("strftime", args[0], _format("TO_CHAR", args[1]))


def _to_time(name: str, type_: str) -> Translator:
    def parse(args: Args) -> exp.Expr:
        _count(name, args, 1, 3)
        value = args[0]
        if len(args) == 1:
            if name == "TO_TIMESTAMP" and isinstance(value, exp.Literal) and not value.is_string:
                return call(
                    "make_timestamp",
                    cast(
                        exp.Paren(
                            this=exp.Mul(this=value, expression=exp.Literal.number(1_000_000))
                        ),
                        "BIGINT",
                    ),
                )
            return cast(value, type_)
        # A third argument 1 asks for NULL where the text does not fit.
        function = "try_strptime" if len(args) == 3 and args[2].name == "1" else "strptime"
        parsed = call(function, value, _format(name, args[1]))
        return parsed if type_ == "TIMESTAMP" else cast(parsed, type_)

    return parse


def _convert(name: str, function: str) -> Translator:
    def convert(args: Args) -> exp.Expr:
        _count(name, args, 2, 2)
        if args[1].name.upper() not in ("UTF8", "UTF-8"):
            raise unsupported(f"{name}: type '{args[1].name}' is not supported")
        return call(function, args[0])

    return convert


def _ilike(args: Args) -> exp.Expr:
    _count("ILIKE", args, 2, 3)
    like = exp.ILike(this=args[0], expression=args[1])
    if len(args) == 3:
        return exp.Paren(this=exp.Escape(this=like, expression=args[2]))
    return exp.Paren(this=like)


def _next_day(args: Args) -> exp.Expr:
    _count("NEXT_DAY", args, 2, 2)
    days = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
    name = args[1].name.upper()[:3]
    if name not in days:
        raise invalid(f"NEXT_DAY: '{args[1].name}' is not a day of the week")
    date = cast(args[0], "DATE").sql("duckdb")
    text = f"{date} + CAST(1 + (({days.index(name)} + 7 - isodow({date})) % 7) AS INTEGER)"
    return exp.Paren(this=sqlglot.parse_one(text, read="duckdb"))


def _rename(function: str, low: int, high: int) -> Translator:
    def renamed(args: Args) -> exp.Expr:
        _count(function.upper(), args, low, high)
        return call(function, *args)

    return renamed


def _pad(function: str) -> Translator:
    def pad(args: Args) -> exp.Expr:
        _count(function.upper(), args, 2, 3)
        return call(function, *args, *([exp.Literal.string(" ")] if len(args) == 2 else []))

    return pad


def _regexp_replace(args: Args) -> exp.Expr:
    _count("REGEXP_REPLACE", args, 3, 3)
    return call("regexp_replace", *args, exp.Literal.string("g"))  # Dremio replaces all


def _utc_now(type_: str) -> Translator:
    def now(_: Args) -> exp.Expr:
        at_utc = exp.AtTimeZone(this=call("now"), zone=exp.Literal.string("UTC"))
        return cast(exp.Paren(this=at_utc), type_)

    return now


def _day_of_week(args: Args) -> exp.Expr:
    _count("DAYOFWEEK", args, 1, 1)
    one = exp.Literal.number(1)  # Dremio: Sunday is 1; DuckDB: 0
    return exp.Paren(this=exp.Add(this=call("dayofweek", args[0]), expression=one))


TRANSLATORS: dict[str, Translator] = {
    "TO_CHAR": _to_char,
    "DATE_FORMAT": _to_char,
    "TO_DATE": _to_time("TO_DATE", "DATE"),
    "TO_TIMESTAMP": _to_time("TO_TIMESTAMP", "TIMESTAMP"),
    "TO_TIME": _to_time("TO_TIME", "TIME"),
    "TIMESTAMPADD": _timestampadd,
    "TIMESTAMPDIFF": _timestampdiff,
    "DATEDIFF": _datediff,
    "DATE_DIFF": _datediff,
    "DATE_ADD": _date_shift("DATE_ADD", exp.Add),
    "DATE_SUB": _date_shift("DATE_SUB", exp.Sub),
    "DATE_TRUNC": _date_trunc,
    "NEXT_DAY": _next_day,
    "DAYOFWEEK": _day_of_week,
    "NOW": _utc_now("TIMESTAMP"),
    "LOCALTIMESTAMP": _utc_now("TIMESTAMP"),
    "CONVERT_FROM": _convert("CONVERT_FROM", "decode"),
    "CONVERT_TO": _convert("CONVERT_TO", "encode"),
    "ILIKE": _ilike,
    "BTRIM": _rename("trim", 1, 2),
    "NDV": _rename("approx_count_distinct", 1, 1),
    "APPROX_COUNT_DISTINCT": _rename("approx_count_distinct", 1, 1),
    "LPAD": _pad("lpad"),
    "RPAD": _pad("rpad"),
    "REGEXP_LIKE": _rename("regexp_matches", 2, 2),
    "REGEXP_MATCHES": _rename("regexp_matches", 2, 2),
    "REGEXP_REPLACE": _regexp_replace,
    "REGEXP_EXTRACT": _rename("regexp_extract", 2, 3),
    "LISTAGG": _rename("string_agg", 1, 2),
    "FLATTEN": _rename("unnest", 1, 1),
    "TRUNCATE": _rename("trunc", 1, 2),
    "LOCATE": lambda args: call("strpos", *reversed(args[:2])),
}

# Functions that sqlglot does not type and that mean the same in both.
SAME = frozenset(
    "ACOS ASCII ASIN ATAN ATAN2 BIT_LENGTH CBRT CHR COS COT COUNT_IF CORR COVAR_POP COVAR_SAMP"
    " CUME_DIST DEGREES DENSE_RANK EXP FIRST_VALUE GREATEST HASH INITCAP ISNULL LAG LAST_DAY"
    " LAST_VALUE LCASE LEAD LEAST LENGTH LN MEDIAN MOD MONTHNAME DAYNAME NTILE NTH_VALUE"
    " OCTET_LENGTH PERCENT_RANK PI POSITION RADIANS RANDOM RANK REPEAT REPLACE REVERSE ROUND"
    " ROW_NUMBER SIGN SIN SPLIT_PART STARTS_WITH STDDEV STDDEV_POP STDDEV_SAMP STRPOS SUBSTR TAN"
    " TRANSLATE TRUNC TYPEOF UCASE UNICODE VARIANCE VAR_POP VAR_SAMP WEEK WEEKOFYEAR DAYOFYEAR"
    " BOOL_AND BOOL_OR EVERY CONTAINS ENDS_WITH SOUNDEX".split()
)
_RENAMED = {"LCASE": "lower", "UCASE": "upper", "EVERY": "bool_and"}
_INTERNAL = frozenset({"cast_to_type"})  # calls that the translators and matching produce
_FORBIDDEN = (exp.ReadCSV, exp.ReadParquet, exp.Command, exp.Into, exp.Placeholder, exp.Parameter)


def _kept(name: str) -> Callable[[Args], exp.Expr]:
    return lambda args: exp.Anonymous(this=name, expressions=list(args))


class EngineParser(DremioParser):
    FUNCTIONS = {
        **{k: v for k, v in DremioParser.FUNCTIONS.items() if k not in TRANSLATORS},
        **{name: _kept(name) for name in TRANSLATORS},
    }
    FUNCTION_PARSERS = {
        k: v for k, v in DremioParser.FUNCTION_PARSERS.items() if k not in TRANSLATORS
    }


class EngineDialect(Dremio):
    class Tokenizer(Dremio.Tokenizer):
        COMMANDS = set()  # SHOW and EXPLAIN are ours to parse, not one opaque token

    Parser = EngineParser


DIALECT = EngineDialect()


def parse_query(sql: str) -> exp.Query:
    """Raises EngineError: not SQL, or not a query."""
    try:
        statements = [s for s in DIALECT.parse(sql) if s is not None]
    except (ParseError, TokenError) as fault:
        raise EngineError(Kind.PARSE, _parse_message(fault)) from None
    if len(statements) != 1:
        raise EngineError(Kind.PARSE, "Failure parsing the query: expected one statement.")
    tree = statements[0]
    if isinstance(tree, exp.Subquery):
        tree = tree.unnest() if not tree.args.get("order") else exp.select("*").from_(tree)
    if isinstance(tree, exp.Values):
        tree = exp.select("*").from_(tree)
    if not isinstance(tree, exp.Query):
        raise EngineError(Kind.PARSE, f"Failure parsing the query: {sql.split()[0]!r} unexpected.")
    return tree


def _parse_message(fault: ParseError | TokenError) -> str:
    details: list[dict[str, Any]] = getattr(fault, "errors", [])
    if details:
        first = details[0]
        return (
            f"Failure parsing the query. {first['description']} "
            f"line {first['line']}, column {first['col']}: {first['highlight']!r}"
        )
    return f"Failure parsing the query. {str(fault).splitlines()[0]}"


def translate(tree: exp.Expr) -> str:
    """DuckDB's SQL of an expanded query. Raises EngineError for what is not supported."""
    for node in tree.find_all(*_FORBIDDEN):
        raise unsupported(f"[{node.key}] is not supported")
    for select in tree.find_all(exp.Select):
        select.set("hint", None)
    for table in tree.find_all(exp.Table):
        if table.args.get("version"):
            raise unsupported("Time travel (AT ...) is not built yet in this engine.")
    tree = tree.copy()
    # Innermost first: a translated call takes its translated arguments along.
    for node in reversed(list(tree.walk(bfs=True))):
        translated = _translate_node(node)
        if translated is not node:
            node.replace(translated)
    return tree.sql("duckdb")


def _translate_node(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        return _translate_call(node)
    if isinstance(node, (exp.CurrentTimestamp, exp.Localtimestamp)):
        return _utc_now("TIMESTAMP")([])
    if isinstance(node, exp.CurrentDate):
        return _utc_now("DATE")([])
    if isinstance(node, exp.CurrentTime):
        return _utc_now("TIME")([])
    if isinstance(node, exp.Extract) and node.name.upper() in ("DOW", "DAYOFWEEK"):
        return _day_of_week([node.expression])
    if isinstance(node, (exp.Add, exp.Sub)) and isinstance(node.expression, exp.Interval):
        unit = (node.expression.text("unit") or "").upper().removesuffix("S")
        if unit in DATE_UNITS and not isinstance(node.this, exp.Literal):
            return call("cast_to_type", exp.Paren(this=node.copy()), node.this.copy())
    return node


def _translate_call(node: exp.Anonymous) -> exp.Expr:
    name = str(node.this)
    if name in _INTERNAL:
        return node
    upper = name.upper()
    if upper in TRANSLATORS:
        return TRANSLATORS[upper](list(node.expressions))
    if upper in SAME:
        return call(_RENAMED.get(upper, upper.lower()), *node.expressions)
    types = ", ".join("<ANY>" for _ in node.expressions)
    raise invalid(f"No match found for function signature {name}({types})")
