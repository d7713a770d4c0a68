"""What Superset does that its handlers must hold against (reference of 6.1.0)."""

import json

import pytest

from dynamic_providers.api import ApiError
from dynamic_providers.handler import InputError
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
from dynamic_providers.superset.client import FeatureOffError, SupersetClient
from dynamic_providers.waiting import WorkFailedError

URI = "postgresql://analyst:hunter22@127.0.0.1:5432/warehouse"
RULE = {"name": "own region", "roles": ["Gamma"], "clause": "region = 'EU'"}
ADA = {
    "username": "ada",
    "password": "pa55word-of-ada",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@dataflow.invalid",
    "roles": ["Gamma"],
}


@pytest.fixture
def client(superset):
    return superset.client


@pytest.fixture
def table(client) -> str:
    """The uuid of a dataset."""
    raw = {"name": "warehouse", "sqlalchemyUri": URI}
    warehouse = database.create(client, database.normalize(raw)).id
    return make(dataset, client, databaseUuid=warehouse, schema="public", tableName="orders")


@pytest.fixture
def look(client, table) -> str:
    """The uuid of a chart of the dataset."""
    return make(chart, client, **CHART, datasetUuid=table)


CHART = {"name": "Revenue", "vizType": "table", "params": {"metric": "count"}}


def make(handler, client, **raw) -> str:
    return handler.create(client, handler.normalize(raw)).id


def change(handler, client, id_, old, new) -> None:
    handler.update(client, id_, handler.normalize(old), handler.normalize(new))


# what looking at things writes


def test_a_chart_that_somebody_opened_shows_no_drift(client, superset_fake, table, look):
    spec = chart.normalize({**CHART, "datasetUuid": table})
    superset_fake.view_chart(look)
    assert chart.read(client, look, spec).inputs == spec


def test_a_dashboard_that_somebody_opened_shows_no_drift_and_keeps_its_colours(
    client, superset_fake, look
):
    raw = {"slug": "sales", "title": "Sales", "rows": [[look]]}
    spec = dashboard.normalize(raw)
    id_ = dashboard.create(client, spec).id
    superset_fake.view_dashboard(id_)
    assert dashboard.read(client, id_, spec).inputs == spec
    change(dashboard, client, id_, raw, {**raw, "title": "Sales of the week"})
    stored = json.loads(superset_fake.find("dashboard", uuid=id_)["json_metadata"])
    assert stored["map_label_colors"] == {"EU": "#222"}


# dashboards


def test_charts_are_really_attached(client, superset_fake, look):
    note = {"markdown": "# Numbers of the week", "width": 4}
    id_ = make(
        dashboard, client, slug="sales", title="S", rows=[[{"chart": look, "width": 8}, note]]
    )
    row = superset_fake.find("dashboard", uuid=id_)
    assert row["charts"] == [superset_fake.find("chart", uuid=look)["id"]]
    assert row["is_managed_externally"] is True


def test_filters_hold_the_numbers_that_the_server_knows(client, superset_fake, table, look):
    amount = {"name": "Amount", "datasetUuid": table, "column": "amount", "default": [5]}
    raw = {"slug": "sales", "title": "S", "rows": [[look]], "filters": [amount]}
    id_ = make(dashboard, client, **raw)
    (stored,) = json.loads(superset_fake.find("dashboard", uuid=id_)["json_metadata"])[
        "native_filter_configuration"
    ]
    number = superset_fake.find("dataset", uuid=table)["id"]
    assert stored["targets"] == [{"datasetId": number, "column": {"name": "amount"}}]
    assert stored["chartsInScope"] == [superset_fake.find("chart", uuid=look)["id"]]
    assert stored["defaultDataMask"]["extraFormData"] == {
        "filters": [{"col": "amount", "op": "IN", "val": [5]}]
    }
    change(dashboard, client, id_, raw, {k: v for k, v in raw.items() if k != "filters"})
    metadata = json.loads(superset_fake.find("dashboard", uuid=id_)["json_metadata"])
    assert metadata["native_filter_configuration"] == []


def test_a_dashboard_for_an_unknown_role_or_chart_is_refused(client, table):
    raw = {"slug": "sales", "title": "Sales", "rows": []}
    with pytest.raises(InputError, match="'Nobody': Superset has no such role"):
        make(dashboard, client, **raw, roles=["Nobody"])
    with pytest.raises(InputError, match="no such chart"):
        make(dashboard, client, **{**raw, "rows": [[table]]})


# datasets


