"""For each handler: inputs to create an object with, and inputs to change it to.

A handler without an entry here fails the contract suite.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from uuid import uuid4

import dynamic_providers
from dynamic_providers.airbyte import (
    connection,
    declarative_definition,
    destination,
    destination_definition,
    source_definition,
    sync,
    workspace,
)
from dynamic_providers.airbyte import source as airbyte_source
from dynamic_providers.airbyte import tag as airbyte_tag
from dynamic_providers.dremio import (
    aggregation_reflection,
    first_user,
    folder,
    grant,
    physical_dataset,
    raw_reflection,
    role,
    script,
    space,
    tag,
    user,
    view,
    wiki,
)
from dynamic_providers.dremio import source as dremio_source
from dynamic_providers.handler import Props
from dynamic_providers.superset import (
    alert,
    chart,
    css_template,
    dashboard,
    database,
    dataset,
    report,
    row_level_security,
)
from dynamic_providers.superset import role as superset_role
from dynamic_providers.superset import user as superset_user

AREAS = ("airbyte", "dremio", "superset")  # local handlers have a suite of their own


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service under test. facts: what a case must know of it, such as an address."""

    client: Any
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """make: creates what the object needs, returns its inputs and changed ones (None where
    every input is identity). deletes: whether delete removes the object. enterprise: only the
    fakes have it."""

    handler: ModuleType
    make: Callable[[Service], tuple[Props, Props | None]]
    deletes: bool = True
    enterprise: bool = False


def handlers() -> list[ModuleType]:
    """Every module with the members of a handler."""
    found = []
    for area in AREAS:
        package = importlib.import_module(f"{dynamic_providers.__name__}.{area}")
        for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            module = importlib.import_module(info.name)
            if hasattr(module, "KIND"):
                found.append(module)
    return found


def made(handler: ModuleType, service: Service, raw: Props) -> str:
    return handler.create(service.client, handler.normalize(raw)).id


def unique(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex[:8]}"


def _workspace(service: Service):
    raw = {"name": unique("team")}
    return raw, {**raw, "notifications": {"success": {"email": {"enabled": True}}}}


def _definition(service: Service):
    raw = {
        "name": unique("Own connector"),
        "dockerRepository": f"example/{unique('source-own')}",
        "dockerImageTag": "1.0.0",
        "documentationUrl": "https://docs.example/own",
    }
    return raw, {**raw, "dockerImageTag": "1.1.0"}


def _declarative_definition(service: Service):
    manifest = {
        "version": "6.1.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["rates"]},
        "streams": [{"type": "DeclarativeStream", "name": "rates", "primary_key": ["day"]}],
    }
    raw = {"name": unique("Rates"), "manifest": manifest}
    streams = [{**manifest["streams"][0], "primary_key": ["day", "currency"]}]
    return raw, {**raw, "manifest": {**manifest, "streams": streams}}


def _airbyte_tag(service: Service):
    raw = {"name": unique("team"), "color": "#ff5733"}
    return raw, {**raw, "color": "75DCFF"}


def _source(service: Service):
    raw = {"name": unique("shop"), "configuration": dict(service.facts["source"])}
    changed = {**raw, "configuration": {**raw["configuration"], **service.facts["source_change"]}}
    return raw, changed


def _destination(service: Service):
    raw = {"name": unique("lake"), "configuration": dict(service.facts["destination"])}
    changed = {
        **raw,
        "configuration": {**raw["configuration"], "s3_bucket_path": "bronze/elsewhere"},
    }
    return raw, changed


def _connection(service: Service):
    raw = {
        "name": unique("shop to lake"),
        "sourceId": made(airbyte_source, service, _source(service)[0]),
        "destinationId": made(destination, service, _destination(service)[0]),
        "streams": [dict(stream) for stream in service.facts["streams"]],
    }
    changed = {
        **raw,
        "streams": raw["streams"][:1],
        "schedule": {"scheduleType": "cron", "cronExpression": "0 0 1 * * ? UTC"},
        "status": "inactive",
        "prefix": "raw_",
        "namespaceDefinition": "custom_format",
        "namespaceFormat": "shop_${SOURCE_NAMESPACE}",
        "tags": [made(airbyte_tag, service, _airbyte_tag(service)[0])],
        **service.facts["connection_change"],
    }
    return raw, changed


def _sync(service: Service):
    id_ = made(connection, service, _connection(service)[0])
    raw = {"connectionId": id_, "triggers": {"streams": "a"}, "timeoutS": 60}
    return raw, {**raw, "triggers": {"streams": "a,b"}}


def _first_user(service: Service):
    return {}, {"email": "new@dataflow.invalid"}


def _space(service: Service):
    return {"name": unique("space")}, None


def _folder(service: Service):
    return {"path": [made(space, service, _space(service)[0]), "marts"]}, None


