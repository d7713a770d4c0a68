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
    grant,
    physical_dataset,
    raw_reflection,
    role,
    script,
    source,
    space,
    tag,
    user,
    view,
    wiki,
)
from dynamic_providers.dremio.client import ADMIN, SECRET_NAME, DremioClient
from dynamic_providers.handler import Handler
from dynamic_providers.stack import Stack

Names = pulumi.Input[Sequence[pulumi.Input[str]]]
Objects = pulumi.Input[Sequence[pulumi.Input[str | Mapping[str, Any]]]]


class DremioProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> DremioClient:
        user, secret = stack.login("dremio", ADMIN, SECRET_NAME)
        verify = stack.trust("dremio")
        return DremioClient(stack.url("dremio"), secret, user=user, verify=verify)


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


class UserProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = user


class RoleProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = role


class GrantProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = grant


class TagProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = tag


class WikiProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = wiki


class ScriptProvider(DremioProvider):
    handler: ClassVar[Handler[DremioClient]] = script


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
    allow_metadata_loss: let a change make Dremio forget the datasets of the source, with their
    formats, reflections and grants; such a change is refused otherwise.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        type: pulumi.Input[str],  # noqa: A002 - the API's word
        config: pulumi.Input[Mapping[str, Any]],
        policy: Mapping[str, Any] | None = None,
        allow_metadata_loss: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "type": type,
            "config": config,
            "allowMetadataLoss": allow_metadata_loss,
            **(policy or {}),
        }
        super().__init__(SourceProvider, resource_name, props, opts)


class PhysicalDataset(DynamicResource):
    """A folder or file of a source, promoted to a table. Deleting it leaves the files.

    path: source first. format: such as {"type": "Parquet"}.
    acceleration_refresh_policy: as the REST API spells it; shared by all reflections of it.
    allow_break_views: delete it also when views read it; refused otherwise.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        format: pulumi.Input[Mapping[str, Any]],  # noqa: A002 - the API's word
        acceleration_refresh_policy: pulumi.Input[Mapping[str, Any]] | None = None,
        allow_break_views: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "path": path,
            "format": format,
            "accelerationRefreshPolicy": acceleration_refresh_policy,
            "allowBreakViews": allow_break_views,
        }
        super().__init__(PhysicalDatasetProvider, resource_name, props, opts)


class View(DynamicResource):
    """A query with a name, in a space. It must depend on the views that it reads.

    sql_context: path against which names are resolved.
    allow_break_views: delete it also when other views read it; refused otherwise.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        sql: pulumi.Input[str],
        sql_context: Names | None = None,
        allow_break_views: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "path": path,
            "sql": sql,
            "sqlContext": sql_context,
            "allowBreakViews": allow_break_views,
        }
        super().__init__(ViewProvider, resource_name, props, opts)


class RawReflection(DynamicResource):
    """A copy of the columns display_fields. Created when it is available to queries.

    partition_fields: names, or {"name", "transform"}, where transform is {"type": "MONTH"},
    {"type": "BUCKET", "bucketTransform": {"bucketCount": 8}}, ...
    When it is refreshed is a setting of the table or source below it.
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
        partition_distribution_strategy: pulumi.Input[str] | None = None,
        arrow_caching_enabled: pulumi.Input[bool] | None = None,
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
            "partitionDistributionStrategy": partition_distribution_strategy,
            "arrowCachingEnabled": arrow_caching_enabled,
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
        partition_distribution_strategy: pulumi.Input[str] | None = None,
        arrow_caching_enabled: pulumi.Input[bool] | None = None,
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
            "partitionDistributionStrategy": partition_distribution_strategy,
            "arrowCachingEnabled": arrow_caching_enabled,
            "enabled": enabled,
            "timeoutS": timeout_s,
        }
        super().__init__(AggregationReflectionProvider, resource_name, props, opts)


class User(DynamicResource):
    """A user with a password of Dremio's own. On Community edition every user is an
    administrator, roles are refused, and a deleted user stays, with an unknown password.

    password: 8 characters or more, with a letter and a digit; secret. roles: all of the user's.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        password: pulumi.Input[str],
        first_name: pulumi.Input[str] | None = None,
        last_name: pulumi.Input[str] | None = None,
        email: pulumi.Input[str] | None = None,
        roles: Names | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "password": password,
            "firstName": first_name,
            "lastName": last_name,
            "email": email,
            "roles": roles,
        }
        super().__init__(UserProvider, resource_name, props, opts)


class Role(DynamicResource):
    """A role. Enterprise edition. roles: those that it belongs to."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        description: pulumi.Input[str] | None = None,
        roles: Names | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "description": description, "roles": roles}
        super().__init__(RoleProvider, resource_name, props, opts)


class Grant(DynamicResource):
    """What roles and users may do with one catalog object. Enterprise edition: on Community it
    fails, and view.secured_sql is what is left.

    path: of a source, space, folder, table or view. grants: {"granteeType": "ROLE" | "USER",
    "name", "privileges": ["SELECT", ...]}. One resource per object: grantees that it does not
    name keep what they have.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        grants: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(GrantProvider, resource_name, {"path": path, "grants": grants}, opts)


class Tag(DynamicResource):
    """The labels of one catalog object, all of them."""

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        tags: Names,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TagProvider, resource_name, {"path": path, "tags": tags}, opts)


class Wiki(DynamicResource):
    """The description of one catalog object. text: Markdown."""

    def __init__(
        self,
        resource_name: str,
        *,
        path: Names,
        text: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(WikiProvider, resource_name, {"path": path, "text": text}, opts)


class Script(DynamicResource):
    """A saved text of SQL. context: path against which its names are resolved."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        content: pulumi.Input[str],
        context: Names | None = None,
        description: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "content": content,
            "context": context,
            "description": description,
        }
        super().__init__(ScriptProvider, resource_name, props, opts)
