"""The stack from which the golden previews were taken, frozen: reviews of them never change."""

import functools
import json
from pathlib import Path

from flow.model import (
    AggregationReflection,
    Chart,
    Dashboard,
    DataFlow,
    Layer,
    Measure,
    Model,
    RawReflection,
    Source,
    Stream,
    SyncMode,
)
from review.data import DbtChange
from review.lineage import of_flow
from review.models import Project, compare, of_files
from review.report import Context

GOLDEN = Path(__file__).parent / "golden"
MODELS = {
    "stg_customers": (Layer.SILVER, ("customers",)),
    "stg_orders": (Layer.SILVER, ("orders",)),
    "int_customer_orders": (Layer.SILVER, ("stg_customers", "stg_orders")),
    "fct_orders": (Layer.GOLD, ("stg_orders",)),
    "fct_daily_revenue": (Layer.GOLD, ("fct_orders",)),
    "fct_customer_lifetime_value": (Layer.GOLD, ("int_customer_orders",)),
    "customer_metrics": (Layer.GOLD, ("fct_customer_lifetime_value",)),
}
FLOW = DataFlow(
    name="sample",
    sources=(Source(name="postgres", connector="postgres"), Source(name="api", connector="faker")),
    streams=(
        Stream(source="postgres", name="customers", sync_mode=SyncMode.FULL_REFRESH_APPEND),
        Stream(source="postgres", name="orders", sync_mode=SyncMode.FULL_REFRESH_APPEND),
        Stream(
            source="postgres",
            name="products",
            dataset="shop_products",
            sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
        ),
        Stream(source="api", name="products", sync_mode=SyncMode.FULL_REFRESH_OVERWRITE),
    ),
    models=tuple(Model(name=n, layer=la, inputs=i) for n, (la, i) in MODELS.items()),
    reflections=(
        RawReflection(
            name="raw_customers",
            dataset="bronze.customers",
            display=("customer_id", "name", "email", "created_at"),
        ),
        AggregationReflection(
            name="agg_daily_revenue",
            dataset="gold.fct_orders",
            dimensions=("order_date",),
            measures={"amount": (Measure.SUM,)},
        ),
    ),
    dashboards=(
        Dashboard(
            slug="customer-analytics",
            title="Customer Analytics",
            rows=(
                (
                    Chart(
                        name="Revenue",
                        dataset="gold.fct_daily_revenue",
                        kind="big_number",
                        metric="SUM(daily_revenue)",
                    ),
                    Chart(
                        name="Orders by status",
                        dataset="gold.fct_orders",
                        kind="bar",
                        metric="COUNT(*)",
                        dimension="status",
                    ),
                    Chart(
                        name="Customers by lifetime value",
                        dataset="gold.fct_customer_lifetime_value",
                        kind="table",
                        columns=("customer_name", "lifetime_value"),
                    ),
                ),
            ),
        ),
    ),
)


@functools.cache
def project(name: str) -> Project:
    """The dbt project `deployed` or `edited`."""
    texts = json.loads((GOLDEN / f"dbt_{name}.json").read_text())
    return of_files({path: text.encode() for path, text in texts.items()})


@functools.cache
def context() -> Context:
    """Of a checkout in which the dbt project is edited."""
    old, new = project("deployed"), project("edited")
    other = tuple(sorted(p for p in new.other if new.other[p] != old.other.get(p)))
    dbt = DbtChange(base="abc123", exact=True, models=tuple(compare(old, new)), other=other)
    return Context(lineage=of_flow(FLOW), project=new, dbt=dbt)


def preview_text(name: str) -> str:
    return (GOLDEN / f"{name}.preview.json").read_text()
