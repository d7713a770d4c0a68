"""Superset's objects as Pulumi resources.

The id of each is its uuid, which follows from its name: the output `uuid` is known in previews.
Roles, users, rules, CSS templates and report schedules have no uuid in Superset: their name is
their id, one that exists is taken over, and another name is another object.

force_delete: lets an object be deleted that others still use; set it, run up, then remove the
object. The names of the users are in the error otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pulumi

from dynamic_providers.adapter import DynamicResource, HandlerProvider
from dynamic_providers.handler import Handler
from dynamic_providers.stack import Stack
from dynamic_providers.superset import (
    alert,
    chart,
    css_template,
    dashboard,
    database,
    dataset,
    report,
    role,
    row_level_security,
    user,
)
from dynamic_providers.superset.client import ADMIN, SECRET_NAME, SupersetClient


class SupersetProvider(HandlerProvider):
    @staticmethod
    def connect(stack: Stack) -> SupersetClient:
        user, secret = stack.login("superset", ADMIN, SECRET_NAME)
        verify = stack.trust("superset")
        return SupersetClient(stack.url("superset"), secret, user=user, verify=verify)


class DatabaseProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = database


class DatasetProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = dataset


class ChartProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = chart


class DashboardProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = dashboard


class CssTemplateProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = css_template


class AlertProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = alert


class ReportProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = report


class RoleProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = role


class RowLevelSecurityProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = row_level_security


class UserProvider(SupersetProvider):
    handler: ClassVar[Handler[SupersetClient]] = user


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
    """A table of a database, or with `sql` a query of it. Database, schema and table are its
    identity.

    metrics: objects with name, expression, and as wanted verboseName, d3format, description,
    warningText; left out, those of the server stay.
    columns: objects with name, and as wanted verboseName, description, filterable, groupby,
    isDttm, type, pythonDateFormat; with an expression it is a calculated column. Columns of the
    table that are not listed stay as they are.
    main_dttm_col: the time column. cache_timeout_s: 0 is for ever.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        database_uuid: pulumi.Input[str],
        schema: pulumi.Input[str],
        table_name: pulumi.Input[str],
        columns: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]] | None = None,
        metrics: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]] | None = None,
        sql: pulumi.Input[str] | None = None,
        cache_timeout_s: pulumi.Input[int] | None = None,
        force_delete: pulumi.Input[bool] | None = None,
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
            "columns": columns,
            "metrics": metrics,
            "sql": sql,
            "cacheTimeoutS": cache_timeout_s,
            "forceDelete": force_delete,
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
        cache_timeout_s: pulumi.Input[int] | None = None,
        certified_by: pulumi.Input[str] | None = None,
        certification_details: pulumi.Input[str] | None = None,
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
            "cacheTimeoutS": cache_timeout_s,
            "certifiedBy": certified_by,
            "certificationDetails": certification_details,
        }
        super().__init__(ChartProvider, resource_name, props, opts)


class Dashboard(Identified):
    """Charts in rows.

    slug: identity and end of the address. rows: lists of chart uuids, or of
    {"chart": uuid, "width": 1 to 12 columns, "height": units of 8 pixels}; "markdown" in place
    of "chart" is a text.
    filters: objects with name, filterType (filter_select, filter_range, filter_time), except
    for time datasetUuid and column, and as wanted default, required, description, multiple.
    roles: names of those who may see it; Superset heeds them with DASHBOARD_RBAC on.
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
        filters: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]] | None = None,
        roles: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "slug": slug,
            "uuid": None,
            "title": title,
            "rows": rows,
            "published": published,
            "css": css,
            "filters": filters,
            "roles": roles,
        }
        super().__init__(DashboardProvider, resource_name, props, opts)


class CssTemplate(DynamicResource):
    """A style sheet that editors of dashboards may choose."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        css: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(CssTemplateProvider, resource_name, {"name": name, "css": css}, opts)


