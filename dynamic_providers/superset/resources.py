"""Superset's objects as Pulumi resources.

The id of each is its uuid, which follows from its name: the output `uuid` is known in previews.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi

from dynamic_providers.adapter import DynamicResource, HandlerProvider
from dynamic_providers.handler import Handler
from dynamic_providers.stack import Stack
from dynamic_providers.superset import chart, dashboard, database, dataset
from dynamic_providers.superset.client import SECRET_NAME, SupersetClient


class SupersetProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> SupersetClient:
        return SupersetClient(stack.url("superset"), stack.credential(SECRET_NAME))


class DatabaseProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = database


class DatasetProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = dataset


class ChartProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = chart


class DashboardProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = dashboard


class Identified(DynamicResource):
    @property
    def uuid(self) -> pulumi.Output[str]:
        return self.output("uuid")


class Database(Identified):
    """A connection to a query engine. Superset tests it: the engine must be up.

    name: identity, too: another name is another database. sqlalchemy_uri: secret.
    extra: Superset's engine settings; only keys set here are compared with the server.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        sqlalchemy_uri: pulumi.Input[str],
        expose_in_sqllab: pulumi.Input[bool] | None = None,
        allow_dml: pulumi.Input[bool] | None = None,
        allow_ctas: pulumi.Input[bool] | None = None,
        allow_cvas: pulumi.Input[bool] | None = None,
        allow_file_upload: pulumi.Input[bool] | None = None,
        extra: pulumi.Input[Mapping[str, Any]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "uuid": None,
            "sqlalchemyUri": sqlalchemy_uri,
            "exposeInSqllab": expose_in_sqllab,
            "allowDml": allow_dml,
            "allowCtas": allow_ctas,
            "allowCvas": allow_cvas,
            "allowFileUpload": allow_file_upload,
            "extra": extra,
        }
        super().__init__(DatabaseProvider, resource_name, props, opts)


class Dataset(Identified):
    """A table of a database. Database, schema and table are its identity.

    metrics: objects with name, expression, and as wanted verboseName, d3format, description;
    left out, those of the server stay. main_dttm_col: the time column.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        database_uuid: pulumi.Input[str],
        schema: pulumi.Input[str],
        table_name: pulumi.Input[str],
        metrics: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]] | None = None,
        main_dttm_col: pulumi.Input[str] | None = None,
        always_filter_main_dttm: pulumi.Input[bool] | None = None,
        description: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "databaseUuid": database_uuid,
            "uuid": None,
            "schema": schema,
            "tableName": table_name,
            "metrics": metrics,
            "mainDttmCol": main_dttm_col,
            "alwaysFilterMainDttm": always_filter_main_dttm,
            "description": description,
        }
        super().__init__(DatasetProvider, resource_name, props, opts)


class Chart(Identified):
    """One visualisation of a dataset.

    name: identity; slice_name: the title that people see, default the name.
    viz_type: one of chart.VIZ_TYPES. params: Superset's form data of it.
    query_context: needed for reports and the data API, not for dashboards.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        viz_type: pulumi.Input[str],
        dataset_uuid: pulumi.Input[str],
        params: pulumi.Input[Mapping[str, Any]] | None = None,
        slice_name: pulumi.Input[str] | None = None,
        query_context: pulumi.Input[Mapping[str, Any]] | None = None,
        description: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "uuid": None,
            "vizType": viz_type,
            "datasetUuid": dataset_uuid,
            "params": params,
            "sliceName": slice_name,
            "queryContext": query_context,
            "description": description,
        }
        super().__init__(ChartProvider, resource_name, props, opts)


class Dashboard(Identified):
    """Charts in rows.

    slug: identity and end of the address. rows: lists of chart uuids, or of
    {"chart": uuid, "width": 1 to 12 columns, "height": units of 8 pixels}.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        slug: pulumi.Input[str],
        title: pulumi.Input[str],
        rows: pulumi.Input[Sequence[pulumi.Input[Sequence[Any]]]],
        published: pulumi.Input[bool] | None = None,
        css: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "slug": slug,
            "uuid": None,
            "title": title,
            "rows": rows,
            "published": published,
            "css": css,
        }
        super().__init__(DashboardProvider, resource_name, props, opts)