def orders(superset_fake, table) -> dict:
    return superset_fake.find("dataset", uuid=table)


def table_inputs(client) -> dict:
    warehouse = database.normalize({"name": "warehouse", "sqlalchemyUri": URI})["uuid"]
    return {"databaseUuid": warehouse, "schema": "public", "tableName": "orders"}


def test_metrics_keep_their_numbers_through_a_change(client, superset_fake, table):
    raw = table_inputs(client)
    metrics = [{"name": "count", "expression": "COUNT(*)"}, {"name": "sum", "expression": "1"}]
    before = {m["metric_name"]: m["id"] for m in orders(superset_fake, table)["metrics"]}
    change(dataset, client, table, raw, {**raw, "metrics": metrics})
    after = {m["metric_name"]: m["id"] for m in orders(superset_fake, table)["metrics"]}
    assert after["count"] == before["count"]
    assert set(after) == {"count", "sum"}


def test_columns_that_are_not_listed_stay(client, superset_fake, table):
    raw = table_inputs(client)
    described = [
        {"name": "amount", "verboseName": "Dollars", "groupby": False},
        {"name": "cents", "expression": "amount * 100"},
    ]
    change(dataset, client, table, raw, {**raw, "columns": described})
    columns = {c["column_name"]: c for c in orders(superset_fake, table)["columns"]}
    assert set(columns) == {"id", "amount", "order_date", "cents"}
    assert (columns["amount"]["verbose_name"], columns["amount"]["groupby"]) == ("Dollars", False)
    assert columns["order_date"]["is_dttm"] is True
    change(dataset, client, table, {**raw, "columns": described}, {**raw, "columns": []})
    columns = {c["column_name"]: c for c in orders(superset_fake, table)["columns"]}
    assert set(columns) == {"id", "amount", "order_date"}
    assert (columns["amount"]["verbose_name"], columns["amount"]["groupby"]) == (None, True)


def test_a_column_that_a_person_adds_is_drift(client, superset_fake, table):
    spec = dataset.normalize({**table_inputs(client), "columns": []})
    orders(superset_fake, table)["columns"][0]["verbose_name"] = "Number"
    shown = dataset.read(client, table, spec).inputs["columns"]
    assert [(column["name"], column["verboseName"]) for column in shown] == [("id", "Number")]


def test_a_column_that_the_table_lacks_is_refused(client, table):
    raw = table_inputs(client)
    with pytest.raises(InputError, match="'amuont': the table has amount, id, order_date"):
        change(dataset, client, table, raw, {**raw, "columns": [{"name": "amuont"}]})


def test_an_input_that_is_taken_away_is_cleared(client, superset_fake, table, look):
    raw = table_inputs(client)
    more = {**raw, "description": "All orders", "cacheTimeoutS": 60}
    change(dataset, client, table, raw, more)
    change(dataset, client, table, more, raw)
    row = orders(superset_fake, table)
    assert (row["description"], row["cache_timeout"]) == (None, None)
    raw = {**CHART, "datasetUuid": table}
    change(chart, client, look, raw, {**raw, "certifiedBy": "Finance"})
    change(chart, client, look, {**raw, "certifiedBy": "Finance"}, raw)
    assert superset_fake.find("chart", uuid=look)["certified_by"] is None


def test_a_query_may_be_a_dataset(client, superset_fake, table):
    raw = {**table_inputs(client), "tableName": "recent", "sql": "SELECT 1 AS a"}
    id_ = make(dataset, client, **raw)
    assert dataset.read(client, id_, dataset.normalize(raw)).inputs["sql"] == raw["sql"]


# deleting what others use


def test_a_dataset_in_use_is_kept_unless_asked_for(client, superset_fake, table, look):
    make(row_level_security, client, **RULE, datasetUuids=[table])
    with pytest.raises(InputError, match="charts still use the dataset: Revenue"):
        dataset.delete(client, table, {})
    chart.delete(client, look, {})
    with pytest.raises(InputError, match="row-level security still names .* own region"):
        dataset.delete(client, table, {})
    assert orders(superset_fake, table)
    dataset.delete(client, table, {"forceDelete": True})
    assert client.number("dataset", table) is None


def test_a_role_that_a_rule_names_is_kept_unless_asked_for(client, table):
    make(role, client, name="analysts", permissions=[])
    make(row_level_security, client, **{**RULE, "roles": ["analysts"]}, datasetUuids=[table])
    with pytest.raises(InputError, match="own region: delete them first, or set forceDelete"):
        role.delete(client, "analysts", {"name": "analysts"})
    role.delete(client, "analysts", {"name": "analysts", "forceDelete": True})
    assert client.number_named("security/roles", "name", "analysts") is None


