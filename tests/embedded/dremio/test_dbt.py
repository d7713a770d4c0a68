"""The real dbt-dremio against the engine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.embedded.dremio.conftest import PASSWORD, USER, Dremio, Lake
from tools.paths import Paths

pytestmark = pytest.mark.service

FILES = {
    "dbt_project.yml": """
name: small
profile: small
version: "1.0"
models: {small: {+materialized: view}}
""",
    "models/stg_orders.sql": """
select order_id, customer_id, amount, upper(status) as status, order_date, "date" as day
from {{ source('bronze', 'orders') }} where customer_id is not null
""",
    "models/fct_customers.sql": """
{{ config(materialized='table', partition_by=['first_year'],
          localsort_by=['customer_id']) }}
select customer_id, count(distinct order_id) as orders, sum(amount) as revenue,
       datediff(max(order_date), min(order_date)) as lifespan_days,
       extract(year from min(order_date)) as first_year
from {{ ref('stg_orders') }} group by customer_id
""",
    "models/orders_inc.sql": """
{{ config(materialized='incremental', incremental_strategy='merge', unique_key='order_id',
          object_storage_path='silver') }}
select order_id, amount, order_date from {{ ref('stg_orders') }}
{% if is_incremental() %} where order_date >= (select max(order_date) from {{ this }}) {% endif %}
""",
    "models/raw_reflection.sql": """
{{ config(materialized='reflection', reflection_type='aggregate', dimensions=['status'],
          measures=['amount'], computations=['SUM,COUNT'], partition_method='striped') }}
-- depends_on: {{ ref('stg_orders') }}
""",
    "models/schema.yml": """
version: 2
sources:
  - name: bronze
    database: lake
    schema: bronze.postgres
    tables: [{name: orders}]
models:
  - name: stg_orders
    columns:
      - name: order_id
        data_tests: [unique, not_null]
  - name: fct_customers
    description: One row per customer.
    config: {persist_docs: {relation: true}}
    columns:
      - name: customer_id
        data_tests: [unique, not_null, {relationships: {arguments: {to: ref('countries'),
                     field: customer_id}}}]
  - name: orders_inc
    columns: [{name: order_id, data_tests: [unique]}]
""",
    "seeds/countries.csv": """customer_id,country,since
1,FR,2026-01-01
2,"D'E",2026-02-01
3,,2026-03-01
""",
    "profiles/profiles.yml": """
small:
  target: test
  outputs:
    test:
      type: dremio
      threads: 2
      software_host: 127.0.0.1
      port: {port}
      user: {user}
      password: "{password}"
      use_ssl: false
      object_storage_source: lake
      object_storage_path: gold
      dremio_space: gold
      dremio_space_folder: marts
""",
}


@pytest.fixture
def project(tmp_path: Path, dremio: Dremio) -> Path:
    root = tmp_path / "small"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("profiles/"):
            text = text.replace("{port}", str(dremio.rest_port)).replace("{user}", USER)
            text = text.replace("{password}", PASSWORD)
        path.write_text(text.lstrip())
    return root


def dbt(project: Path, *arguments: str) -> str:
    program = Paths.find().venvs / "dbt" / "bin" / "dbt"
    if not program.exists():
        pytest.skip("dbt is not installed: make bootstrap")
    env = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [str(program), "--no-use-colors", *arguments, "--profiles-dir", "profiles"],
        cwd=project, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.mark.usefixtures("orders")
def test_a_project_builds_and_builds_again(dremio: Dremio, lake: Lake, project: Path) -> None:
    assert "ERROR=0" in dbt(project, "build")
    first = dremio.rows("select * from lake.gold.fct_customers order by customer_id")
    assert [row["customer_id"] for row in first] == [1, 2, 3]
    assert first[0] | {"lifespan_days": 32} == first[0]
    assert any("fct_customers/first_year=2026/" in key for key in lake.keys("gold/"))
    assert dremio.rows("select count(*) as n from lake.gold.silver.orders_inc") == [{"n": 7}]
    wiki = dremio.by_path("lake", "gold", "fct_customers")["id"]
    text = dremio.call("GET", f"/api/v3/catalog/{wiki}/collaboration/wiki")["text"]
    assert "One row per customer." in text

    assert "ERROR=0" in dbt(project, "build")  # drops, recreates, merges
    assert dremio.rows("select * from lake.gold.fct_customers order by customer_id") == first
    assert dremio.rows("select count(*) as n from lake.gold.silver.orders_inc") == [{"n": 7}]
    anchor = dremio.by_path("gold", "marts", "stg_orders")["id"]
    names = [
        item["name"] for item in dremio.call("GET", f"/api/v3/dataset/{anchor}/reflection")["data"]
    ]
    assert names == ["raw_reflection"]  # updated, not added again


@pytest.mark.usefixtures("orders")
def test_the_documentation_catalog_is_read(project: Path) -> None:
    dbt(project, "run", "--select", "stg_orders", "fct_customers")
    dbt(project, "docs", "generate", "--no-compile")
    assert "fct_customers" in (project / "target" / "catalog.json").read_text()
