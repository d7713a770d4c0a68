"""Columns of dbt models: where they come from, and what differs between two versions."""

from flow.dbt import digest, project_files
from review.columns import columns_in
from review.models import compare, downstream_columns, of_files
from tests.review.sample import project
from tools.paths import ROOT


def files(**models: str) -> dict[str, bytes]:
    return {f"models/{name}.sql": sql.encode() for name, sql in models.items()}


def change(old: str, new: str):
    (found,) = compare(of_files(files(m=old)), of_files(files(m=new)))
    return found


def test_every_column_of_the_project_has_an_origin():
    """Of our own models: what cannot be read would only be guessed."""
    found = of_files(project_files(ROOT / "dbt_project"))
    assert all(model.relation and model.relation.columns for model in found.models.values())


def test_columns_are_followed_through_models_aliases_and_functions():
    found = downstream_columns(project("deployed"), {("bronze.orders", "amount")})
    assert ("stg_orders", "amount") in found
    assert ("fct_daily_revenue", "daily_revenue") in found
    assert ("fct_customer_lifetime_value", "lifetime_value") in found
    assert not [column for column in found if column[1] == "order_date"]


def test_added_removed_and_recomputed_columns_are_told_apart():
    found = change(
        "SELECT a, b, c + 1 AS d FROM {{ ref('x') }}",
        "SELECT a, c + 2 AS d, e FROM {{ ref('x') }}",
    )
    assert (found.added, found.removed, found.changed) == (("e",), ("b",), ("d",))
    assert not found.rows


def test_a_change_inside_a_cte_is_a_change_of_the_columns_it_feeds():
    sql = "WITH s AS (SELECT a, {} AS b FROM {{{{ source('bronze', 'x') }}}}) SELECT * FROM s"
    found = change(sql.format("LOWER(b)"), sql.format("UPPER(b)"))
    assert (found.changed, found.rows) == (("b",), False)


def test_a_filter_changes_the_rows():
    sql = "SELECT a FROM {{ ref('x') }}"
    assert change(sql, f"{sql} WHERE a > 0").rows
    assert change(f"{sql} GROUP BY a", f"{sql} GROUP BY a HAVING a > 1").rows
    assert change(sql, "SELECT DISTINCT a FROM {{ ref('x') }}").rows
    assert change(
        "SELECT x.a FROM {{ ref('x') }} AS x JOIN {{ ref('y') }} AS y ON x.a = y.a",
        "SELECT x.a FROM {{ ref('x') }} AS x LEFT JOIN {{ ref('y') }} AS y ON x.a = y.a",
    ).rows


def test_layout_and_comments_change_neither():
    found = change(
        "SELECT a FROM {{ ref('x') }}",
        "{{ config(materialized='view') }}\n-- all of it\nSELECT\n    a\nFROM {{ ref('x') }}",
    )
    assert (found.added, found.removed, found.changed, found.rows) == ((), (), (), False)


def test_a_macro_counts_for_the_models_that_call_it():
    model = {"models/m.sql": b"SELECT * FROM ({{ newest(ref('x')) }}) AS t"}
    other = {"models/o.sql": b"SELECT 1 AS a"}
    old = of_files(
        {**model, **other, "macros/newest.sql": b"{% macro newest(x) %}1{% endmacro %}"}
    )
    new = of_files(
        {**model, **other, "macros/newest.sql": b"{% macro newest(x) %}2{% endmacro %}"}
    )
    (found,) = compare(old, new)
    assert (found.name, found.rows) == ("m", True)


def test_sql_that_cannot_be_read_may_change_anything():
    found = change("SELECT a FROM x", "SELECT FROM WHERE (")
    assert not found.read
    assert found.rows


def test_columns_of_an_expression():
    assert columns_in("SUM(amount) / COUNT(DISTINCT customer_id)") == {"amount", "customer_id"}
    assert columns_in("COUNT(*)") == set()
    assert columns_in("not (sql") == set()


def test_the_digest_depends_on_paths_and_contents_and_not_on_their_order():
    some = {"a/b.sql": b"1", "a.sql": b"2"}
    assert digest(some) == digest(dict(reversed(some.items())))
    assert digest(some) != digest({"a/b.sql": b"2", "a.sql": b"1"})
