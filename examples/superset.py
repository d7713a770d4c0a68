"""Superset's resources, one of each: a dashboard on revenue, and who may see what of it."""

import pulumi

from dynamic_providers.superset.resources import (
    Alert,
    Chart,
    CssTemplate,
    Dashboard,
    Database,
    Dataset,
    Report,
    Role,
    RowLevelSecurity,
    User,
)

secrets = pulumi.Config("examples")

warehouse = Database(
    "warehouse",
    name="Warehouse",
    sqlalchemy_uri=pulumi.Output.concat(
        "dremio+flight://admin:",
        secrets.require_secret("dremioPassword"),
        "@dremio.example:32010/dremio?UseEncryption=false",
    ),
)

revenue = Dataset(
    "revenue",
    database_uuid=warehouse.uuid,
    schema="gold",
    table_name="fct_daily_revenue",
    main_dttm_col="order_date",
    metrics=[{"name": "total", "expression": "SUM(daily_revenue)", "d3format": ",.0f"}],
    opts=pulumi.ResourceOptions(depends_on=[warehouse]),
)

total = Chart(
    "total",
    name="Revenue: total",
    slice_name="Total revenue",
    viz_type="big_number_total",
    dataset_uuid=revenue.uuid,
    params={"metric": "total"},
    opts=pulumi.ResourceOptions(depends_on=[revenue]),
)

dashboard = Dashboard(
    "revenue",
    slug="revenue",
    title="Revenue",
    rows=[[{"chart": total.uuid, "width": 4, "height": 30}]],
    opts=pulumi.ResourceOptions(depends_on=[total]),
)

quiet = CssTemplate("quiet", name="Quiet", css=".header { border: none; }")

north = Role("north", name="North", permissions=["can_read on Chart", "can_read on Dashboard"])

ada = User(
    "ada",
    username="ada",
    password=secrets.require_secret("adaPassword"),
    first_name="Ada",
    last_name="Byron",
    email="ada@shop.example",
    roles=["Gamma", "North"],
    opts=pulumi.ResourceOptions(depends_on=[north]),
)

only_north = RowLevelSecurity(
    "only-north",
    name="Only the north",
    roles=["North"],
    dataset_uuids=[revenue.uuid],
    clause="region = 'north'",
    opts=pulumi.ResourceOptions(depends_on=[north, revenue]),
)

every_monday = Report(
    "every-monday",
    name="Revenue of the week",
    crontab="0 8 * * 1",
    timezone="Europe/Berlin",
    dashboard_uuid=dashboard.uuid,
    recipients=[{"type": "Email", "target": "sales@shop.example"}],
    opts=pulumi.ResourceOptions(depends_on=[dashboard]),
)

too_little = Alert(
    "too-little",
    name="Too little revenue",
    crontab="0 * * * *",
    database_uuid=warehouse.uuid,
    sql="SELECT SUM(daily_revenue) FROM gold.fct_daily_revenue",
    condition={"op": "<", "threshold": 1000},
    chart_uuid=total.uuid,
    recipients=[{"type": "Email", "target": "sales@shop.example"}],
    opts=pulumi.ResourceOptions(depends_on=[total]),
)
