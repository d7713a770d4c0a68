"""Rows of the shop as CSV files, the same for the same size and day."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb

ORDERS_PER_SCALE_FACTOR = 1_500_000  # TPC-H specification, clause 4.2.5
LEAST_ORDERS = 1_000  # with fewer there is no supplier, and the generator fails
TPCH_TABLES = ("customer", "orders", "lineitem", "part")
TABLES = ("customers", "orders", "products")
MAPPING = Path(__file__).with_name("mapping.sql")


def generate(orders: int, as_of: date, folder: Path) -> dict[str, Path]:
    """dict table -> CSV file without header, columns as in schema.sql.

    orders: distinct orders; customers are a tenth of them. as_of: the day of seeding; order
    dates cover the 365 days before it. Raises RuntimeError when the generator fails.
    """
    _run_tpchgen(orders, folder)
    files = {table: folder / f"shop_{table}.csv" for table in TABLES}
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        for table in TPCH_TABLES:
            db.read_parquet(str(folder / f"{table}.parquet")).create_view(f"tpch_{table}")
        db.execute("SET VARIABLE as_of = ?::DATE", [as_of])
        db.execute("SET VARIABLE orders = ?::BIGINT", [orders])
        db.execute(MAPPING.read_text())
        for table, path in files.items():
            db.execute(f"COPY {table} TO '{path}' (FORMAT csv, HEADER false)")
    return files


def _run_tpchgen(orders: int, folder: Path) -> None:
    # One more than asked: the generator rounds the number of rows down.
    scale_factor = (max(orders, LEAST_ORDERS) + 1) / ORDERS_PER_SCALE_FACTOR
    command = [
        str(Path(sys.executable).with_name("tpchgen-cli")),
        "parquet",
        f"--scale-factor={scale_factor:.9f}",
        f"--tables={','.join(TPCH_TABLES)}",
        f"--output-dir={folder}",
        "--quiet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"tpchgen-cli failed ({done.returncode}): {done.stderr.strip()}")
