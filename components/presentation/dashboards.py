"""Dashboards of the flow in Superset.

Creates one database connection to Dremio, a dataset per gold table in use, the charts and the
dashboards that show them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pulumi

from components.context import Context
from components.options import child_of
from components.processing.dremio import ADMIN
from components.runtime.service import Endpoint
from dynamic_providers.superset import resources as superset
from flow.model import Chart, Dashboard, DataFlow

DATABASE = "Dremio"
SERIES_ROWS = 10_000
TABLE_ROWS = 100
_VIZ_TYPES = {
    "big_number": "big_number_total",
    "line": "echarts_timeseries_line",
    "bar": "echarts_timeseries_bar",
    "table": "table",
}


@dataclass(frozen=True, kw_only=True)
class DashboardsArgs:
    """tables_ready: after which the gold tables exist."""

    context: Context
    flow: DataFlow
    flight: Endpoint
    depends_on: Sequence[pulumi.Resource]
    tables_ready: Sequence[pulumi.Resource]


class Dashboards(pulumi.ComponentResource):
    def __init__(
        self, name: str, args: DashboardsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dataflow:presentation:Dashboards", name, None, opts)
        database = superset.Database(
            f"{name}-database",
            name=DATABASE,
            sqlalchemy_uri=_uri(args),
            opts=child_of(self, depends_on=args.depends_on),
        )
        datasets = {
            dataset: self._dataset(name, dataset, database, args.tables_ready)
            for dataset in sorted(
                {chart.dataset for board in args.flow.dashboards for chart in board.charts}
            )
        }
        for board in args.flow.dashboards:
            self._dashboard(f"{name}-{board.slug}", board, datasets)
        self.register_outputs({"slugs": [board.slug for board in args.flow.dashboards]})

    def _dataset(
        self,
        name: str,
        dataset: str,
        database: superset.Database,
        ready: Sequence[pulumi.Resource],
    ) -> superset.Dataset:
        schema, table = dataset.split(".")
        return superset.Dataset(
            f"{name}-{schema}-{table}",
            database_uuid=database.uuid,
            schema=schema,
            table_name=table,
            opts=child_of(self, depends_on=[database, *ready]),
        )

    def _dashboard(
        self, name: str, board: Dashboard, datasets: Mapping[str, superset.Dataset]
    ) -> None:
        charts = {
            chart.name: superset.Chart(
                f"{name}-{chart.name.lower().replace(' ', '-')}",
                name=f"{board.title}: {chart.name}",
                slice_name=chart.name,
                dataset_uuid=datasets[chart.dataset].uuid,
                viz_type=_VIZ_TYPES[chart.kind],
                params=chart_params(chart),
                query_context=chart_query(chart),
                opts=child_of(self, depends_on=[datasets[chart.dataset]]),
            )
            for chart in board.charts
        }
        superset.Dashboard(
            name,
            slug=board.slug,
            title=board.title,
            published=True,
            rows=[
                [{"chart": charts[chart.name].uuid, "width": chart.width} for chart in row]
                for row in board.rows
            ],
            opts=child_of(self, depends_on=list(charts.values())),
        )


def _uri(args: DashboardsArgs) -> pulumi.Output[str]:
    return pulumi.Output.concat(
        f"dremio+flight://{ADMIN}:",
        args.context.credentials.secret("dremio-admin"),
        f"@{args.flight.host}:{args.flight.port}/dremio?{_encryption(args.flight)}",
    )


def _encryption(flight: Endpoint) -> str:
    """Properties of the Dremio dialect; the file is read by Superset."""
    if flight.ca_file is None:
        return "UseEncryption=false"
    return f"UseEncryption=true&TrustedCerts={quote(str(flight.ca_file), safe='')}"


def chart_params(chart: Chart) -> dict[str, Any]:
    """Superset's form data of a chart: what its editor shows."""
    if chart.kind == "table":
        return {
            "query_mode": "raw",
            "all_columns": list(chart.columns),
            "row_limit": TABLE_ROWS,
            "order_by_cols": [json.dumps([chart.order_by, False])] if chart.order_by else [],
        }
    if chart.kind == "big_number":
        return {"metric": _metric(chart)}
    return {
        "x_axis": chart.dimension,
        "metrics": [_metric(chart)],
        "groupby": [],
        "row_limit": SERIES_ROWS,
        "truncate_metric": True,
    }


def chart_query(chart: Chart) -> dict[str, Any]:
    """Superset's query context: what the data API, reports and cache warm-up run."""
    query: dict[str, Any]
    if chart.kind == "table":
        query = {
            "columns": list(chart.columns),
            "metrics": [],
            "orderby": [[chart.order_by, False]] if chart.order_by else [],
            "row_limit": TABLE_ROWS,
        }
    elif chart.kind == "big_number":
        query = {"columns": [], "metrics": [_metric(chart)]}
    else:
        query = {
            "columns": [chart.dimension],
            "metrics": [_metric(chart)],
            "row_limit": SERIES_ROWS,
        }
    return {
        "force": False,
        "queries": [{"filters": [], "extras": {}, **query}],
        "result_format": "json",
        "result_type": "full",
    }


def _metric(chart: Chart) -> dict[str, str]:
    return {"expressionType": "SQL", "sqlExpression": chart.metric, "label": chart.name}
