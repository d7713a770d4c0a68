"""Tables that the engine writes into the lake."""

import io
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.embedded.dremio.conftest import Dremio, Lake, SqlError
from tests.services_fixtures import Server

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("orders")]
ORDERS = "lake.bronze.postgres.orders"


def footer(lake: Lake, key: str) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(lake.client.get_object(lake.bucket, key).read()))


def test_a_table_is_partitioned_sorted_and_compressed_by_the_sources_rule(
    dremio: Dremio, lake: Lake
) -> None:
    dremio.rows(
        "create table lake.gold.t partition by (yr, mon) localsort by (order_id) as"
        " select *, extract(year from order_date) as yr, extract(month from order_date) as mon"
        f" from {ORDERS}"
    )
    keys = lake.keys("gold/t/")
    assert {key.split("/")[2] for key in keys} == {"yr=2026"} and "mon=1/" in keys[0]
    column = footer(lake, keys[0]).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    dremio.rows(f"create table lake.silver.t as select * from {ORDERS}")
    (key,) = lake.keys("silver/t/")
    assert footer(lake, key).metadata.row_group(0).column(0).compression == "SNAPPY"
    sql = "select count(*) as n, sum(amount) as a from {} where {}"
    assert dremio.rows(sql.format("lake.gold.t", "mon = 1")) == dremio.rows(
        sql.format(ORDERS, "extract(month from order_date) = 1")
    )
    with pytest.raises(SqlError, match="already exists"):
        dremio.rows("create table lake.gold.t as select 1 as a")
    with pytest.raises(SqlError, match="Partition column"):
        dremio.rows("create table lake.gold.u partition by (x) as select 1 as a")


def test_transforms_and_empty_tables(dremio: Dremio, lake: Lake) -> None:
    dremio.rows(
        f"create table lake.gold.m partition by (month(order_date)) as select * from {ORDERS}"
    )
    assert all("/order_date_month=2026-0" in key for key in lake.keys("gold/m/"))
    assert "order_date_month" not in dremio.rows("select * from lake.gold.m")[0]
    dremio.rows("create table lake.gold.e partition by (a) as select 1 as a where 1 = 0")
    assert dremio.rows("select * from lake.gold.e") == []
    dremio.rows("insert into lake.gold.e select 5")
    assert dremio.rows("select * from lake.gold.e") == [{"a": 5}]


def test_changes_of_rows_and_columns(dremio: Dremio, lake: Lake) -> None:
    dremio.rows("create table lake.gold.c (id int, name varchar, price decimal(10,2))")
    dremio.rows("insert into lake.gold.c values (1, 'a', 1.5), (2, 'b', 2)")
    dremio.rows("insert into lake.gold.c (name, id) select 'c', 3")
    dremio.rows("update lake.gold.c set price = 9 where id = 3")
    dremio.rows("delete from lake.gold.c where id = 2")
    merged = dremio.rows(
        "merge into lake.gold.c as d using (select 1 as id, 'A' as name union all"
        " select 4, 'd') as s on (s.id = d.id) when matched then update set name = s.name"
        " when not matched then insert (id, name) values (s.id, s.name)"
    )
    assert merged == [{"Records": 2}]
    dremio.rows("alter table lake.gold.c add columns (note varchar)")
    dremio.rows('alter table lake.gold.c alter column "id" "id" bigint')
    assert dremio.rows("select * from lake.gold.c order by id") == [
        {"id": 1, "name": "A", "price": 1.5, "note": None},
        {"id": 3, "name": "c", "price": 9.0, "note": None},
        {"id": 4, "name": "d", "price": None, "note": None},
    ]
    dremio.rows("alter table lake.gold.c drop column price")
    assert len(lake.keys("gold/c/")) == 1  # each change left only its own file
    with pytest.raises(SqlError, match="was not created by this engine"):
        dremio.rows(f"delete from {ORDERS}")
    with pytest.raises(SqlError, match="was not created by this engine"):
        dremio.rows(f"drop table {ORDERS}")


def test_a_reader_keeps_its_files_until_it_ends(dremio: Dremio, lake: Lake) -> None:
    dremio.rows(f"create table lake.gold.t as select * from {ORDERS}")
    prepared = dremio.engine.executor.prepare("select * from lake.gold.t")
    batches = dremio.engine.jobs.stream(prepared, "reader")
    first = next(batches)
    dremio.rows("drop table lake.gold.t")
    assert lake.keys("gold/t/")  # still read
    assert first.num_rows + sum(batch.num_rows for batch in batches) == 8
    assert lake.keys("gold/t/") == []


def test_a_failed_or_interrupted_write_leaves_nothing(dremio: Dremio, lake: Lake) -> None:
    with pytest.raises(SqlError):
        dremio.rows(f"create table lake.gold.t as select cast(status as int) as a from {ORDERS}")
    assert lake.keys("gold/") == []
    dremio.rows(f"create table lake.gold.t as select * from {ORDERS}")
    kept = lake.keys("gold/t/")
    lake.put("gold/t/deadbeef00000000_0.parquet", b"half")  # as a killed process leaves it
    dremio.engine.store.put("write", "deadbeef00000000", {"path": ["lake", "gold", "t"]})
    dremio.engine.writer.recover()
    assert lake.keys("gold/t/") == kept


def test_views_build_on_views_and_reject_cycles(dremio: Dremio) -> None:
    dremio.rows(f"create view gold.a as select order_id as id, amount from {ORDERS}")
    dremio.rows(
        "create view gold.b as with x as (select * from gold.a) select sum(amount) s from x"
    )
    assert dremio.rows("select * from gold.b") == [{"s": 300.0}]
    with pytest.raises(SqlError, match="refers to itself"):
        dremio.rows("create or replace view gold.a as select s as id, s as amount from gold.b")
        dremio.rows("select * from gold.b")
    with pytest.raises(SqlError, match="Cannot create view"):
        dremio.rows("create view lake.gold.v as select 1 as a")


def test_postgres_tables_join_the_lake(dremio: Dremio, postgres_server: Server) -> None:
    where = {"host": postgres_server.host, "port": postgres_server.port,
             "user": postgres_server.user, "password": postgres_server.password}  # fmt: skip
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as link:
        link.execute("drop table if exists public.people")
        link.execute("create table public.people (customer_id bigint, name text, at timestamptz)")
        link.execute("insert into public.people values (1, 'Ada', '2026-01-01 10:00+02')")
    body: dict[str, Any] = {
        "entityType": "source", "name": "shop", "type": "POSTGRES",
        "config": {"hostname": where["host"], "port": str(where["port"]), "password": "wrong-one",
                   "databaseName": "postgres", "username": where["user"]},
    }  # fmt: skip
    refused = dremio.call("POST", "/api/v3/catalog", body, 400)["errorMessage"]
    assert "wrong-one" not in refused
    body["config"]["password"] = where["password"]
    made = dremio.call("POST", "/api/v3/catalog", body)
    assert made["config"]["password"] == "$DREMIO_EXISTING_VALUE$"
    assert dremio.rows(
        f"select p.name, p.at, sum(o.amount) as total from shop.public.people p join {ORDERS} o"
        " on o.customer_id = p.customer_id group by p.name, p.at"
    ) == [{"name": "Ada", "at": "2026-01-01 08:00:00.000", "total": 30.0}]
    assert dremio.by_path("shop", "public", "people")["type"] == "PHYSICAL_DATASET"