def test_a_database_with_datasets_names_them(client, table):
    warehouse = table_inputs(client)["databaseUuid"]
    with pytest.raises(InputError, match=r"datasets attached: orders: delete them first"):
        database.delete(client, warehouse, {})


# row-level security


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"roles": []}, "roles", "one entry or more"),
        ({"datasetUuids": []}, "datasetUuids", "one entry or more"),
        ({"clause": "region ="}, "clause", "one SQL condition"),
        ({"clause": "1=1) OR (1=1"}, "clause", "one SQL condition"),
        ({"clause": "a = 1; DROP TABLE x"}, "clause", "as after WHERE"),
        ({"clause": "SELECT 1"}, "clause", "as after WHERE"),
        ({"clause": "a = 1 -- x"}, "clause", "no comment"),
        ({"clause": "a = '{{ current_username() }}'"}, "clause", "templates are off"),
        ({"filterType": "regular"}, "filterType", "Base, Regular"),
    ],
)
def test_a_rule_that_would_filter_wrongly_is_refused(wrong, field, says):
    raw = {**RULE, "datasetUuids": ["0d5f4c52-68ac-4d6c-9a1f-1a2b3c4d5e6f"], **wrong}
    with pytest.raises(InputError) as raised:
        row_level_security.normalize(raw)
    assert raised.value.field == field
    assert says in raised.value.reason


def test_a_rule_that_came_out_empty_is_an_error(client, superset_fake, table):
    raw = {**RULE, "datasetUuids": [table]}
    make(row_level_security, client, **raw)
    superset_fake.drops_lists = True
    with pytest.raises(WorkFailedError, match="keeps roles \\[\\] of"):
        change(row_level_security, client, RULE["name"], raw, {**raw, "clause": "a = 1"})


def test_a_rule_that_lost_its_roles_is_drift(client, superset_fake, table):
    spec = row_level_security.normalize({**RULE, "datasetUuids": [table]})
    row_level_security.create(client, spec)
    superset_fake.find("rowlevelsecurity", name=RULE["name"])["roles"] = []
    assert row_level_security.read(client, RULE["name"], spec).inputs["roles"] == []


# roles and users


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        ({"name": "Admin", "permissions": []}, "name", "a role of Superset itself"),
        ({"name": "a", "permissions": ["can_read"]}, "permissions[0]", "permission on resource"),
        (
            {"name": "a", "permissions": ["datasource_access on [w].[orders](id:4)"]},
            "permissions[0]",
            "expected schema_access on [database].[schema]",
        ),
    ],
)
def test_a_role_that_would_not_last_is_refused(raw, field, says):
    with pytest.raises(InputError) as raised:
        role.normalize(raw)
    assert (raised.value.field, says in raised.value.reason) == (field, True)


@pytest.mark.parametrize(
    ("permission", "says"),
    [("can_fly on Chart", "permissions on it are can_read, can_write"), ("x on Y", "yet")],
)
def test_a_wrong_permission_leaves_no_role_behind(client, permission, says):
    with pytest.raises(InputError, match=says):
        make(role, client, name="analysts", permissions=[permission])
    assert client.number_named("security/roles", "name", "analysts") is None


def test_a_role_has_its_permissions_and_no_others(client, table):
    raw = {"name": "analysts", "permissions": ["can_read on Chart", "can_write on Chart"]}
    make(role, client, **raw)
    change(role, client, "analysts", raw, {**raw, "permissions": ["can_read on Dashboard"]})
    assert role.read(client, "analysts", {}).inputs["permissions"] == ["can_read on Dashboard"]


def may_log_in(url, password) -> bool:
    account = SupersetClient(url, password, user="ada")
    try:
        account.number_named("css_template", "template_name", "x")
    except ApiError as error:
        assert error.status == 401
        return False
    finally:
        account.close()
    return True


def test_a_user_logs_in_with_the_password_until_it_changes(client):
    url = str(client.api._http.base_url)
    make(user, client, **ADA)
    assert may_log_in(url, ADA["password"])
    change(user, client, "ada", ADA, {**ADA, "password": "new-pa55word"})
    assert (may_log_in(url, ADA["password"]), may_log_in(url, "new-pa55word")) == (False, True)


