"""DuckDB as the execution engine: one in-memory database, one cursor per request."""

import importlib
import ssl
from pathlib import Path

import duckdb

from embedded.dremio.errors import EngineError, Kind

EXTENSIONS = ("httpfs", "postgres_scanner")
DATASETS = "ds"  # schema of the views that stand for physical datasets and materialisations

_KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (duckdb.InterruptException, Kind.CANCELED),
    (duckdb.OutOfMemoryException, Kind.RESOURCE),
    (duckdb.HTTPException, Kind.IO),
    (duckdb.IOException, Kind.IO),
    (duckdb.ParserException, Kind.PARSE),
    (duckdb.SyntaxException, Kind.PARSE),
    (duckdb.BinderException, Kind.VALIDATION),
    (duckdb.CatalogException, Kind.VALIDATION),
    (duckdb.ConversionException, Kind.FUNCTION),
    (duckdb.InvalidInputException, Kind.FUNCTION),
    (duckdb.OutOfRangeException, Kind.FUNCTION),
)


def extension_file(name: str) -> Path:
    """The signed extension that its wheel carries: INSTALL would need the internet."""
    module = importlib.import_module(f"duckdb_extension_{name}")
    files = sorted(Path(module.__path__[0]).rglob(f"{name}.duckdb_extension"))
    if not files:
        raise FileNotFoundError(f"duckdb_extension_{name}: its wheel holds no extension file")
    return files[0]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def translate_error(fault: duckdb.Error) -> EngineError:
    for type_, kind in _KINDS:
        if isinstance(fault, type_):
            # The rest of the message quotes our generated SQL, which the client never wrote.
            text = str(fault).split("\n\nLINE ")[0].split("\n")[0]
            return EngineError(kind, text.partition(": ")[2] or text)
    return EngineError(Kind.SYSTEM, str(fault).split("\n")[0])


class Duck:
    def __init__(self, scratch: Path, memory_limit: str | None, threads: int | None) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._db = duckdb.connect(":memory:")
        run = self._db.execute
        run("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        for name in EXTENSIONS:
            run(f"LOAD {literal(str(extension_file(name)))}")
        run(f"SET temp_directory = {literal(str(scratch))}")
        if memory_limit:
            run(f"SET memory_limit = {literal(memory_limit)}")
        if threads:
            run(f"SET threads = {threads}")
        # As OpenSSL does for everybody else in this process: SSL_CERT_FILE, or the machine's.
        if authorities := ssl.get_default_verify_paths().cafile:
            run(f"SET GLOBAL ca_cert_file = {literal(authorities)}")  # else not for cursors
        run("SET GLOBAL enable_server_cert_verification = true")
        run("SET TimeZone = 'UTC'")
        run("SET integer_division = true")  # Dremio: 7 / 2 is 3
        run("SET default_null_order = 'nulls_last'")
        run("SET parquet_metadata_cache = true")  # checked against each object's modification time
        run("SET pg_experimental_filter_pushdown = true")
        run(f"CREATE SCHEMA {DATASETS}")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._db.cursor()

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """All rows. Raises EngineError."""
        with self.cursor() as cursor:
            try:
                return cursor.execute(sql).fetchall()
            except duckdb.Error as fault:
                raise translate_error(fault) from fault

    def describe(self, select: str) -> list[tuple[str, str]]:
        """(name, DuckDB type) of each column of a query. Raises EngineError."""
        return [(str(row[0]), str(row[1])) for row in self.run(f"DESCRIBE {select}")]

    def close(self) -> None:
        self._db.close()
