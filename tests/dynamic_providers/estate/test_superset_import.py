"""Superset: objects made by hand through the API, imported, and taken over unchanged."""

import json

import pytest

from adoption import superset as reader
from adoption.flows import flow_of
from adoption.listing import ID, Adopted, Listing
from tests.dynamic_providers.conftest import PASSWORD
from tests.dynamic_providers.estate.taking_over import take_over

CHANGED = (
    "changed",
    "created_on",
    "is_managed_externally",
    "thumbnail",
    "last_saved",
    "url",
    "datasource_name",
)


def by_hand(client, uri: str) -> dict[str, int]:
    def post(kind, **body):
        return int(client.require("POST", f"/{kind}/", body)["id"])

    ids = {"database": post("database", database_name="Hand made", sqlalchemy_uri=uri)}
    ids["dataset"] = post(
        "dataset", database=ids["database"], schema="public", table_name="orders"
    )
    charts = []
    for name, viz, params in (
        ("Total", "big_number_total", {"metric": "count"}),
        ("List", "table", {"all_columns": ["id", "amount"], "query_mode": "raw"}),
    ):
        source = {"datasource_id": ids["dataset"], "datasource_type": "table"}
        text = json.dumps({**params, "viz_type": viz, "datasource": f"{ids['dataset']}__table"})
        charts.append(post("chart", slice_name=name, viz_type=viz, params=text, **source))
    ids["dashboard"] = post("dashboard", dashboard_title="By hand", slug="by-hand")
    positions = layout(client, [charts])
    metadata = json.dumps({"positions": positions, "color_scheme": "supersetColors"})
    client.require("PUT", f"/dashboard/{ids['dashboard']}", {"json_metadata": metadata})
    ids["tabbed"] = post("dashboard", dashboard_title="Tabs", slug="tabbed")
    tabs = {**layout(client, []), "TABS-1": {"type": "TABS", "id": "TABS-1", "children": []}}
    client.require("PUT", f"/dashboard/{ids['tabbed']}", {"position_json": json.dumps(tabs)})
    return ids


def layout(client, rows: list[list[int]]) -> dict:
    found: dict = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": "By hand"}},
    }
    for number, row in enumerate(rows):
        at = f"ROW-x{number}"
        found["GRID_ID"]["children"].append(at)
        found[at] = {"type": "ROW", "id": at, "children": [], "parents": ["ROOT_ID", "GRID_ID"]}
        for chart in row:
            uuid = client.require("GET", f"/chart/{chart}")["result"]["uuid"]
            meta = {"chartId": chart, "uuid": uuid, "width": 4, "height": 30}
            found[at]["children"].append(f"CHART-{chart}")
            found[f"CHART-{chart}"] = {"type": "CHART", "id": f"CHART-{chart}", "meta": meta}
    return found


def state_of(client) -> dict:
    """Everything that the lists and the objects show, less what each write renews."""
    found = {}
    for kind in ("database", "dataset", "chart", "dashboard"):
        for listed in reader._every(client, kind):
            path = f"/{kind}/{listed['id']}"
            live = client.require("GET", path + ("/connection" if kind == "database" else ""))
            found[path] = plain(live["result"])
    return found


def plain(live: dict) -> dict:
    shown = {k: v for k, v in live.items() if not k.startswith(CHANGED)}
    if "css" in shown:
        shown["css"] = shown["css"] or ""  # none and empty look the same
    if "slice_name" in shown:  # a chart repeats the texts of its dashboards
        shown["dashboards"] = sorted(board["id"] for board in shown.get("dashboards") or [])
    positions = json.loads(shown.pop("position_json", None) or "{}")
    shown["cells"] = sorted(
        str([item["meta"].get(k) for k in ("uuid", "width", "height")])
        for item in positions.values()
        if isinstance(item, dict) and item["type"] == "CHART"
    )
    for key in ("params", "json_metadata", "extra"):
        if isinstance(shown.get(key), str):
            shown[key] = json.loads(shown[key] or "{}")
    if isinstance(shown.get("json_metadata"), dict):
        shown["json_metadata"].pop("positions", None)
    for key in ("metrics", "columns"):
        if isinstance(shown.get(key), list):
            kept = [{k: v for k, v in item.items() if k != "changed_on"} for item in shown[key]]
            shown[key] = sorted(kept, key=lambda item: item["id"])
    return shown


