"""The specification's flow: customers and orders become revenue and customer value."""

from flow.model import (
    AggregationReflection,
    Chart,
    Dashboard,
    DataFlow,
    FileFormat,
    Layer,
    Measure,
    Model,
    RawReflection,
    Source,
    Stream,
    SyncMode,
)

FLOW = DataFlow(
    name="commerce",
    residency=("us-east-1",),  # the region of the stack's own object store
    sources=(
        # Specification, "ETL Batch Pipeline": databases at 01:00, APIs at 01:30.
        Source(name="postgres", connector="postgres", schedule="0 0 1 * * ?"),
        Source(
            name="api",
            connector="faker",
            configuration={"count": 1000, "seed": 42},
            file_format=FileFormat.JSONL,
            partition="timestamp=${YEAR}${MONTH}${DAY}_${HOUR}${MINUTE}${SECOND}",
            schedule="0 30 1 * * ?",
        ),
    ),
    streams=(
        Stream(
            source="postgres",
            name="customers",
            sync_mode=SyncMode.INCREMENTAL_DEDUP,
            cursor="updated_at",
            primary_key=("customer_id",),
            pii=("name", "email", "phone", "address"),
            # Specification, "Access Controls": who reads gold.customer_metrics and bronze.
            pii_readers=("analyst", "data_engineer"),
            retention_days=3650,  # as long as invoices: a customer without an order is forgotten
        ),
        Stream(
            source="postgres",
            name="orders",
            sync_mode=SyncMode.INCREMENTAL_DEDUP,
            cursor="updated_at",
            primary_key=("order_id",),
        ),
        Stream(
            source="api",
            name="products",
            sync_mode=SyncMode.FULL_REFRESH_OVERWRITE,
            primary_key=("id",),
        ),
    ),
    models=(
        Model(name="stg_customers", layer=Layer.SILVER, inputs=("customers",)),
        Model(name="stg_orders", layer=Layer.SILVER, inputs=("orders",)),
        Model(
            name="int_customer_orders", layer=Layer.SILVER, inputs=("stg_customers", "stg_orders")
        ),
        Model(name="fct_orders", layer=Layer.GOLD, inputs=("stg_orders",)),
        Model(name="fct_daily_revenue", layer=Layer.GOLD, inputs=("fct_orders",)),
        Model(
            name="fct_customer_lifetime_value", layer=Layer.GOLD, inputs=("int_customer_orders",)
        ),
        Model(name="customer_metrics", layer=Layer.GOLD, inputs=("fct_customer_lifetime_value",)),
    ),
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
            measures={"amount": (Measure.SUM, Measure.COUNT)},
        ),
        AggregationReflection(
            name="common_metrics",
            dataset="gold.fct_orders",
            dimensions=("product_id", "order_date"),
            measures={"amount": (Measure.SUM, Measure.COUNT)},
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
                        width=4,
                    ),
                    Chart(
                        name="Daily revenue",
                        dataset="gold.fct_daily_revenue",
                        kind="line",
                        metric="SUM(daily_revenue)",
                        dimension="order_date",
                        width=8,
                    ),
                ),
                (
                    Chart(
                        name="Orders by status",
                        dataset="gold.fct_orders",
                        kind="bar",
                        metric="COUNT(*)",
                        dimension="status",
                        width=6,
                    ),
                    Chart(
                        name="Customers by lifetime value",
                        dataset="gold.fct_customer_lifetime_value",
                        kind="table",
                        columns=(
                            "customer_name",
                            "total_orders",
                            "lifetime_value",
                            "last_order_date",
                        ),
                        order_by="lifetime_value",
                        width=6,
                    ),
                ),
            ),
        ),
    ),
)
