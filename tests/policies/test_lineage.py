"""Personal data is followed through SQL as people write it."""

import dataclasses

import pytest

from flow.commerce import FLOW
from flow.model import Layer, Model
from policies.judged import dbt_models
from policies.lineage import personal_data

CUSTOMERS = "{{ source('bronze', 'customers') }}"


def shown(sql: str) -> dict[str, str]:
    """Column of a model over bronze.customers -> the personal columns that it shows."""
    model = Model(name="m", layer=Layer.SILVER, inputs=("customers", "orders"))
    flow = dataclasses.replace(FLOW, models=(model,), reflections=(), dashboards=())
    found = personal_data(flow, {"m": sql})["m"]
    return {
        column: ",".join(sorted(origin.column for origin in origins))
        for column, origins in found.items()
    }


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        (f"SELECT customer_id, name FROM {CUSTOMERS}", {"name": "name"}),
        (f"SELECT UPPER(TRIM(name)) AS n FROM {CUSTOMERS}", {"n": "name"}),
        (f"SELECT c.email e FROM {CUSTOMERS} AS c", {"e": "email"}),
        (f"SELECT name || ' ' || email AS b FROM {CUSTOMERS}", {"b": "email,name"}),
        (f"SELECT CASE WHEN email IS NULL THEN name END AS x FROM {CUSTOMERS}",
         {"x": "email,name"}),
        (f"SELECT SHA256(email) AS h, MD5(name) AS m FROM {CUSTOMERS}", {}),
        (f"SELECT HASHSHA256(email) AS h, MASK(name) AS m FROM {CUSTOMERS}", {}),
        (f"SELECT COUNT(DISTINCT email) AS n, MAX(name) AS m FROM {CUSTOMERS}", {"m": "name"}),
        (f"WITH a AS (SELECT * FROM {CUSTOMERS}) SELECT phone FROM a", {"phone": "phone"}),
        (f"SELECT n FROM (SELECT name AS n FROM {CUSTOMERS}) AS t", {"n": "name"}),
        (f"SELECT id AS a FROM t UNION ALL SELECT name AS a FROM {CUSTOMERS}", {"a": "name"}),
        (f"SELECT (SELECT MAX(email) FROM {CUSTOMERS}) AS newest", {"newest": "email"}),
        ("SELECT o.* FROM {{ ref('orders') }} AS o JOIN "
         f"{CUSTOMERS} AS c ON o.customer_id = c.customer_id", {}),
        ("{{ newest(source('bronze', 'customers'), 'id') }}",
         {"name": "name", "email": "email", "phone": "phone", "address": "address"}),
        ("this is no SQL at all (",
         {"name": "name", "email": "email", "phone": "phone", "address": "address"}),
    ],
)  # fmt: skip
def test_what_a_query_shows(sql, columns):
    assert shown(sql) == columns


def test_the_models_of_the_project():
    found = personal_data(FLOW, dbt_models())
    assert set(found["customer_metrics"]) == {"customer_name", "email"}
    assert found["fct_daily_revenue"] == {} and found["fct_orders"] == {}


def test_a_model_whose_text_is_missing_passes_everything_on():
    assert set(personal_data(FLOW, {})["stg_customers"]) == {"name", "email", "phone", "address"}
