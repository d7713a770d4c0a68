"""A reflection's answer equals that of the base data, for generated queries."""

import math
import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tests.embedded.dremio.conftest import Dremio, Lake

pytestmark = pytest.mark.service

TABLE = "lake.bronze.sales"
EXACT = ("region", "product", "day", "qty", "n")
SEED = 20260101
QUERIES = 150


def sales(rows: int = 4000) -> pa.Table:
    rng = random.Random(SEED)
    pick = lambda values: [rng.choice(values) for _ in range(rows)]  # noqa: E731
    times = [1_767_225_600_000 + rng.randrange(90 * 86_400_000) for _ in range(rows)]
    return pa.table(
        {
            "region": pick(["north", "south", "", None]),
            "product": pa.array(pick([1, 2, 3, 4, 5, None]), pa.int32()),
            "day": pa.array(pick([None, *range(20_454, 20_484)]), pa.date32()),
            "at": pa.array(times, pa.timestamp("ms")),
            "amount": pa.array(
                [None if rng.random() < 0.1 else Decimal(rng.randrange(-9999, 9999)) / 100
                 for _ in range(rows)], pa.decimal128(12, 2)),
            "qty": pa.array(pick([None, 0, 1, 2**40, -7]), pa.int64()),
            "weight": pa.array(pick([None, 0.5, 1.25, -3.0]), pa.float64()),
        }
    )  # fmt: skip


@pytest.fixture
def dataset(dremio: Dremio, lake: Lake) -> str:
    lake.put_parquet("bronze/sales/part-0.parquet", sales())
    return dremio.promote("lake", "bronze", "sales")["id"]


AGGREGATES = (
    "SUM(amount)", "SUM(qty)", "SUM(weight)", "COUNT(*)", "COUNT(1)", "COUNT(amount)",
    "COUNT(qty)",
    "AVG(amount)", "AVG(qty)", "MIN(amount)", "MAX(amount)", "MIN(day)", "MAX(region)",
    "COUNT(DISTINCT product)", "SUM(amount) / NULLIF(COUNT(amount), 0)",
    # these the reflection cannot answer
    "MIN(qty)", "STDDEV(amount)", "COUNT(DISTINCT amount)", "MAX(at)", "SUM(amount * qty)",
)  # fmt: skip
KEYS = (
    "region", "product", "day", "UPPER(region)", "product * 2", "DATE_TRUNC('MONTH', day)",
    "DATE_TRUNC('WEEK', at)", "DATE_TRUNC('DAY', at)", "CAST(at AS DATE)",
    "EXTRACT(MONTH FROM at)",
    "COALESCE(region, '?')", "CASE WHEN product > 2 THEN 'big' ELSE 'small' END",
    # and these it cannot
    "at", "DATE_TRUNC('HOUR', at)", "qty",
)  # fmt: skip
FILTERS = (
    "region = 'north'", "region IS NULL", "product IN (1, 3)", "day >= DATE '2026-01-10'",
    "at >= TO_TIMESTAMP('2026-01-15 00:00:00.000','YYYY-MM-DD HH24:MI:SS.FFF')",
    "at < TIMESTAMP '2026-02-01 00:00:00'", "product > 1 OR region = 'south'",
    "product = 99", "region LIKE 'n%'",
    # and these it cannot
    "at >= TIMESTAMP '2026-01-15 10:00:00'", "amount > 10", "at > TIMESTAMP '2026-02-01 00:00:00'",
)  # fmt: skip
SHAPES = (
    "{select} FROM {table} {rest}",
    "{select} FROM {table} AS s {rest}",
    "{select} FROM (SELECT * FROM {table}) AS virtual_table {rest}",
    "WITH source AS (SELECT * FROM {table}) {select} FROM source {rest}",
    "SELECT * FROM ({select} FROM {table} {rest}) AS inner_query",
)


