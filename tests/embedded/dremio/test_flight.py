"""Flight and Flight SQL with the clients that people use."""

import base64
import json
import subprocess
from typing import Any

import adbc_driver_flightsql.dbapi as adbc
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from tests.embedded.dremio.conftest import PASSWORD, USER, Dremio, Lake
from tools.paths import Paths

pytestmark = pytest.mark.service

ALLOWED = {
    pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.utf8(), pa.binary(),
    pa.date32(), pa.timestamp("ms"), pa.time32("ms"),
}  # fmt: skip


def test_the_specifications_snippet_with_credentials(dremio: Dremio, orders: Any) -> None:
    client = flight.FlightClient(f"grpc://127.0.0.1:{dremio.flight_port}")
    token = client.authenticate_basic_token(USER, PASSWORD)
    options = flight.FlightCallOptions(headers=[token])
    descriptor = flight.FlightDescriptor.for_command(
        b"SELECT * FROM lake.bronze.postgres.orders LIMIT 1000"
    )
    info = client.get_flight_info(descriptor, options)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.num_rows == 8 and table.schema == info.schema
    assert table.schema.field("order_date").type == pa.timestamp("ms")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.get_flight_info(descriptor)


def test_wrong_and_unpadded_credentials(dremio: Dremio) -> None:
    client = flight.FlightClient(f"grpc://127.0.0.1:{dremio.flight_port}")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.authenticate_basic_token(USER, "wrong")
    packed = base64.b64encode(f"{USER}:{PASSWORD}".encode()).rstrip(b"=")
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + packed)])
    descriptor = flight.FlightDescriptor.for_command(b"SELECT 1")
    assert client.get_flight_info(descriptor, options).schema == pa.schema(
        [("EXPR$0", pa.int32())]
    )


def test_only_the_agreed_types_leave(dremio: Dremio) -> None:
    table = dremio.table(
        "SELECT 1 AS i, CAST(2 AS BIGINT) AS l, SUM(CAST(3 AS BIGINT)) AS s, COUNT(*) AS c,"
        " 1.5 AS d,"
        " CAST(1 AS DOUBLE) AS f, 'x' AS t, TRUE AS b, DATE '2026-01-01' AS da,"
        " TIMESTAMP '2026-01-01 10:00:00.123' AS ts, TIME '10:00:00' AS ti,"
        " CURRENT_TIMESTAMP AS n,"
        " AVG(3) AS a, EXTRACT(YEAR FROM DATE '2026-01-01') AS y, NULL AS nu,"
        " DAYOFWEEK(CURRENT_DATE)"
    )
    for field in table.schema:
        assert field.type in ALLOWED or pa.types.is_decimal128(field.type), field
    assert table.schema.field("i").type == pa.int32()
    assert table.schema.field("s").type == pa.int64()
    assert table.schema.names[-1] == "EXPR$15"


