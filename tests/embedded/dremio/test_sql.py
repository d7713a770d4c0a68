"""Translation to DuckDB and the parser of statements, without storage."""

from typing import Any

import duckdb
import pytest

from embedded.dremio.errors import EngineError, Kind
from embedded.dremio.sql import statements as s
from embedded.dremio.sql.dialect import parse_query, translate
from embedded.dremio.sql.formats import strftime


@pytest.fixture(scope="module")
def duck() -> Any:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET integer_division = true")
    connection.execute("SET default_null_order = 'nulls_last'")
    return connection


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("TO_CHAR(TIMESTAMP '2026-03-04 05:06:07.089', 'YYYY-MM-DD HH24:MI:SS.FFF')",
         "2026-03-04 05:06:07.089"),
        ("TO_CHAR(DATE '2026-03-04', 'yyyy/mm')", "2026/03"),
        ("CAST(TO_DATE('04.03.2026', 'DD.MM.YYYY') AS VARCHAR)", "2026-03-04"),
        ("CAST(TO_TIMESTAMP('2026-06-01 10:20:30.456','YYYY-MM-DD HH24:MI:SS.FFF') AS VARCHAR)",
         "2026-06-01 10:20:30.456"),
        ("TO_DATE('x', 'YYYY', 1)", None),
        ("DATEDIFF(DATE '2026-02-01', DATE '2026-01-01')", 31),  # end first
        ("TIMESTAMPDIFF(MONTH, DATE '2026-01-20', DATE '2026-02-19')", 0),  # whole units
        ("TIMESTAMPDIFF(SQL_TSI_HOUR, TIMESTAMP '2026-01-01 00:30:00',"
         " TIMESTAMP '2026-01-01 02:00:00')", 1),
        ("CAST(TIMESTAMPADD(SQL_TSI_DAY, 3, DATE '2026-01-30') AS VARCHAR)", "2026-02-02"),
        ("CAST(TIMESTAMPADD(QUARTER, 1, DATE '2026-01-30') AS VARCHAR)", "2026-04-30"),
        ("CAST(DATE_TRUNC('MONTH', DATE '2026-03-04') AS VARCHAR)", "2026-03-01"),  # stays a date
        ("CAST(DATE '2026-03-04' - INTERVAL '30' DAY + INTERVAL '1' DAY AS VARCHAR)",
         "2026-02-03"),
        ("CAST(DATE_ADD(DATE '2026-01-01', 3) AS VARCHAR)", "2026-01-04"),
        ("CAST(DATE_SUB(DATE '2026-01-31', CAST(2 AS INTERVAL MONTH)) AS VARCHAR)", "2025-11-30"),
        ("CAST(NEXT_DAY(DATE '2026-01-01', 'THU') AS VARCHAR)", "2026-01-08"),
        ("EXTRACT(DOW FROM DATE '2026-01-04')", 1),  # Sunday
        ("7 / 2", 3),
        ("ILIKE('ABC', 'a%')", True),
        ("BTRIM('  x ')", "x"),
        ("REGEXP_REPLACE('aXbX', 'X', '-')", "a-b-"),
        ("LPAD('7', 3)", "  7"),
        ("LOCATE('b', 'abc')", 2),
        ("POSITION('.' IN 'ab.c')", 3),
        ("CONVERT_FROM(CONVERT_TO('é', 'UTF8'), 'UTF8')", "é"),
        ("LENGTH(TO_CHAR(CURRENT_DATE, 'YYYY'))", 4),
        ("UPPER(TO_CHAR(DATE_TRUNC('YEAR', DATE '2026-05-05'), 'MON'))", "JAN"),  # nested
    ],
)  # fmt: skip
def test_functions_mean_what_dremio_means(duck: Any, sql: str, expected: Any) -> None:
    assert duck.execute(translate(parse_query(f"SELECT {sql}"))).fetchone()[0] == expected


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_nulls_come_last(duck: Any, direction: str) -> None:
    sql = f"SELECT a FROM (VALUES (1), (NULL), (2)) AS t(a) ORDER BY a {direction}"
    assert duck.execute(translate(parse_query(sql))).fetchall()[-1] == (None,)


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT getenv('HOME')", "No match found for function signature getenv"),
        ("SELECT * FROM read_csv('/etc/passwd')", "not supported"),
        ("SELECT read_text('/etc/passwd')", "No match found"),
        ("SELECT DATEDIFF('day', DATE '2026-01-01', DATE '2026-01-02')", "Was expecting 2"),
        ("SELECT TO_CHAR(1, '#,##0')", "number format"),
        ("SELECT * FROM t AT SNAPSHOT '1'", "Time travel"),
        ("SELECT 1 FROM a b c", "Failure parsing"),
        ("SELECT 1; SELECT 2", "one statement"),
    ],
)
def test_what_is_not_covered_is_refused(sql: str, part: str) -> None:
    with pytest.raises(EngineError, match=part):
        translate(parse_query(sql))