def generated(rng: random.Random) -> str:
    keys = rng.sample(KEYS, rng.choice([0, 1, 1, 2, 3]))
    values = rng.sample(AGGREGATES, rng.choice([1, 2, 3]))
    # Aliases that equal columns: a name must mean the same with and without a reflection.
    aliases = rng.sample(["k0", "k1", "k2", "at", "day", "region"], len(keys))
    items = [f"{key} AS {alias}" for key, alias in zip(keys, aliases, strict=True)]
    items += [f"{value} AS v{index}" for index, value in enumerate(values)]
    rest = ""
    if filters := rng.sample(FILTERS, rng.choice([0, 0, 1, 2])):
        rest += " WHERE " + " AND ".join(f"({text})" for text in filters)
    if keys:
        rest += " GROUP BY " + ", ".join(keys)
        if rng.random() < 0.3:
            rest += " HAVING COUNT(*) > 5"
    return rng.choice(SHAPES).format(select="SELECT " + ", ".join(items), table=TABLE, rest=rest)


def canonical(table: pa.Table) -> list[Any]:
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return sorted(rows, key=lambda row: [str(_rounded(value)) for value in row])


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return left == right


def test_generated_aggregates_equal_the_base(dremio: Dremio, dataset: str) -> None:
    reflection = dremio.reflect(
        dataset,
        type="AGGREGATION",
        dimensionFields=[
            {"name": "region", "granularity": "NORMAL"},
            {"name": "product", "granularity": "NORMAL"},
            {"name": "day"},
            {"name": "at", "granularity": "DATE"},
        ],
        measureFields=[
            {"name": "amount", "measureTypeList": ["SUM", "COUNT", "MIN", "MAX"]},
            {"name": "qty", "measureTypeList": ["SUM", "COUNT"]},
            {"name": "weight"},
        ],
    )
    rng = random.Random(SEED)
    chosen = 0
    for _ in range(QUERIES):
        sql = generated(rng)
        plan = dremio.engine.planner.plan(sql)
        chosen += plan.relationships[reflection["id"]][1] == "CHOSEN"
        fast = dremio.engine.duck.cursor().execute(plan.sql).to_arrow_table()
        base_plan = dremio.engine.planner.plan(sql, reflections=False)
        base = dremio.engine.duck.cursor().execute(base_plan.sql).to_arrow_table()
        assert plan.columns == base_plan.columns, sql
        left, right = canonical(fast), canonical(base)
        assert len(left) == len(right), sql
        for a, b in zip(left, right, strict=True):
            assert all(map(same, a, b)), (sql, a, b)
    assert QUERIES * 0.2 < chosen < QUERIES * 0.8, chosen


def level(job: dict[str, Any]) -> str:
    return job["acceleration"]["reflectionRelationships"][0]["relationship"]


def test_a_hint_and_a_query_it_cannot_answer_leave_the_reflection_aside(
    dremio: Dremio, dataset: str
) -> None:
    dremio.reflect(dataset, type="AGGREGATION", dimensionFields=[{"name": "region"}],
                   measureFields=[{"name": "amount"}])  # fmt: skip
    assert (
        level(dremio.job(f"select region, sum(amount) from {TABLE} group by region")) == "CHOSEN"
    )
    assert (
        level(dremio.job(f"select product, sum(amount) from {TABLE} group by 1")) == "CONSIDERED"
    )
    hinted = dremio.job(
        f"select /*+ no_reflections */ region, sum(amount) from {TABLE} group by 1"
    )
    assert "acceleration" not in hinted


def test_a_raw_reflection_serves_its_columns_only(dremio: Dremio, dataset: str) -> None:
    made = dremio.reflect(
        dataset,
        type="RAW",
        displayFields=[{"name": "region"}, {"name": "amount"}, {"name": "at"}],
        sortFields=[{"name": "region"}],
        partitionFields=[{"name": "at", "transform": {"type": "MONTH"}}],
    )
    served = f"select s.region, amount from {TABLE} s where at > timestamp '2026-02-01 10:00:00'"
    assert level(dremio.job(served)) == "CHOSEN"
    fast = dremio.table(f"select sum(amount) a, count(*) n from ({served})")
    base = dremio.table(f"select /*+ no_reflections */ sum(amount) a, count(*) n from ({served})")
    assert fast.equals(base) and fast["n"][0].as_py() > 0
    assert level(dremio.job(f"select region, qty from {TABLE}")) == "CONSIDERED"
    assert level(dremio.job(f"select * from {TABLE}")) == "CONSIDERED"
    rows = dremio.rows(f"select record_count as n from sys.reflections where reflection_id = "
                       f"'{made['id']}'")  # fmt: skip
    assert rows == [{"n": 4000}]
