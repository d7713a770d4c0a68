"""Command line of the sample source system: `python -m services.shop seed|change --config F`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg

from services.shop.generate import TABLES, generate

SCHEMA = Path(__file__).with_name("schema.sql")
CHANGE = Path(__file__).with_name("change.sql")
ORDERS_DEFAULT = 150_000  # TPC-H scale factor 0.1
ORDERS_RANGE = (100, 15_000_000)
SEED_LOCK = 0x73686F70  # "shop": two seeds of one database wait for each other


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where the database is, and how many orders it shall hold."""

    host: str
    port: int
    dbname: str
    user: str
    passwordFile: str  # noqa: N815 - as in the JSON
    orders: int = ORDERS_DEFAULT

    def __post_init__(self) -> None:
        low, high = ORDERS_RANGE
        if not low <= self.orders <= high:
            raise ValueError(f"orders: {self.orders}: expected {low} to {high}")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.dbname,
            user=self.user,
            password=Path(self.passwordFile).read_text().strip(),
            connect_timeout=10,
            application_name="shop",
        )


def read_config(values: Mapping[str, Any]) -> Config:
    """Raises ValueError for unknown, missing or wrong settings."""
    known = Config.__dataclass_fields__
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"unknown setting {unknown[0]!r}: expected {', '.join(known)}")
    if missing := sorted(set(known) - {"orders"} - set(values)):
        raise ValueError(f"setting {missing[0]!r} is missing")
    return Config(**values)


def seed(config: Config, as_of: date) -> str:
    """Fills the database in one transaction; leaves it alone when it has the size already.

    Returns a sentence about what was done.
    """
    mark = f"sample data: {config.orders} orders"
    with config.connect() as db:
        db.execute("SELECT pg_advisory_xact_lock(%s)", [SEED_LOCK])
        if _mark(db) == mark:
            return f"shop: already seeded with {config.orders:,} orders"
        db.execute(SCHEMA.read_bytes())
        db.execute(f"TRUNCATE {', '.join(TABLES)}".encode())
        with tempfile.TemporaryDirectory(prefix="shop-") as folder:
            files = generate(config.orders, as_of, Path(folder))
            counts = {table: _copy(db, table, path) for table, path in files.items()}
        # The mark belongs to the transaction: a seed that broke off leaves none.
        db.execute(f"COMMENT ON TABLE orders IS '{mark}'".encode())
    rows = ", ".join(f"{count:,} rows of {table}" for table, count in counts.items())
    return f"shop: seeded {rows}"


def change(config: Config, orders: int) -> str:
    """New and changed rows with the current time as updated_at."""
    if orders < 1:
        raise ValueError(f"orders: {orders}: expected 1 or more")
    with config.connect() as db:
        if _mark(db) is None:
            raise ValueError("the shop is empty: run `python -m services.shop seed` first")
        # New keys follow the highest one: two changes at once must not choose the same.
        db.execute("LOCK TABLE orders, customers IN SHARE ROW EXCLUSIVE MODE")
        counts = [
            db.execute(statement.encode(), {"orders": orders}).rowcount
            for statement in CHANGE.read_text().split(";\n")
            if statement.strip()
        ]
    return "shop: {} new orders, {} changed orders, {} changed customers".format(*counts)


def _mark(db: psycopg.Connection) -> str | None:
    row = db.execute("SELECT obj_description(to_regclass('public.orders'), 'pg_class')").fetchone()
    return row[0] if row else None


def _copy(db: psycopg.Connection, table: str, path: Path) -> int:
    with db.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    copy.write(block)
        return cursor.rowcount


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.shop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    seed_parser = commands.add_parser("seed", help="fill the database, once")
    change_parser = commands.add_parser("change", help="add and change rows")
    change_parser.add_argument("--orders", type=int, default=500, help="new orders")
    for command in (seed_parser, change_parser):
        command.add_argument("--config", type=Path, required=True, help="JSON file")
    options = parser.parse_args(arguments)
    try:
        config = read_config(json.loads(options.config.read_text()))
        if options.command == "seed":
            print(seed(config, datetime.now(UTC).date()))
        else:
            print(change(config, options.orders))
    except (ValueError, OSError, RuntimeError, psycopg.Error) as fault:
        print(f"shop: {options.config}: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