def test_no_rows_still_send_one_batch(dremio: Dremio) -> None:
    client, options = dremio.flight()
    command = flight.FlightDescriptor.for_command("SELECT 1 AS a WHERE 1 = 0")
    info = client.get_flight_info(command, options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    batch = reader.read_chunk().data
    assert batch.num_rows == 0 and batch.schema.names == ["a"]


def test_large_results_arrive_whole_and_in_order(dremio: Dremio, lake: Lake) -> None:
    lake.put_parquet("bronze/big/a.parquet", pa.table({"x": pa.array(range(300_000), pa.int64())}))
    dremio.promote("lake", "bronze", "big")
    table = dremio.table("SELECT x FROM lake.bronze.big ORDER BY x DESC")
    assert table["x"].to_pylist() == list(range(299_999, -1, -1))
    job = dremio.rows(
        "SELECT status, rows_returned FROM sys.jobs_recent WHERE query_type = 'FLIGHT'"
    )
    assert job == [{"status": "COMPLETED", "rows_returned": 300_000}]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", pa.ArrowInvalid),
        ("SELECT * FROM nowhere.nothing", pa.ArrowInvalid),
        ("SELECT missing FROM sys.version", pa.ArrowInvalid),
        ("GRANT SELECT ON TABLE a TO ROLE b", pa.ArrowInvalid),
        ("SELECT * FROM sys.privileges", flight.FlightInternalError),
    ],
)
def test_errors_have_the_products_codes(dremio: Dremio, sql: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        dremio.table(sql)


def test_ddl_travels_the_query_path(dremio: Dremio, lake: Lake) -> None:
    made = dremio.table("CREATE VIEW gold.one AS SELECT 1 AS a")
    assert made.to_pylist() == [{"ok": True, "summary": "View 'gold.one' created successfully"}]
    assert dremio.table("SELECT * FROM gold.one").to_pylist() == [{"a": 1}]


@pytest.fixture
def connection(dremio: Dremio) -> Any:
    with adbc.connect(
        f"grpc://127.0.0.1:{dremio.flight_port}",
        db_kwargs={"username": USER, "password": PASSWORD},
        autocommit=True,
    ) as opened:
        yield opened


def test_adbc_reads_rows_and_the_catalog(connection: Any, orders: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, COUNT(*) AS n FROM lake.bronze.postgres.orders GROUP BY 1")
        assert sorted(cursor.fetchall(), key=str) == [("completed", 6), ("open", 1), (None, 1)]
        with pytest.raises(adbc.Error, match="not found within"):
            cursor.execute("SELECT * FROM lake.none")
    assert "TABLE" in connection.adbc_get_table_types()
    found = connection.adbc_get_objects(depth="all", table_name_filter="orders").read_all()
    schemas = found.to_pylist()[0]["catalog_db_schemas"]
    assert "lake.bronze.postgres" in [item["db_schema_name"] for item in schemas]
    assert connection.adbc_get_info()["vendor_name"] == "Dremio Server"


def test_adbc_runs_ddl(connection: Any, lake: Lake) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE lake.gold.t AS SELECT 1 AS a")
        assert cursor.fetchall() == [("0_0", 1)]
        cursor.execute("SELECT a FROM lake.gold.t")
        assert cursor.fetchall() == [(1,)]


SUPERSET = """
import json, sys
from sqlalchemy import create_engine, text
engine = create_engine(sys.argv[1])
with engine.connect() as c:
    out = [[list(map(str, row)) for row in c.execute(text(sql))] for sql in json.load(sys.stdin)]
print(json.dumps(out))
"""  # noqa: Q001


def test_supersets_dialect_gets_its_answers(dremio: Dremio, orders: Any) -> None:
    python = Paths.find().venvs / "superset" / "bin" / "python"
    if not python.exists():
        pytest.skip("Superset is not installed: make bootstrap")
    dremio.rows("CREATE TABLE lake.gold.fct AS SELECT order_id, order_date, amount FROM "
                "lake.bronze.postgres.orders")  # fmt: skip
    statements = [
        "SELECT 1",
        "SHOW SCHEMAS",
        "SELECT TABLE_NAME FROM INFORMATION_SCHEMA.\"TABLES\" WHERE TABLE_SCHEMA = 'lake.gold'",
        "SELECT COUNT(*) FROM INFORMATION_SCHEMA.\"TABLES\" WHERE TABLE_NAME = 'fct'"
        " AND TABLE_SCHEMA = 'lake.gold'",
        'DESCRIBE "lake.gold"."fct"',
        'SELECT DATE_TRUNC(\'MONTH\', "order_date") AS "order_date", SUM("amount") AS "s_6c3549"'
        ' FROM "lake"."gold"."fct" WHERE "order_date" >='
        " TO_TIMESTAMP('2026-02-01 00:00:00.000','YYYY-MM-DD HH24:MI:SS.FFF')"
        " AND \"order_date\" < TO_DATE('2026-04-01','YYYY-MM-DD')"
        ' GROUP BY DATE_TRUNC(\'MONTH\', "order_date") ORDER BY "s_6c3549" DESC LIMIT 10',
        'SELECT * FROM "lake"."gold"."fct" WHERE 1 = 0',
    ]
    url = f"dremio+flight://{USER}:{PASSWORD}@127.0.0.1:{dremio.flight_port}/dremio?UseEncryption=false"
    done = subprocess.run([str(python), "-c", SUPERSET, url], input=json.dumps(statements),
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one, schemas, tables, count, columns, rows, none = json.loads(done.stdout)
    assert one == [["1"]] and ["lake.gold"] in schemas and tables == [["fct"]] and count == [["1"]]
    assert [column[:2] for column in columns] == [
        ["order_id", "BIGINT"], ["order_date", "TIMESTAMP"], ["amount", "DECIMAL"]
    ]  # fmt: skip
    assert [row[0][:7] for row in rows] == ["2026-02", "2026-03"] and none == []
