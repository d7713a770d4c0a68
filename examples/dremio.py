"""Dremio's resources, one of each: files of a lake as tables, views and stored totals."""

import pulumi

from dynamic_providers.dremio.resources import (
    AggregationReflection,
    FirstUser,
    Folder,
    Grant,
    PhysicalDataset,
    RawReflection,
    Role,
    Script,
    Source,
    Space,
    Tag,
    User,
    View,
    Wiki,
)
from dynamic_providers.dremio.source import minio_config

secrets = pulumi.Config("examples")

first_user = FirstUser("first-user")

after_login = pulumi.ResourceOptions(depends_on=[first_user])

lake = Source(
    "lake",
    name="lake",
    type="S3",
    config={
        **minio_config(
            "store.example:9000", "dremio", secrets.require_secret("storeKey"), ["datalake"]
        ),
        "rootPath": "/datalake",
    },
    policy={"accelerationRefreshPeriodMs": 3_600_000},
    opts=after_login,
)

orders = PhysicalDataset(
    "orders",
    path=["lake", "bronze", "shop", "orders"],
    format={"type": "Parquet"},
    opts=pulumi.ResourceOptions(depends_on=[lake]),
)

gold = Space("gold", name="gold", opts=after_login)

sales = Folder("sales", path=["gold", "sales"], opts=pulumi.ResourceOptions(depends_on=[gold]))

daily_revenue = View(
    "daily-revenue",
    path=["gold", "sales", "daily_revenue"],
    sql="SELECT order_date, region, SUM(amount) AS revenue "
    "FROM lake.bronze.shop.orders GROUP BY order_date, region",
    opts=pulumi.ResourceOptions(depends_on=[sales, orders]),
)

on_the_view = pulumi.ResourceOptions(depends_on=[daily_revenue])

all_columns = RawReflection(
    "all-columns",
    name="all_columns",
    dataset_path=["gold", "sales", "daily_revenue"],
    display_fields=["order_date", "region", "revenue"],
    sort_fields=["order_date"],
    opts=on_the_view,
)

by_region = AggregationReflection(
    "by-region",
    name="by_region",
    dataset_path=["gold", "sales", "daily_revenue"],
    dimension_fields=["region", {"name": "order_date", "granularity": "DATE"}],
    measure_fields=[{"name": "revenue", "measureTypeList": ["SUM", "MAX"]}],
    opts=on_the_view,
)

analysts = Role("analysts", name="analysts", description="Read what is in gold.")

ada = User(
    "ada",
    name="ada",
    password=secrets.require_secret("adaPassword"),
    first_name="Ada",
    last_name="Byron",
    email="ada@shop.example",
    roles=["analysts"],
    opts=pulumi.ResourceOptions(depends_on=[analysts]),
)

readers = Grant(
    "readers-of-sales",
    path=["gold", "sales"],
    grants=[{"granteeType": "ROLE", "name": "analysts", "privileges": ["SELECT"]}],
    opts=pulumi.ResourceOptions(depends_on=[sales, analysts]),
)

labels = Tag("labels", path=["gold", "sales", "daily_revenue"], tags=["finance"], opts=on_the_view)

description = Wiki(
    "description",
    path=["gold", "sales", "daily_revenue"],
    text="# Daily revenue\n\nOne row per day and region, in euros.",
    opts=on_the_view,
)

best_days = Script(
    "best-days",
    name="Best days",
    content="SELECT * FROM daily_revenue ORDER BY revenue DESC LIMIT 10",
    context=["gold", "sales"],
    opts=on_the_view,
)
