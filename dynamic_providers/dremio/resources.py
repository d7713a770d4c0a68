"""Dremio's objects as Pulumi resources.

The id of a catalog object is its dotted path; that of a reflection is the one Dremio gives it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi

from dynamic_providers.adapter import DynamicResource, HandlerProvider
from dynamic_providers.dremio import (
    aggregation_reflection,
    first_user,
    folder,
    physical_dataset,
    raw_reflection,
    source,
    space,
    view,
)
from dynamic_providers.dremio.client import SECRET_NAME, DremioClient
from dynamic_providers.handler import Handler
from dynamic_providers.stack import Stack

Names = pulumi.Input[Sequence[pulumi.Input[str]]]
Objects = pulumi.Input[Sequence[pulumi.Input[str | Mapping[str, Any]]]]


class DremioProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> DremioClient:
        return DremioClient(stack.url("dremio"), stack.credential(SECRET_NAME))


class FirstUserProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = first_user


class SpaceProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = space


class FolderProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = folder


class SourceProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = source


class PhysicalDatasetProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = physical_dataset


class ViewProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = view


class RawReflectionProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = raw_reflection


class AggregationReflectionProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = aggregation_reflection


class FirstUser(DynamicResource):
    """The first user, `admin`; every other resource of Dremio depends on it. Its password is
    derived from the stack's seed."""

    def __init__(
        self,
        resource_name: str,
        *,
        user_name: pulumi.Input[str] | None = None,
        first_name: pulumi.Input[str] | None = None,
        last_name: pulumi.Input[str] | None = None,
        email: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "userName": user_name,
            "firstName": first_name,
            "lastName": last_name,
            "email": email,
        }
        super().__init__(FirstUserProvider, resource_name, props, opts)


class Space(DynamicResource):
    """A top-level container of folders and views."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(SpaceProvider, resource_name, {"name": name}, opts)


class Folder(DynamicResource):
    """A folder in a space. path: space first."""

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(FolderProvider, resource_name, {"path": path}, opts)


class Source(DynamicResource):
    """A connection to a store.

    type: S3, POSTGRES, ELASTIC, ... config: the keys of that type; secret as a whole. For MinIO
    see source.minio_config. Only keys set here are compared with the server.
    policy: refresh settings as the REST API spells them (source.POLICY).
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        type: pulumi.Input[str],  # noqa: A002 - the API's word
        config: pulumi.Input[Mapping[str, Any]],
        policy: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "type": type, "config": config, **(policy or {})}
        super().__init__(SourceProvider, resource_name, props, opts)


class PhysicalDataset(DynamicResource):
    """A folder or file of a source, promoted to a table. Deleting it leaves the files.

    path: source first. format: such as {"type": "Parquet"}.
    acceleration_refresh_policy: as the REST API spells it; shared by all reflections of it.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        format: pulumi.Input[Mapping[str, Any]],  # noqa: A002 - the API's word
        acceleration_refresh_policy: pulumi.Input[Mapping[str, Any]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "path": path,
            "format": format,
            "accelerationRefreshPolicy": acceleration_refresh_policy,
        }
        super().__init__(PhysicalDatasetProvider, resource_name, props, opts)


class View(DynamicResource):
    """A query with a name, in a space. sql_context: path against which names are resolved."""

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        sql: pulumi.Input[str],
        sql_context: Names | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"path": path, "sql": sql, "sqlContext": sql_context}
        super().__init__(ViewProvider, resource_name, props, opts)


class RawReflection(DynamicResource):
    """A copy of the columns display_fields. Created when it is available to queries.

    partition_fields: names, or {"name", "transform": {"type": "MONTH"}}.
    timeout_s: how long to wait, default 600.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        dataset_path: Names,
        display_fields: Names,
        sort_fields: Names | None = None,
        partition_fields: Objects | None = None,
        distribution_fields: Names | None = None,
        enabled: pulumi.Input[bool] | None = None,
        timeout_s: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "datasetPath": dataset_path,
            "displayFields": display_fields,
            "sortFields": sort_fields,
            "partitionFields": partition_fields,
            "distributionFields": distribution_fields,
            "enabled": enabled,
            "timeoutS": timeout_s,
        }
        super().__init__(RawReflectionProvider, resource_name, props, opts)


class AggregationReflection(DynamicResource):
    """Measures grouped by dimensions. Created when it is available to queries.

    dimension_fields: names, or {"name", "granularity": "DATE" | "NORMAL"} (default DATE).
    measure_fields: {"name", "measureTypeList": ["SUM", "COUNT", "MIN", "MAX",
    "APPROX_COUNT_DISTINCT"]}. COUNT(*) is always included.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        dataset_path: Names,
        dimension_fields: Objects,
        measure_fields: Objects | None = None,
        sort_fields: Names | None = None,
        partition_fields: Objects | None = None,
        distribution_fields: Names | None = None,
        enabled: pulumi.Input[bool] | None = None,
        timeout_s: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "datasetPath": dataset_path,
            "dimensionFields": dimension_fields,
            "measureFields": measure_fields,
            "sortFields": sort_fields,
            "partitionFields": partition_fields,
            "distributionFields": distribution_fields,
            "enabled": enabled,
            "timeoutS": timeout_s,
        }
        super().__init__(AggregationReflectionProvider, resource_name, props, opts)