def test_a_password_is_never_read_and_kept_as_known(client):
    make(user, client, **ADA)
    assert "password" not in user.read(client, "ada", {}).inputs
    assert user.read(client, "ada", user.normalize(ADA)).inputs["password"] == ADA["password"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"roles": []}, "roles"), ({"username": "admin"}, "username"), ({"email": "ada"}, "email")],
)
def test_a_wrong_user_is_refused(wrong, field):
    with pytest.raises(InputError) as raised:
        user.normalize({**ADA, **wrong})
    assert raised.value.field == field
    assert ADA["password"] not in str(raised.value)


# report schedules

WEEKLY = {
    "name": "weekly",
    "crontab": "0 6 * * 1",
    "recipients": [{"type": "Email", "target": "ops@example.com"}],
}


def test_schedules_that_are_switched_off_name_the_flag(client, superset_fake, look):
    superset_fake.alert_reports = False
    with pytest.raises(FeatureOffError, match="feature flag ALERT_REPORTS"):
        make(report, client, **WEEKLY, chartUuid=look)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "dashboardUuid"),
        ({"chartUuid": "x"}, "chartUuid"),
        ({"crontab": "every day"}, "crontab"),
        ({"chartUuid": "0d5f4c52-68ac-4d6c-9a1f-1a2b3c4d5e6f", "sql": "SELECT 1"}, "sql"),
        ({"chartUuid": "0d5f4c52-68ac-4d6c-9a1f-1a2b3c4d5e6f", "gracePeriodS": 0}, "gracePeriodS"),
    ],
)
def test_a_wrong_schedule_is_refused(wrong, field):
    with pytest.raises(InputError) as raised:
        report.normalize({**WEEKLY, **wrong})
    assert raised.value.field == field


def test_an_alert_asks_a_database():
    with pytest.raises(InputError, match="databaseUuid: missing"):
        alert.normalize({**WEEKLY, "chartUuid": "0d5f4c52-68ac-4d6c-9a1f-1a2b3c4d5e6f"})


def test_a_report_and_an_alert_may_have_one_name(client, table, look):
    warehouse = table_inputs(client)["databaseUuid"]
    asks = {"databaseUuid": warehouse, "sql": "SELECT COUNT(*) FROM orders"}
    make(report, client, **WEEKLY, chartUuid=look)
    make(alert, client, **WEEKLY, **asks, chartUuid=look)
    report.delete(client, "weekly", {})
    assert report.read(client, "weekly", {}) is None
    assert alert.read(client, "weekly", {}).inputs["sql"] == asks["sql"]


# the client


def test_a_listing_has_all_pages(client):
    for number in range(120):
        client.require("POST", "/css_template/", {"template_name": f"t{number}", "css": ""})
    assert len({item["id"] for item in client.listing("css_template")}) == 120


def test_an_answer_to_the_request_of_another_is_not_believed(client, superset_fake, table):
    made = make(css_template, client, name="brand", css="a {}")
    make(css_template, client, name="other", css="b {}")
    column = "template_name"
    other = [{"col": column, "opr": "eq", "value": "other"}]
    nothing = [{"col": column, "opr": "eq", "value": "nothing"}]
    superset_fake.mixed_up = [other, nothing, []]
    assert css_template.read(client, made, {}).inputs["css"] == "a {}"
    superset_fake.mixed_up = [other] * 100
    with pytest.raises(ApiError, match="what nobody asked for: try again"):
        css_template.read(client, made, {})


def test_a_chart_is_not_looked_up_in_a_listing(client, superset_fake, look):
    superset_fake.requests.clear()
    chart.delete(client, look, {})
    assert ("GET", "/api/v1/chart/") not in superset_fake.requests
    assert not superset_fake.rows["chart"]


@pytest.mark.parametrize("name", ["it's", "a!b", "a,b:(c)", "ü & 'x'"])
def test_any_name_can_be_looked_up(client, name):
    make(css_template, client, name=name, css="a {}")
    assert css_template.read(client, name, {}).inputs["name"] == name


def test_objects_say_that_they_are_managed(client, superset_fake, table, look):
    for kind in ("database", "dataset", "chart"):
        assert all(row["is_managed_externally"] for row in superset_fake.rows[kind].values())


def test_a_down_engine_is_told_and_leaves_no_database(client, superset_fake):
    superset_fake.engine_up = False
    with pytest.raises(ApiError, match="Connection failed") as raised:
        make(database, client, name="warehouse", sqlalchemyUri=URI)
    assert "hunter22" not in str(raised.value)
    assert superset_fake.rows["database"] == {}