class Role(DynamicResource):
    """A set of permissions, written `can_read on Chart` or
    `schema_access on [database].[schema]`. Those on a single table are refused: their names
    hold a number that changes when the table's dataset is made anew."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        permissions: pulumi.Input[Sequence[pulumi.Input[str]]],
        force_delete: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "permissions": permissions, "forceDelete": force_delete}
        super().__init__(RoleProvider, resource_name, props, opts)


class User(DynamicResource):
    """An account. password: secret, of the caller or derived (credentials.py); Superset never
    shows it, so a change made there stays unseen. roles: names, one or more."""

    def __init__(
        self,
        resource_name: str,
        *,
        username: pulumi.Input[str],
        password: pulumi.Input[str],
        first_name: pulumi.Input[str],
        last_name: pulumi.Input[str],
        email: pulumi.Input[str],
        roles: pulumi.Input[Sequence[pulumi.Input[str]]],
        active: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "username": username,
            "password": password,
            "firstName": first_name,
            "lastName": last_name,
            "email": email,
            "roles": roles,
            "active": active,
        }
        super().__init__(UserProvider, resource_name, props, opts)


class RowLevelSecurity(DynamicResource):
    """A condition that Superset adds to every query of some roles over some datasets.

    clause: SQL as after WHERE. roles: names; filter_type Regular is for them, Base for all
    others. group_key: rules with the same one are joined by OR.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        roles: pulumi.Input[Sequence[pulumi.Input[str]]],
        dataset_uuids: pulumi.Input[Sequence[pulumi.Input[str]]],
        clause: pulumi.Input[str],
        filter_type: pulumi.Input[str] | None = None,
        group_key: pulumi.Input[str] | None = None,
        description: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "roles": roles,
            "datasetUuids": dataset_uuids,
            "clause": clause,
            "filterType": filter_type,
            "groupKey": group_key,
            "description": description,
        }
        super().__init__(RowLevelSecurityProvider, resource_name, props, opts)


class Report(DynamicResource):
    """A dashboard or a chart sent at set times. Needs the feature flag ALERT_REPORTS and
    Superset's workers.

    crontab: 5 fields, in `timezone`. recipients: objects with type, target, and as wanted
    ccTarget, bccTarget. report_format: CSV, PDF, PNG, TEXT.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        crontab: pulumi.Input[str],
        recipients: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]],
        dashboard_uuid: pulumi.Input[str] | None = None,
        chart_uuid: pulumi.Input[str] | None = None,
        timezone: pulumi.Input[str] | None = None,
        active: pulumi.Input[bool] | None = None,
        report_format: pulumi.Input[str] | None = None,
        description: pulumi.Input[str] | None = None,
        email_subject: pulumi.Input[str] | None = None,
        context_markdown: pulumi.Input[str] | None = None,
        log_retention_days: pulumi.Input[int] | None = None,
        grace_period_s: pulumi.Input[int] | None = None,
        working_timeout_s: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "crontab": crontab,
            "recipients": recipients,
            "dashboardUuid": dashboard_uuid,
            "chartUuid": chart_uuid,
            "timezone": timezone,
            "active": active,
            "reportFormat": report_format,
            "description": description,
            "emailSubject": email_subject,
            "contextMarkdown": context_markdown,
            "logRetentionDays": log_retention_days,
            "gracePeriodS": grace_period_s,
            "workingTimeoutS": working_timeout_s,
        }
        super().__init__(ReportProvider, resource_name, props, opts)


class Alert(DynamicResource):
    """As a Report, but sent when the `sql` of a database says so.

    condition: {"op", "threshold"} on the result; left out, any result that is not empty.
    grace_period_s: how long a raised alert is not sent again.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        crontab: pulumi.Input[str],
        database_uuid: pulumi.Input[str],
        sql: pulumi.Input[str],
        recipients: pulumi.Input[Sequence[pulumi.Input[Mapping[str, Any]]]],
        dashboard_uuid: pulumi.Input[str] | None = None,
        chart_uuid: pulumi.Input[str] | None = None,
        condition: pulumi.Input[Mapping[str, Any]] | None = None,
        timezone: pulumi.Input[str] | None = None,
        active: pulumi.Input[bool] | None = None,
        report_format: pulumi.Input[str] | None = None,
        description: pulumi.Input[str] | None = None,
        email_subject: pulumi.Input[str] | None = None,
        context_markdown: pulumi.Input[str] | None = None,
        log_retention_days: pulumi.Input[int] | None = None,
        grace_period_s: pulumi.Input[int] | None = None,
        working_timeout_s: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "crontab": crontab,
            "recipients": recipients,
            "dashboardUuid": dashboard_uuid,
            "chartUuid": chart_uuid,
            "databaseUuid": database_uuid,
            "sql": sql,
            "condition": condition,
            "timezone": timezone,
            "active": active,
            "reportFormat": report_format,
            "description": description,
            "emailSubject": email_subject,
            "contextMarkdown": context_markdown,
            "logRetentionDays": log_retention_days,
            "gracePeriodS": grace_period_s,
            "workingTimeoutS": working_timeout_s,
        }
        super().__init__(AlertProvider, resource_name, props, opts)