def _dremio_source(service: Service):
    raw = {
        "name": unique("lake"),
        "type": "S3",
        "config": dremio_source.minio_config(*service.facts["store"]),
    }
    raw["config"]["rootPath"] = "/"
    return raw, {**raw, "accelerationRefreshPeriodMs": 7_200_000}


def _table(service: Service) -> list[str]:
    name = made(dremio_source, service, _dremio_source(service)[0])
    return service.facts["put_files"](name)


def _physical_dataset(service: Service):
    raw = {"path": _table(service), "format": {"type": "Parquet"}}
    policy = {"activePolicyType": "PERIOD", "refreshPeriodMs": 7_200_000}
    return raw, {**raw, "accelerationRefreshPolicy": policy}


def _view(service: Service):
    name = made(space, service, _space(service)[0])
    raw = {"path": [name, "one"], "sql": "SELECT 1 AS id, 2 AS amount;\n"}
    return raw, {**raw, "sql": "SELECT 1 AS id, 3 AS amount"}


def _view_path(service: Service) -> list[str]:
    raw = _view(service)[0]
    made(view, service, raw)
    return raw["path"]


def _raw_reflection(service: Service):
    raw = {
        "name": unique("raw"),
        "datasetPath": _view_path(service),
        "displayFields": ["id", "amount"],
        "timeoutS": 60,
    }
    return raw, {**raw, "displayFields": ["id"], "sortFields": ["id"]}


def _aggregation_reflection(service: Service):
    raw = {
        "name": unique("agg"),
        "datasetPath": _view_path(service),
        "dimensionFields": ["id"],
        "measureFields": [{"name": "amount", "measureTypeList": ["SUM", "COUNT"]}],
        "timeoutS": 60,
    }
    return raw, {**raw, "measureFields": [{"name": "amount", "measureTypeList": ["MAX"]}]}


def _user(service: Service):
    raw = {"name": unique("analyst"), "password": "of-the-analyst-1", "email": "a@b.invalid"}
    changed = {**raw, "password": "of-the-analyst-2", "firstName": "Ann", "email": "c@d.invalid"}
    return raw, {**changed, "roles": [made(role, service, _role(service)[0])]}


def _role(service: Service):
    raw = {"name": unique("analysts")}
    parents = [made(role, service, {"name": unique("readers")}) for _ in range(2)]
    return raw, {**raw, "description": "Who reads gold", "roles": parents}


def _grant(service: Service):
    ann = {"granteeType": "USER", "name": made(user, service, _user(service)[0])}
    readers = {"granteeType": "ROLE", "name": made(role, service, _role(service)[0])}
    raw = {
        "path": _view_path(service),
        "grants": [{**ann, "privileges": ["select", "ALTER"]}],
    }
    return raw, {**raw, "grants": [{**readers, "privileges": ["SELECT"]}]}


def _tag(service: Service):
    raw = {"path": _view_path(service), "tags": ["gold", "daily"]}
    return raw, {**raw, "tags": ["gold"]}


def _wiki(service: Service):
    raw = {"path": _view_path(service), "text": "# Orders\n\nOne row per order."}
    return raw, {**raw, "text": "# Orders"}


def _script(service: Service):
    raw = {"name": unique("top customers"), "content": "SELECT 1;\nSELECT 2"}
    return raw, {**raw, "content": "SELECT 3", "context": ["gold"], "description": "For finance"}


def _database(service: Service):
    raw = {"name": unique("warehouse"), "sqlalchemyUri": service.facts["uri"]}
    return raw, {**raw, "exposeInSqllab": False, "extra": {"metadata_cache_timeout": {}}}


def _database_uuid(service: Service) -> str:
    return made(database, service, _database(service)[0])


def _dataset(service: Service):
    raw = {"databaseUuid": _database_uuid(service), "schema": "public", "tableName": "orders"}
    metrics = [
        {"name": "revenue", "expression": "SUM(amount)", "d3format": ",.2f"},
        {"name": "count", "expression": "COUNT(*)"},
    ]
    columns = [
        {"name": "amount", "verboseName": "Amount in dollars", "groupby": False},
        {"name": "order_date", "isDttm": True},
        {"name": "cents", "expression": "amount * 100", "type": "NUMERIC"},
    ]
    changed = {"metrics": metrics, "columns": columns, "mainDttmCol": "order_date"}
    return raw, {**raw, **changed, "alwaysFilterMainDttm": True, "cacheTimeoutS": 60}


def _chart(service: Service):
    raw = {
        "name": unique("Revenue"),
        "vizType": "big_number_total",
        "datasetUuid": made(dataset, service, _dataset(service)[0]),
        "params": {"metric": "count", "row_limit": 100},
    }
    changed = {**raw, "vizType": "table", "params": {"all_columns": ["amount"]}}
    changed |= {"sliceName": "Revenue per day", "description": "In dollars"}
    return raw, {**changed, "cacheTimeoutS": 60, "certifiedBy": "Finance"}


