"""A flow that cannot work is refused as a whole, with every fault named."""

import dataclasses

import pytest

from flow.commerce import FLOW
from flow.model import (
    Chart,
    Dashboard,
    DataFlow,
    FlowError,
    Layer,
    Model,
    RawReflection,
    Source,
    Stream,
    SyncMode,
)


def with_(**changes) -> DataFlow:
    return dataclasses.replace(FLOW, **changes)


def stream(**changes) -> Stream:
    return Stream(
        **{
            "source": "postgres",
            "name": "products",
            "dataset": "shop_products",
            "sync_mode": SyncMode.FULL_REFRESH_OVERWRITE,
            **changes,
        }
    )


def test_the_specifications_flow_is_valid():
    assert FLOW.layers()["customers"] is Layer.BRONZE
    assert [s.name for s in FLOW.streams_of("postgres")] == ["customers", "orders"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sync_mode": SyncMode.INCREMENTAL_APPEND},
            "stream postgres.products: sync mode incremental_append needs a cursor",
        ),
        (
            {"sync_mode": SyncMode.INCREMENTAL_DEDUP, "cursor": "updated_at"},
            "stream postgres.products: sync mode incremental_append_dedup needs a primary_key",
        ),
        (
            {"source": "mysql"},
            "stream mysql.products: source 'mysql': unknown, expected one of postgres, api",
        ),
        ({"dataset": "Shop Products"}, "dataset 'Shop Products': expected lower-case letters"),
        ({"dataset": "orders"}, "dataset 'orders': declared 2 times, expected once"),
        ({"max_age_hours": 0}, "max_age_hours 0: expected 1 or more"),
        ({"retention_days": 0}, "retention_days 0: expected 1 or more, or None"),
        ({"pii_readers": ("analyst",)}, "pii_readers analyst: but it names no pii columns"),
    ],
)
def test_a_wrong_stream_is_named(changes, message):
    with pytest.raises(FlowError) as error:
        with_(streams=(*FLOW.streams, stream(**changes)))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Model(name="m", layer=Layer.SILVER, inputs=("fct_orders",)),
            "model 'm': layer silver reads 'fct_orders' of layer gold: data moves bronze",
        ),
        (
            Model(name="m", layer=Layer.GOLD, inputs=("order",)),
            "model 'm': input 'order': unknown, expected one of customer_metrics, customers,",
        ),
        (
            Model(name="m", layer=Layer.BRONZE, inputs=("orders",)),
            "model 'm': layer bronze: expected silver or gold",
        ),
        (Model(name="m", layer=Layer.GOLD, inputs=()), "model 'm': inputs is empty"),
    ],
)
def test_a_wrong_model_is_named(model, message):
    with pytest.raises(FlowError) as error:
        with_(models=(*FLOW.models, model))
    assert message in str(error.value)


def test_a_reflection_needs_a_known_dataset_and_a_legal_refresh():
    wrong = RawReflection(name="r", dataset="gold.order", display=(), refresh_hours=0)
    with pytest.raises(FlowError) as error:
        with_(reflections=(wrong,))
    text = str(error.value)
    assert (
        "reflection 'r': dataset 'gold.order': unknown, expected one of bronze.customers" in text
    )
    assert "refresh_hours 0: Dremio's minimum is 1" in text
    assert "display is empty" in text


def test_a_chart_needs_what_its_kind_shows():
    line = Chart(name="c", dataset="gold.fct_orders", kind="line", metric="COUNT(*)")
    pie = Chart(name="d", dataset="gold.fct_orders", kind="pie", metric="COUNT(*)", width=13)
    with pytest.raises(FlowError) as error:
        with_(dashboards=(Dashboard(slug="b", title="B", rows=((line, pie),)),))
    text = str(error.value)
    assert "chart b/c: kind line needs a dimension" in text
    assert "chart b/d: kind 'pie': unknown, expected one of big_number, line, bar, table" in text
    assert "width 13: expected 1 to 12" in text


def test_a_table_is_sorted_by_a_column_that_it_shows():
    table = Chart(name="t", dataset="gold.fct_orders", kind="table", columns=("a",), order_by="b")
    with pytest.raises(FlowError, match="chart b/t: order_by 'b': unknown, expected one of a"):
        with_(dashboards=(Dashboard(slug="b", title="B", rows=((table,),)),))


def test_a_source_needs_a_known_connector_a_real_schedule_and_a_stream():
    source = Source(name="files", connector="ftp", schedule="every hour")
    with pytest.raises(FlowError) as error:
        with_(sources=(*FLOW.sources, source))
    text = str(error.value)
    assert "source 'files': connector 'ftp': unknown, expected one of postgres, faker" in text
    assert "schedule 'every hour': expected a Quartz cron of six fields" in text
    assert "source 'files': has no stream" in text
