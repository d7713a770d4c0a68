"""Statements other than queries: what they are, and the parser that tells them apart.

sqlglot reduces most of them to an opaque command, so a recursive-descent parser over its tokens
reads them; the SELECT inside goes to `dialect.parse_query` as text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from embedded.dremio.catalog.model import Path
from embedded.dremio.errors import EngineError, Kind
from embedded.dremio.sql.dialect import DIALECT

TRANSFORMS = ("YEAR", "MONTH", "DAY", "HOUR", "BUCKET", "TRUNCATE", "IDENTITY")
MEASURES = {
    "SUM": "SUM",
    "COUNT": "COUNT",
    "MIN": "MIN",
    "MAX": "MAX",
    "APPROXIMATE COUNT DISTINCT": "APPROX_COUNT_DISTINCT",
}


@dataclass(frozen=True)
class Query:
    sql: str


@dataclass(frozen=True)
class Explain:
    sql: str


@dataclass(frozen=True)
class CreateView:
    path: Path
    sql: str
    replace: bool


@dataclass(frozen=True)
class Drop:
    """what: TABLE, VIEW or SPACE."""

    what: str
    path: Path
    if_exists: bool


@dataclass(frozen=True)
class Partition:
    """A partition column. transform: one of TRANSFORMS; argument: of BUCKET and TRUNCATE."""

    column: str
    transform: str = "IDENTITY"
    argument: int | None = None


@dataclass(frozen=True)
class CreateTable:
    """select: None makes an empty table of `columns` (name, declared type)."""

    path: Path
    select: str | None
    if_not_exists: bool
    columns: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    partitions: tuple[Partition, ...] = ()
    sort: tuple[str, ...] = ()
    store_as: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Insert:
    path: Path
    columns: tuple[str, ...]
    select: str


@dataclass(frozen=True)
class Change:
    """UPDATE, DELETE or MERGE; `sql` is the whole statement."""

    path: Path
    sql: str


@dataclass(frozen=True)
class CreateContainer:
    """what: FOLDER or SPACE."""

    what: str
    path: Path
    if_not_exists: bool


@dataclass(frozen=True)
class RefreshMetadata:
    path: Path
    auto_promotion: bool
    force: bool


@dataclass(frozen=True)
class ForgetMetadata:
    path: Path


@dataclass(frozen=True)
class RefreshReflections:
    path: Path


@dataclass(frozen=True)
class CreateReflection:
    """fields: the REST body's field lists."""

    path: Path
    name: str
    type: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class DropReflection:
    path: Path
    name: str


@dataclass(frozen=True)
class SetAcceleration:
    path: Path
    type: str
    enabled: bool


@dataclass(frozen=True)
class AlterColumns:
    """action: ADD, DROP or CHANGE. columns: (name, new name, declared type)."""

    path: Path
    action: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class RefreshSource:
    path: Path


@dataclass(frozen=True)
class Show:
    """what: SCHEMAS, TABLES or VIEWS."""

    what: str
    path: Path
    like: str | None


@dataclass(frozen=True)
class Describe:
    path: Path


@dataclass(frozen=True)
class Use:
    path: Path


@dataclass(frozen=True)
class EnterpriseOnly:
    """action: as the product's error names it."""

    action: str


Statement = (
    Query
    | EnterpriseOnly
    | Explain
    | CreateView
    | Drop
    | CreateTable
    | Insert
    | Change
    | CreateContainer
    | RefreshMetadata
    | ForgetMetadata
    | RefreshReflections
    | CreateReflection
    | DropReflection
    | SetAcceleration
    | AlterColumns
    | RefreshSource
    | Show
    | Describe
    | Use
)

# Enterprise edition only; Community parses them and fails so (GRANT and CREATE USER alike).
_ENTERPRISE = (
    ("GRANT",),
    ("REVOKE",),
    ("CREATE", "USER"),
    ("ALTER", "USER"),
    ("DROP", "USER"),
    ("CREATE", "ROLE"),
    ("DROP", "ROLE"),
)


def parse(sql: str) -> Statement:
    """Raises EngineError."""
    try:
        tokens = [t for t in DIALECT.tokenize(sql) if t.token_type is not TokenType.HINT]
    except TokenError as fault:
        raise EngineError(Kind.PARSE, f"Failure parsing the query. {fault}") from None
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise EngineError(Kind.PARSE, "Failure parsing the query: it is empty.")
    return _Parser(sql, tokens).statement()