@pytest.mark.service
@pytest.mark.timeout(400)
def test_taking_over_superset_changes_nothing(real_superset):
    client = real_superset.client
    by_hand(client, real_superset.facts["uri"])
    before = state_of(client)
    listing = reader.read(client).listing("superset", "http://x")
    dashboard = next(a for a in listing.objects if a.key and a.inputs.get("slug") == "by-hand")
    assert [set(cell["chart"]) for cell in dashboard.inputs["rows"][0]] == [{ID}, {ID}]
    assert ["tabbed"] == [one.key for one in listing.refused if "TABS" in one.reason]
    assert PASSWORD not in listing.to_json()
    take_over(client, listing, dict.fromkeys(listing.secrets, PASSWORD))
    after = state_of(client)
    assert after.keys() == before.keys()
    changed = [
        (path, key, before[path].get(key), after[path].get(key))
        for path in before
        for key in before[path].keys() | after[path].keys()
        if before[path].get(key) != after[path].get(key)
    ]
    assert changed == []
    uri = client.require("GET", next(p for p in before if "database" in p) + "/connection")
    assert "XXXXXXXXXX" in uri["result"]["sqlalchemy_uri"]


def listed(*objects: Adopted) -> Listing:
    return Listing(service="superset", url="", objects=objects)


def one(name: str, kind: str, **inputs) -> Adopted:
    return Adopted(name=name, kind=kind, key=name, id=f"id-{name}", inputs=inputs)


GOLD = (
    one("lake", "dremio/PhysicalDataset", path=["lake", "bronze", "crm", "orders"],
        format={"type": "Parquet"}),
    one("fct", "dremio/View", path=["gold", "fct"], sql="SELECT * FROM lake.bronze.crm.orders"),
)  # fmt: skip
TABLE = one(
    "table", "superset/Dataset", schema="gold", tableName="fct",
    metrics=[{"name": "count", "expression": "COUNT(*)"}],
)  # fmt: skip


def chart(name: str, viz: str, **params) -> Adopted:
    return one(
        name, "superset/Chart", vizType=viz, params=params, sliceName=name,
        datasetUuid={ID: "table"},
    )  # fmt: skip


def board(*names: str) -> Adopted:
    cells = [{"chart": {ID: name}, "width": 3, "height": 50} for name in names]
    return one("board", "superset/Dashboard", slug="board", title="Board", rows=[cells])


CHARTS = (
    chart("big", "big_number_total", metric="count"),
    chart("line", "echarts_timeseries_line", x_axis="day", metrics=[
        {"expressionType": "SIMPLE", "aggregate": "SUM", "column": {"column_name": "x"}}]),
    chart("list", "table", all_columns=["a", "b"]),
    chart("pie", "pie", metric="count"),
)  # fmt: skip


def test_dashboards_become_a_valid_flow():
    flow, remarks = flow_of(
        [listed(*GOLD, TABLE, *CHARTS, board("big", "line", "list", "pie"))], "imported"
    )
    (found,) = flow.dashboards
    assert [(c.name, c.kind, c.metric, c.dimension, c.columns) for c in found.charts] == [
        ("big", "big_number", "COUNT(*)", "", ()),
        ("line", "line", "SUM(x)", "day", ()),
        ("list", "table", "", "", ("a", "b")),
    ]
    assert any("'pie' is no kind of a flow" in text for text in remarks)


def test_charts_need_the_datasets_of_dremio():
    flow, remarks = flow_of([listed(TABLE, *CHARTS, board("big"))], "imported")
    assert flow.dashboards[0].charts == ()
    assert any("import Dremio into the same folder" in text for text in remarks)