def test_an_unknown_format_element_is_refused() -> None:
    assert strftime('YYYY-MM-DD"T"HH24') == "%Y-%m-%dT%H"
    with pytest.raises(EngineError, match="Invalid date format"):
        strftime("YYYY-QQ")


PATH = ("lake", "gold", "t")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('/* {"app": "dbt"} */\n create or replace view "a"."b" as select 1;',
         s.CreateView(("a", "b"), "select 1", True)),
        ("drop table if exists lake.gold.t", s.Drop("TABLE", PATH, True)),
        ("create table lake.gold.t partition by (a, month(d), bucket(4, c)) localsort by (a)"
         " store as (type => 'parquet') as (select 1 a)",
         s.CreateTable(PATH, "(select 1 a)", False, (), (),
                       (s.Partition("a"), s.Partition("d", "MONTH"),
                        s.Partition("c", "BUCKET", 4)),
                       ("a",), {"type": "parquet"})),
        ('insert into lake.gold.t( "a", "b" ) select 1, 2',
         s.Insert(PATH, ("a", "b"), "select 1, 2")),
        ("alter pds lake.gold.t refresh metadata auto promotion force update delete when missing",
         s.RefreshMetadata(PATH, True, True)),
        ("alter table lake.gold.t forget metadata", s.ForgetMetadata(PATH)),
        ("alter table lake.gold.t refresh reflections", s.RefreshReflections(PATH)),
        ("alter table lake.gold.t add columns (a int, b decimal(10,2))",
         s.AlterColumns(PATH, "ADD", (("a", "a", "int"), ("b", "b", "decimal(10,2)")))),
        ("show tables in lake.gold like 'f%'", s.Show("TABLES", ("lake", "gold"), "f%")),
        ('describe "lake.gold"."t"', s.Describe(("lake.gold", "t"))),
        ("explain plan for select 1", s.Explain("select 1")),
        ("create folder if not exists a.b", s.CreateContainer("FOLDER", ("a", "b"), True)),
        ("grant select on table a to role b;", s.EnterpriseOnly("GRANT action")),
        ("alter table lake.gold.t create aggregate reflection r using dimensions (d by day, e)"
         " measures (x (sum, approximate count distinct)) localsort by (d)",
         s.CreateReflection(PATH, "r", "AGGREGATION", {
             "dimensionFields": [{"name": "d", "granularity": "DATE"},
                                 {"name": "e", "granularity": "NORMAL"}],
             "measureFields": [{"name": "x",
                                "measureTypeList": ["SUM", "APPROX_COUNT_DISTINCT"]}],
             "sortFields": [{"name": "d"}]})),
    ],
)  # fmt: skip
def test_statements_are_read(sql: str, expected: s.Statement) -> None:
    assert s.parse(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE REFLECTION raw_customers ON bronze.customers USING DISPLAY (customer_id)",
        "ALTER REFLECTION agg_orders SET ENABLED = TRUE",
        "ALTER REFLECTION agg_daily_revenue SET REFRESH EVERY 1 HOUR",
        "CREATE TABLE a.b",
        "DROP TABLE a.b c",
        "",
        "-- nothing",
        "PRAGMA database_list",
        "COPY x TO 'y'",
        "ATTACH 'x'",
    ],
)
def test_what_dremio_rejects_is_rejected(sql: str) -> None:
    with pytest.raises(EngineError) as caught:
        s.parse(sql)
    assert caught.value.kind is Kind.PARSE