class _Parser:
    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self._sql = sql
        self._tokens = tokens
        self._at = 0

    # -- tokens ------------------------------------------------------------------------------

    def _word(self, ahead: int = 0) -> str:
        """The word ahead in upper case; "" at the end and for anything quoted."""
        index = self._at + ahead
        if index >= len(self._tokens):
            return ""
        token = self._tokens[index]
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            return ""
        return " ".join(token.text.upper().split())

    def _match(self, *words: str) -> bool:
        """Consumes the words when all of them come next. A token may hold several words."""
        start = self._at
        wanted = list(words)
        while wanted:
            found = self._word().split()
            if not found or found != wanted[: len(found)]:
                self._at = start
                return False
            del wanted[: len(found)]
            self._at += 1
        return True

    def _expect(self, *words: str) -> None:
        if not self._match(*words):
            raise self._unexpected(" ".join(words))

    def _unexpected(self, expected: str) -> EngineError:
        if self._at >= len(self._tokens):
            return EngineError(Kind.PARSE, f"Failure parsing the query. Expected {expected}.")
        token = self._tokens[self._at]
        return EngineError(
            Kind.PARSE,
            f"Failure parsing the query. Encountered '{token.text}' at line {token.line}, "
            f"column {token.col}. Was expecting: {expected}",
        )

    def _end(self) -> None:
        if self._at < len(self._tokens):
            raise self._unexpected("the end of the statement")

    def _rest(self) -> str:
        """The text from here to the end."""
        if self._at >= len(self._tokens):
            raise self._unexpected("a query")
        text = self._sql[self._tokens[self._at].start : self._tokens[-1].end + 1]
        self._at = len(self._tokens)
        return text

    def _name(self) -> str:
        if self._at >= len(self._tokens):
            raise self._unexpected("a name")
        token = self._tokens[self._at]
        plain = token.text.replace("_", "a").replace("$", "a").replace("@", "a")
        if token.token_type is TokenType.STRING or not (
            token.token_type is TokenType.IDENTIFIER or plain.isalnum()
        ):
            raise self._unexpected("a name")
        self._at += 1
        return token.text

    def _path(self) -> Path:
        parts = [self._name()]
        while self._match("."):
            parts.append(self._name())
        return tuple(parts)

    def _parenthesised(self, item: Callable[[], Any]) -> list[Any]:
        self._expect("(")
        items: list[Any] = []
        if self._match(")"):
            return items
        while True:
            items.append(item())
            if self._match(")"):
                return items
            self._expect(",")

    def _if(self, *words: str) -> bool:
        return self._match("IF", *words)

    # -- statements --------------------------------------------------------------------------

    def statement(self) -> Statement:
        for words in _ENTERPRISE:
            if self._match(*words):
                action = f"{words[0]} action" if len(words) == 1 else " ".join(words)
                return EnterpriseOnly(action)
        rules: dict[str, Callable[[], Statement]] = {
            "CREATE": self._create,
            "DROP": self._drop,
            "INSERT": self._insert,
            "UPDATE": self._change,
            "DELETE": self._change,
            "MERGE": self._change,
            "ALTER": self._alter,
            "SHOW": self._show,
            "DESCRIBE": self._describe,
            "DESC": self._describe,
            "USE": self._use,
            "EXPLAIN": self._explain,
        }
        first = self._word().split()[:1]
        rule = rules.get(first[0]) if first else None
        if rule is not None:
            statement = rule()
            self._end()
            return statement
        if first and first[0] in ("SELECT", "WITH", "VALUES", "("):
            return Query(self._sql)
        raise self._unexpected("a statement")

    def _create(self) -> Statement:
        self._expect("CREATE")
        replace = self._match("OR", "REPLACE")
        if self._match("VIEW") or self._match("VDS"):
            path = self._path()
            self._expect("AS")
            return CreateView(path, self._rest(), replace)
        if replace:
            raise self._unexpected("VIEW")
        if self._match("TABLE"):
            return self._create_table()
        for what in ("FOLDER", "SPACE"):
            if self._match(what):
                missing_only = self._if("NOT", "EXISTS")
                return CreateContainer(what, self._path(), missing_only)
        raise self._unexpected("VIEW, TABLE or FOLDER")

    def _create_table(self) -> CreateTable:
        missing_only = self._if("NOT", "EXISTS")
        path = self._path()
        columns: tuple[tuple[str, str], ...] = ()
        names: tuple[str, ...] = ()
        if self._word() == "(":
            listed = self._parenthesised(self._column)
            if any(type_ for _, type_ in listed):
                columns = tuple(listed)
            else:
                names = tuple(name for name, _ in listed)
        for method in ("STRIPED", "HASH", "ROUNDROBIN"):
            self._match(method)
        partitions: list[Partition] = []
        sort: list[str] = []
        options: dict[str, str] = {}
        while self._word() not in ("AS", ""):
            if self._match("PARTITION", "BY"):
                partitions = self._parenthesised(self._partition)
            elif self._match("DISTRIBUTE", "BY"):
                self._parenthesised(self._name)  # one process: nothing to distribute
            elif self._match("LOCALSORT", "BY") or self._match("CLUSTER", "BY"):
                sort = self._parenthesised(self._name)
            elif self._match("STORE", "AS"):
                options = dict(self._parenthesised(self._option))
            elif self._match("TBLPROPERTIES"):
                self._parenthesised(self._option)
            else:
                self._expect("WITH", "SINGLE", "WRITER")
        select = self._rest() if self._match("AS") else None
        if select is None and not columns:
            raise self._unexpected("AS")
        return CreateTable(
            path,
            select,
            missing_only,
            columns,
            names,
            tuple(partitions),
            tuple(sort),
            options,
        )

    def _column(self) -> tuple[str, str]:
        name = self._name()
        return name, "" if self._word() in (",", ")") else self._type()

    def _type(self) -> str:
        text = self._name()
        while self._word() in ("VARYING", "PRECISION"):
            text += " " + self._name()
        if self._word() == "(":
            text += "(" + ",".join(self._parenthesised(self._name)) + ")"
        return text

    def _option(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        name = token.text
        self._at += 1
        if not self._match("=>"):
            self._expect("=")
        value = self._tokens[self._at].text
        self._at += 1
        return name.lower(), value

    def _partition(self) -> Partition:
        name = self._name()
        if self._word() != "(":
            return Partition(name)
        if name.upper() not in TRANSFORMS:
            raise self._unexpected("a transform: " + ", ".join(TRANSFORMS))
        arguments = self._parenthesised(self._name)
        if len(arguments) == 2:
            return Partition(arguments[1], name.upper(), int(arguments[0]))
        return Partition(arguments[0], name.upper())

    def _drop(self) -> Statement:
        self._expect("DROP")
        for what, word in (("TABLE", "TABLE"), ("VIEW", "VIEW"), ("VIEW", "VDS"), ("SPACE",) * 2):
            if self._match(word):
                existing_only = self._if("EXISTS")
                return Drop(what, self._path(), existing_only)
        raise self._unexpected("TABLE or VIEW")

    def _insert(self) -> Insert:
        self._expect("INSERT", "INTO")
        path = self._path()
        columns: list[str] = []
        if self._word() == "(" and self._word(1) not in ("SELECT", "WITH", "VALUES", "("):
            columns = self._parenthesised(self._name)
        return Insert(path, tuple(columns), self._rest())

    def _change(self) -> Change:
        start = self._at
        if not (self._match("MERGE", "INTO") or self._match("DELETE", "FROM")):
            self._expect("UPDATE")
        path = self._path()
        self._at = start
        return Change(path, self._rest())

    def _alter(self) -> Statement:
        self._expect("ALTER")
        if self._match("SOURCE"):
            path = self._path()
            self._expect("REFRESH", "STATUS")
            return RefreshSource(path)
        for what in ("TABLE", "PDS", "VIEW", "VDS", "DATASET"):
            if self._match(what):
                return self._alter_dataset(self._path())
        raise self._unexpected("TABLE, PDS, VIEW, VDS, DATASET or SOURCE")

    def _alter_dataset(self, path: Path) -> Statement:
        if self._match("REFRESH", "METADATA"):
            return self._refresh_metadata(path)
        if self._match("FORGET", "METADATA"):
            return ForgetMetadata(path)
        if self._match("REFRESH", "REFLECTIONS"):
            return RefreshReflections(path)
        if self._match("CREATE"):
            return self._create_reflection(path)
        if self._match("DROP", "REFLECTION"):
            return DropReflection(path, self._name())
        for word, enabled in (("ENABLE", True), ("DISABLE", False)):
            for what, type_ in (("RAW", "RAW"), ("AGGREGATE", "AGGREGATION")):
                if self._match(word, what, "ACCELERATION"):
                    return SetAcceleration(path, type_, enabled)
        if self._match("ADD", "COLUMNS"):
            added = self._parenthesised(self._column)
            return AlterColumns(path, "ADD", tuple((n, n, t) for n, t in added))
        if self._match("DROP"):
            self._match("COLUMN")
            name = self._name()
            return AlterColumns(path, "DROP", ((name, name, ""),))
        if self._match("ALTER", "COLUMN") or self._match("CHANGE", "COLUMN"):
            old, new = self._name(), self._name()
            return AlterColumns(path, "CHANGE", ((old, new, self._type()),))
        raise self._unexpected("REFRESH, FORGET, CREATE, DROP, ADD, ALTER, ENABLE or DISABLE")

    def _refresh_metadata(self, path: Path) -> RefreshMetadata:
        promotion = force = False
        if self._match("FOR", "PARTITIONS"):
            self._parenthesised(self._option)
        while self._at < len(self._tokens):
            if self._match("AUTO", "PROMOTION"):
                promotion = True
            elif self._match("FORCE", "UPDATE"):
                force = True
            elif not (
                self._match("AVOID", "PROMOTION")
                or self._match("LAZY", "UPDATE")
                or self._match("MAINTAIN", "WHEN", "MISSING")
            ):
                self._expect("DELETE", "WHEN", "MISSING")
        return RefreshMetadata(path, promotion, force)

    def _create_reflection(self, path: Path) -> CreateReflection:
        fields: dict[str, Any] = {}
        if self._match("RAW", "REFLECTION"):
            type_, name = "RAW", self._name()
            self._expect("USING", "DISPLAY")
            fields["displayFields"] = self._fields()
        elif self._match("AGGREGATE", "REFLECTION"):
            type_, name = "AGGREGATION", self._name()
            self._expect("USING")
            if self._match("DIMENSIONS"):
                fields["dimensionFields"] = self._parenthesised(self._dimension)
            if self._match("MEASURES"):
                fields["measureFields"] = self._parenthesised(self._measure)
        else:
            raise self._unexpected("RAW REFLECTION or AGGREGATE REFLECTION")
        self._reflection_layout(fields)
        return CreateReflection(path, name, type_, fields)

    def _reflection_layout(self, fields: dict[str, Any]) -> None:
        while self._at < len(self._tokens):
            if self._match("DISTRIBUTE", "BY"):
                fields["distributionFields"] = self._fields()
            elif self._match("STRIPED") or self._match("CONSOLIDATED"):
                fields["partitionDistributionStrategy"] = self._word(-1)
            elif self._match("PARTITION", "BY"):
                parts = self._parenthesised(self._partition)
                fields["partitionFields"] = [partition_field(part) for part in parts]
            elif self._match("LOCALSORT", "BY"):
                fields["sortFields"] = self._fields()
            else:
                self._expect("ARROW", "CACHE")
                fields["arrowCachingEnabled"] = True

    def _fields(self) -> list[dict[str, str]]:
        return [{"name": name} for name in self._parenthesised(self._name)]

    def _dimension(self) -> dict[str, str]:
        name = self._name()
        return {"name": name, "granularity": "DATE" if self._match("BY", "DAY") else "NORMAL"}

    def _measure(self) -> dict[str, Any]:
        name = self._name()
        return {"name": name, "measureTypeList": self._parenthesised(self._measure_type)}

    def _measure_type(self) -> str:
        for words, type_ in MEASURES.items():
            if self._match(*words.split()):
                return type_
        raise self._unexpected("a measure: " + ", ".join(MEASURES))

    def _show(self) -> Show:
        self._expect("SHOW")
        for words, what in (
            ("SCHEMAS",) * 2,
            ("DATABASES", "SCHEMAS"),
            ("TABLES",) * 2,
            ("VIEWS",) * 2,
        ):
            if self._match(words):
                inside = self._path() if self._match("IN") or self._match("FROM") else ()
                like = None
                if self._match("LIKE"):
                    like = self._tokens[self._at].text
                    self._at += 1
                return Show(what, inside, like)
        raise self._unexpected("SCHEMAS, TABLES or VIEWS")

    def _describe(self) -> Describe:
        self._at += 1
        self._match("TABLE")
        return Describe(self._path())

    def _use(self) -> Use:
        self._expect("USE")
        return Use(self._path())

    def _explain(self) -> Explain:
        self._expect("EXPLAIN")
        self._match("PLAN")
        self._match("WITH", "IMPLEMENTATION")
        self._expect("FOR")
        return Explain(self._rest())


def partition_field(part: Partition) -> dict[str, Any]:
    """The REST body of a reflection's partition field."""
    transform: dict[str, Any] = {"type": part.transform}
    if part.transform == "BUCKET":
        transform["bucketTransform"] = {"bucketCount": part.argument}
    if part.transform == "TRUNCATE":
        transform["truncateTransform"] = {"truncateLength": part.argument}
    return {"name": part.column, "transform": transform}