def _dashboard(service: Service):
    looks = [_chart(service)[0], _chart(service)[0]]
    charts = [made(chart, service, look) for look in looks]
    of_amount = {"datasetUuid": looks[0]["datasetUuid"], "column": "amount"}
    raw = {"slug": unique("sales"), "title": "Sales", "rows": [charts]}
    changed = {
        **raw,
        "title": "Sales of the week",
        "published": False,
        "rows": [[{"chart": charts[1], "width": 9, "height": 40}, {"markdown": "# Note"}]],
        "css": ".header { color: red }",
        "roles": ["Alpha", "Gamma"],
        "filters": [
            {"name": "Amount", "default": [5], **of_amount},
            {"name": "Range", "filterType": "filter_range", "default": [1, 2.5], **of_amount},
            {"name": "Time", "filterType": "filter_time", "default": "Last week"},
        ],
    }
    changed["rows"][0][1] |= {"width": 3}
    return raw, changed


def _superset_role(service: Service):
    raw = {"name": unique("analysts"), "permissions": ["can_read on Chart"]}
    name = unique("warehouse")
    made(database, service, {**_database(service)[0], "name": name})
    schema = f"schema_access on {service.facts['schema_of'](name)}"
    return raw, {**raw, "permissions": [schema, "can_read on Dashboard"], "forceDelete": True}


def _superset_user(service: Service):
    raw = {
        "username": unique("ada"),
        "password": "pa55word-of-ada",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": f"{unique('ada')}@dataflow.invalid",
        "roles": ["Gamma", made(superset_role, service, _superset_role(service)[0])],
    }
    return raw, {**raw, "password": "new-pa55word", "active": False, "roles": ["Gamma"]}


def _row_level_security(service: Service):
    raw = {
        "name": unique("own region"),
        "roles": [made(superset_role, service, _superset_role(service)[0])],
        "datasetUuids": [made(dataset, service, _dataset(service)[0])],
        "clause": "region = 'EU'",
    }
    changed = {"filterType": "Base", "roles": ["Alpha"], "clause": "amount > 0"}
    return raw, {**raw, **changed, "groupKey": "region", "description": "Only their own"}


def _css_template(service: Service):
    raw = {"name": unique("it's dark"), "css": "body { color: black }"}
    return raw, {**raw, "css": "body { color: white }"}


def _report(service: Service):
    raw = {
        "name": unique("weekly"),
        "crontab": "0 6 * * 1",
        "chartUuid": made(chart, service, _chart(service)[0]),
        "recipients": [{"type": "Email", "target": "ops@example.com"}],
    }
    changed = {**raw, "timezone": "Europe/Rome", "description": "For operations"}
    changed["dashboardUuid"] = made(dashboard, service, _dashboard(service)[0])
    del changed["chartUuid"]
    return raw, {**changed, "active": False, "emailSubject": "Orders", "reportFormat": "PDF"}


def _alert(service: Service):
    raw = {
        **_report(service)[0],
        "databaseUuid": _database_uuid(service),
        "sql": "SELECT COUNT(*) FROM orders",
    }
    return raw, {**raw, "condition": {"op": "<", "threshold": 5}, "gracePeriodS": 60}


CASES = [
    Case(handler=workspace, make=_workspace),
    Case(handler=source_definition, make=_definition),
    Case(handler=destination_definition, make=_definition),
    Case(handler=declarative_definition, make=_declarative_definition),
    Case(handler=airbyte_tag, make=_airbyte_tag),
    Case(handler=airbyte_source, make=_source),
    Case(handler=destination, make=_destination),
    Case(handler=connection, make=_connection),
    Case(handler=sync, make=_sync, deletes=False),
    Case(handler=first_user, make=_first_user, deletes=False),
    Case(handler=space, make=_space),
    Case(handler=folder, make=_folder),
    Case(handler=dremio_source, make=_dremio_source),
    Case(handler=physical_dataset, make=_physical_dataset),
    Case(handler=view, make=_view),
    Case(handler=raw_reflection, make=_raw_reflection),
    Case(handler=aggregation_reflection, make=_aggregation_reflection),
    Case(handler=user, make=_user, enterprise=True),
    Case(handler=role, make=_role, enterprise=True),
    Case(handler=grant, make=_grant, enterprise=True),
    Case(handler=tag, make=_tag),
    Case(handler=wiki, make=_wiki),
    Case(handler=script, make=_script),
    Case(handler=database, make=_database),
    Case(handler=dataset, make=_dataset),
    Case(handler=chart, make=_chart),
    Case(handler=dashboard, make=_dashboard),
    Case(handler=superset_role, make=_superset_role),
    Case(handler=superset_user, make=_superset_user),
    Case(handler=row_level_security, make=_row_level_security),
    Case(handler=css_template, make=_css_template),
    Case(handler=report, make=_report),
    Case(handler=alert, make=_alert),
]
